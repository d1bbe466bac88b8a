//! `kill -9` in the middle of a burst: every acknowledged upload survives, and nothing else does.

use std::collections::HashSet;
use std::process::Stdio;

use iof_store::{Store, StoreSettings};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::{Home, NAME, digest, files, function};

const DATA: &str = "IOF_STORE_KILL_TEST_DATA";
const URL: &str = "IOF_STORE_KILL_TEST_URL";

/// The store of the process that is killed.
pub(crate) async fn open() -> Store {
    let data = std::env::var_os(DATA).expect("only another test runs this");
    let settings = StoreSettings {
        url: std::env::var(URL).unwrap_or_default(),
        ..StoreSettings::default()
    };
    Store::open_with(data.as_ref(), &settings).await.unwrap()
}

/// Runs one ignored test as a separate process, to be killed.
pub(crate) fn spawn(test: &str, home: &Home) -> Child {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{NAME}::{test}"),
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DATA, home.data())
        .env(URL, home.url())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Runs one ignored test as a process, and kills it at its `at`-th line of those that `counts` accepts. Each line is split into words, of
/// which the last is the rest. Lines that were printed before the process died are read as well.
pub(crate) async fn kill_at(
    test: &str,
    home: &Home,
    at: u64,
    mut counts: impl FnMut(&[&str]) -> bool,
) {
    let mut child = spawn(test, home);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    while let Some(line) = lines.next_line().await.unwrap() {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        if !counts(&words) {
            continue; // a line of the test harness
        }
        seen += 1;
        if seen == at {
            child.start_kill().unwrap();
        }
    }
    child.wait().await.unwrap();
    assert!(seen >= at, "the child died by itself after {seen}");
}

/// The process that is killed: it uploads as fast as it can from eight tasks, and prints each acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, as a process of its own"]
async fn child() {
    let store = open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0.. {
                let source = format!("{task} {number} {}", std::process::id());
                let created = store.create_function(function(&source)).await.unwrap();
                println!("acknowledged {} {source}", created.function_id);
                if number % 5 == 4 {
                    store.delete_function(created.function_id).await.unwrap();
                    println!("deleted {} {source}", created.function_id);
                }
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn acknowledged_uploads_survive_sigkill() {
    let home = Home::new();
    let mut acknowledged: Vec<(i64, String)> = Vec::new();
    let mut swept = 0;
    for round in 0..5_u64 {
        kill_at("kill::child", &home, 40 + round * 7, |words| {
            let [word, id, source] = words else {
                return false;
            };
            let Ok(id) = id.parse::<i64>() else {
                return false;
            };
            match *word {
                "acknowledged" => acknowledged.push((id, (*source).to_owned())),
                // It may have been deleted between its acknowledgement and this line, so nothing is promised.
                "deleted" => acknowledged.retain(|(other, _)| *other != id),
                _ => return false,
            }
            true
        })
        .await;

        let left = files(&home.objects("source")).len();
        let store = home.open().await;
        store.swept().await;
        let ids = store.list().await.unwrap();
        let mut live = HashSet::new();
        for id in &ids {
            let version = store.function(*id).await.unwrap().unwrap().version;
            assert!(
                store.source(version.sha256).await.unwrap().is_some(),
                "function {id} has no source"
            );
            live.insert(version.sha256);
        }
        for (id, source) in &acknowledged {
            // A number divisible by five may have been deleted after its acknowledgement, unannounced.
            let doomed = source.split(' ').nth(1).unwrap().parse::<u64>().unwrap() % 5 == 4;
            assert!(
                doomed || ids.contains(id),
                "round {round}: {id} was acknowledged and is gone"
            );
            if ids.contains(id) {
                assert_eq!(
                    store
                        .source(digest(source.as_bytes()))
                        .await
                        .unwrap()
                        .unwrap(),
                    source.as_str()
                );
            }
        }
        let kept = files(&home.objects("source"));
        // A node of a fleet leaves what may be an upload of another one in progress.
        let exact = kept.len() == live.len() || (store.is_shared() && kept.len() > live.len());
        assert!(exact, "{} sources, {} live", kept.len(), live.len());
        swept += left - kept.len();
        store.close().await.unwrap();
    }
    println!(
        "{} acknowledged and kept, {swept} torn uploads swept",
        acknowledged.len()
    );
}
