//! `iof backup` and `iof restore`: online, of one moment, checked, and complete or not there.

mod places;

use crate::egress::secrets::KEY;
use iof_tests::{
    guests::{guest, wat},
    server::{Server, program},
    user::User,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// A module that answers `n`.
fn module(n: u32) -> Vec<u8> {
    wat(&format!(
        "(module (func (export \"n\") (result i32) (i32.const {n})))"
    ))
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// Runs a command that must succeed, and returns its output.
fn works(user: &User, line: &[&str]) -> String {
    let output = tokio::task::block_in_place(|| user.run(line, ""));
    let printed = text(&output);
    assert!(output.status.success(), "{line:?}: {printed}");
    printed
}

/// Runs a command that must fail, and returns its output.
fn refused(user: &User, line: &[&str]) -> String {
    let output = tokio::task::block_in_place(|| user.run(line, ""));
    let printed = text(&output);
    assert!(!output.status.success(), "{line:?}: {printed}");
    printed
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let shards = fs::read_dir(folder.join("objects/source")).unwrap();
    shards
        .flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap())
        .map(|source| source.unwrap().path())
        .collect()
}

/// Starts the server again on the files of a backup only.
async fn restored(mut server: Server, user: &User, backup: &Path) -> Server {
    server.kill().await;
    fs::remove_dir_all(server.data()).unwrap();
    works(
        user,
        &["restore", str(backup), "--data", str(&server.data())],
    );
    server.restart().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_of_one_moment_and_works_when_restored() {
    let server = Server::start("log = \"warn\"\n").await;
    let user = Arc::new(User::new(""));
    let mut kept = vec![];
    for n in 0..20 {
        kept.push((server.upload(module(n)).await.id, n));
    }
    let (ended, uploads) = (AtomicBool::new(false), AtomicU32::new(1000));
    // Functions are created, called and deleted meanwhile.
    let load = async || {
        while !ended.load(Ordering::Relaxed) {
            let n = uploads.fetch_add(1, Ordering::Relaxed);
            let new = server.upload(module(n)).await;
            assert_eq!(server.run(new.id, "n", "").await.fault(), "");
            let path = format!("/v1/functions/{}", new.id);
            let delete = server.request("DELETE", &path).bearer_auth(&new.admin_key);
            assert_eq!(server.answer(delete).await.http, 204);
        }
    };
    let backups = async {
        for round in 0..5 {
            let to = user.folder().join(format!("backup-{round}"));
            let (user, data) = (Arc::clone(&user), server.data());
            // On another thread, because this task makes the calls.
            let printed = tokio::task::spawn_blocking(move || {
                let output = user.run(&["backup", str(&to), "--data", str(&data)], "");
                assert!(output.status.success(), "{}", text(&output));
                text(&output)
            });
            let printed = printed.await.unwrap();
            assert!(
                printed.contains("each checked against its digest"),
                "{printed}"
            );
            assert!(
                printed.contains("without the keys that open them"),
                "{printed}"
            );
        }
        ended.store(true, Ordering::Relaxed);
    };
    tokio::join!(load(), load(), backups);
    assert!(uploads.load(Ordering::Relaxed) > 1010, "there was no load");
    let names: Vec<_> = fs::read_dir(user.folder()).unwrap().collect();
    assert_eq!(names.len(), 5, "{names:?}");

    let last = user.folder().join("backup-4");
    assert!(!last.join("artefact.key").exists() && !last.join("objects/artefact").exists());
    assert!(!last.join("secrets.key").exists());
    let server = restored(server, &user, &last).await;
    for (id, n) in kept {
        assert_eq!(server.run(id, "n", "").await.text(), n.to_string());
    }
    let new = server.upload(module(5)).await.id;
    assert!(new > 20, "numbers go on: {new}");
    assert!(!server.log().contains("missing"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_files_are_not_overwritten() {
    let server = Server::start("").await;
    let user = User::new("");
    server.upload(module(1)).await;
    let data = server.data();
    let to = user.folder().join("backup");
    works(&user, &["backup", str(&to), "--data", str(&data)]);
    let output = refused(&user, &["backup", str(&to), "--data", str(&data)]);
    assert!(
        output.contains("exists already. Name a directory"),
        "{output}"
    );
    let output = refused(&user, &["backup", "other", "--data", str(user.folder())]);
    assert!(output.contains("has no database. Name"), "{output}");

    let output = refused(&user, &["restore", str(&to), "--data", str(&data)]);
    assert!(output.contains("in use by another iof process"), "{output}");
    let mut server = server;
    server.stop().await;
    let output = refused(&user, &["restore", str(&to), "--data", str(&data)]);
    assert!(output.contains("has a database already"), "{output}");
    let server = server.restart().await;
    assert_eq!(server.run(1, "n", "").await.text(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_neither_backed_up_nor_restored() {
    let server = Server::start("").await;
    let user = User::new("");
    server.upload(module(1)).await;
    let good = user.folder().join("good");
    works(
        &user,
        &["backup", str(&good), "--data", str(&server.data())],
    );

    // A bit of the server's disk is flipped.
    let source = sources(&server.data()).remove(0);
    let whole = fs::read(&source).unwrap();
    let mut broken = whole.clone();
    broken[10] ^= 1;
    fs::write(&source, &broken).unwrap();
    let output = refused(&user, &["backup", "bad", "--data", str(&server.data())]);
    assert!(
        output.contains("is damaged") && output.contains("its digest is not"),
        "{output}"
    );
    fs::remove_file(&source).unwrap();
    let output = refused(&user, &["backup", "bad", "--data", str(&server.data())]);
    assert!(output.contains("its file is missing"), "{output}");
    let left: Vec<_> = fs::read_dir(user.folder()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "nothing is left of a backup that failed: {left:?}"
    );
    fs::write(&source, &whole).unwrap();

    // A file of the backup is damaged, or was changed.
    let new = user.folder().join("new");
    let restore = ["restore", str(&good), "--data", str(&new)];
    let tries = |case: &str, expected: &str| {
        let output = refused(&user, &restore);
        assert!(output.contains(expected), "{case}: {output}");
        assert!(!new.join("iof.db").exists(), "{case}");
    };
    let copy = sources(&good).remove(0);
    fs::write(&copy, &broken).unwrap();
    tries("a source", "its digest is not");
    fs::write(&copy, [&whole[..], b"more"].concat()).unwrap();
    tries("a longer source", "is longer than");
    fs::remove_file(&copy).unwrap();
    tries("a missing source", "is missing in it");
    fs::write(&copy, &whole).unwrap();
    let manifest = fs::read_to_string(good.join("backup.json")).unwrap();
    for (case, wrong, expected) in [
        (
            "a name",
            manifest.replacen("iof.db", "../iof.db", 1),
            "does not belong to a backup",
        ),
        (
            "a format",
            manifest.replace("\"format\": 1", "\"format\": 9"),
            "format that this iof does not read",
        ),
        ("no JSON", "{".into(), "backup.json is damaged"),
        (
            "a count",
            manifest.replace("\"functions\": 1", "\"functions\": 2"),
            "got 1 functions",
        ),
        (
            "a newer release",
            manifest.replace("\"migration\": 1", "\"migration\": 9991"),
            "newer iof",
        ),
    ] {
        assert_ne!(wrong, manifest, "{case}");
        fs::write(good.join("backup.json"), wrong).unwrap();
        tries(case, expected);
    }
    fs::remove_file(good.join("backup.json")).unwrap();
    tries("not finished", "is not whole");

    // The failed attempts do not prevent a restore of the complete backup.
    fs::write(good.join("backup.json"), manifest).unwrap();
    works(&user, &restore);
    assert!(new.join("iof.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backup_leaves_no_backup() {
    let server = Server::start("log = \"warn\"\n").await;
    let user = User::new("");
    // Large enough to be killed in the middle: two megabytes of data each, which need no compilation.
    for n in 0..12 {
        let data = format!("{n:08}").repeat(256 << 10);
        let text = format!(
            "(module (memory 40) (data (i32.const 0) \"{data}\") (func (export \"n\") (result i32) (i32.const {n})))"
        );
        server.upload(wat(&text)).await;
    }
    let folder = user.folder();
    let unfinished = || {
        let mut names = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        names.find(|path| str(path).contains("unfinished"))
    };
    let mut met = false;
    for round in 0..10 {
        let to = folder.join(format!("backup-{round}"));
        let mut backup = Command::new(program())
            .args(["backup", str(&to), "--data", str(&server.data())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while unfinished().is_none_or(|path| !path.join("objects").exists())
            && !to.exists()
            && began.elapsed() < Duration::from_secs(10)
        {
            std::thread::yield_now();
        }
        let _ = backup.kill();
        let _ = backup.wait();
        if let Some(left) = unfinished() {
            assert!(!to.exists() && !left.join("backup.json").exists());
            let output = refused(&user, &["restore", str(&left), "--data", "new"]);
            assert!(output.contains("is not whole"), "{output}");
            met = true;
            fs::remove_dir_all(left).unwrap();
            break;
        }
    }
    assert!(met, "no backup was killed in the middle");
    assert_eq!(server.run(1, "n", "").await.text(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_secrets_are_in_a_backup_only_on_request() {
    let server = Server::start(format!("[secrets]\nkeys = [\"{KEY}\"]\n")).await;
    let user = User::new("");
    let function = server.deploy(guest("hello"), "").await;
    assert_eq!(
        server
            .set_secret(&function, "A", "the secret value")
            .await
            .http,
        204
    );
    let data = server.data();
    let config = data.parent().unwrap().join("iof.toml");
    let line = |to: &'static str| ["backup", to, "--data", str(&data), "--config", str(&config)];
    works(&user, &line("without"));
    let output = works(&user, &[&line("with")[..], &["--with-keys"]].concat());
    assert!(output.contains("keep it as secret as these"), "{output}");
    let folder = user.folder();
    assert!(!folder.join("without/secrets.key").exists());
    let keys = fs::read_to_string(folder.join("with/secrets.key")).unwrap();
    assert!(keys.contains(KEY), "{keys}");
    use std::os::unix::fs::PermissionsExt;
    for private in [
        "with",
        "with/secrets.key",
        "with/iof.db",
        "with/backup.json",
    ] {
        let mode = fs::metadata(folder.join(private))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{private}");
    }
    for file in ["without/iof.db", "with/iof.db"] {
        let bytes = fs::read(folder.join(file)).unwrap();
        assert!(
            !bytes.windows(16).any(|part| part == b"the secret value"),
            "{file}"
        );
    }
    let output = refused(
        &user,
        &["backup", "none", "--data", str(&data), "--with-keys"],
    );
    assert!(
        output.contains("--with-keys:") && output.contains("secrets.key cannot be read"),
        "{output}"
    );
    let output = works(&user, &["restore", "with", "--data", "new"]);
    assert!(
        output.contains("new/secrets.key, where a server looks for them"),
        "{output}"
    );
    assert_eq!(
        fs::read_to_string(folder.join("new/secrets.key")).unwrap(),
        keys
    );
}
