//! An upgrade under traffic: the binary on the disk is replaced or removed while the server runs.

mod checked;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use iof_tests::{
    guests::{guest, wat},
    server::{Server, program},
};
use serde_json::json;

/// A copy of the binary at another path.
fn install(at: &Path) {
    let next = at.with_extension("next");
    // A hard link is enough for a large file, if the file system supports it.
    fs::hard_link(program(), &next)
        .or_else(|_| fs::copy(program(), &next).map(drop))
        .unwrap();
    fs::rename(&next, at).unwrap();
}

/// The uses of a server's own binary: calls (none), compiles, and programs in jails.
async fn serves(server: &Server, function: u64, number: u32) {
    let request = json!({ "program": "upper", "stdin": "shout" }).to_string();
    let answer = server.run(function, "run_ssvm", request).await;
    assert_eq!(answer.json()["stdout"], "SHOUT", "{}", server.log());
    // Each module is different, or it would not be compiled.
    let text = format!("(module (func (export \"run\") (result i32) i32.const {number}))");
    let uploaded = server.try_upload(wat(&text)).await;
    assert_eq!(uploaded.http, 200, "{number} {}", uploaded.text());
    assert_eq!(uploaded.fault(), "", "{number} {}", uploaded.text());
}

#[tokio::test]
async fn an_upgrade_of_the_binary_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("iof");
    install(&binary);
    let config = "[defaults]\ncommands = [\"upper\"]\n[ceiling]\ncommands = [\"upper\"]\n\
                  [commands.upper]\nprogram = \"/usr/bin/tr\"\nargs = [\"a-z\", \"A-Z\"]\n";
    let mut server = Server::builder()
        .program(&binary)
        .config(config)
        .start()
        .await;
    let function = server.upload(guest("command")).await.id;
    serves(&server, function, 1).await;

    // Another program replaces it, as by `install` and package managers; running that would fail.
    let other = folder.path().join("other");
    fs::write(&other, "#!/bin/sh\nexit 97\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&other, &binary).unwrap();
    serves(&server, function, 2).await;
    fs::remove_file(&binary).unwrap();
    serves(&server, function, 3).await;

    install(&binary);
    server.stop().await;
    // The next version compiles the modules again.
    fs::remove_dir_all(server.data().join("objects/artefact")).unwrap();
    let server = server.restart().await;
    serves(&server, function, 4).await;
}
