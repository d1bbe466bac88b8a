//! `iof upgrade --check`. The commands of the guide around it are run in `guide`.

use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Its output as JSON, and its exit status.
fn check(user: &User, data: &Path) -> (Value, Option<i32>) {
    let data = data.to_str().unwrap();
    let line = ["upgrade", "--check", "--json", "--data", data];
    let output = tokio::task::block_in_place(|| user.run(&line, ""));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let json = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{output:?}"));
    (json, output.status.code())
}

/// All files of a folder, with their contents and their times of change.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let (mut files, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = Sha256::digest(fs::read(&path).unwrap()).to_vec();
            let changed = path.metadata().unwrap().modified().unwrap();
            files.insert(path, (bytes, changed));
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_reports_the_changes_of_a_start_and_makes_none() {
    let mut server = Server::start("").await;
    server.upload(guest("hello")).await;
    server.upload(wat("(module (func (export \"run\")))")).await;
    let (data, user) = (server.data(), User::new(""));
    let (output, status) = check(&user, &data);
    assert_eq!(status, Some(0), "{output}");
    assert_eq!(output["in_use"], true, "{output}");
    assert_eq!(output["pid"], server.pid(), "{output}");
    server.stop().await;

    let before = files(&data);
    let (output, status) = check(&user, &data);
    assert_eq!(status, Some(0), "{output}");
    assert_eq!(
        (
            &output["in_use"],
            &output["migrations"],
            &output["modules"],
            &output["to_compile"]
        ),
        (&json!(false), &json!([]), &json!(2), &json!(0)),
        "{output}"
    );
    fs::remove_dir_all(data.join("objects/artefact")).unwrap();
    assert_eq!(check(&user, &data).0["to_compile"], 2);
    let after = files(&data);
    assert!(
        after
            .iter()
            .all(|(path, file)| before.get(path) == Some(file)),
        "a file is new, or was changed"
    );

    fs::remove_dir_all(data.join("objects/source")).unwrap();
    let (output, status) = check(&user, &data);
    assert!(status == Some(1) && output["missing"] == 2, "{output}");
    assert_eq!(output["usable"], false);

    for (line, words) in [
        (&["upgrade"][..], "--check"),
        (
            &["upgrade", "--check", "--data", "nowhere"],
            "there is no database of iof",
        ),
    ] {
        let output = user.types(line).await;
        assert!(output.contains(words), "{output}");
        assert!(!user.folder().join("nowhere").exists());
    }
    fs::create_dir(user.folder().join("bad")).unwrap();
    fs::write(user.folder().join("bad/iof.db"), [7; 4096]).unwrap();
    let output = user.types(&["upgrade", "--check", "--data", "bad"]).await;
    assert!(output.contains("[exit status 1]"), "{output}");
}
