//! The targets of backups: pipes, archives of other tools, and full disks.

use super::{module, refused, restored, str, text, works};
use iof_tests::{
    guests::guest,
    server::{Server, program},
    user::User,
};
use std::{fs, process::Command};

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_goes_through_a_pipe_and_foreign_files_are_refused() {
    let server = Server::start("").await;
    let user = User::new("");
    server.upload(module(7)).await;
    let data = server.data();
    let output =
        tokio::task::block_in_place(|| user.run(&["backup", "-", "--data", str(&data)], ""));
    assert!(output.status.success(), "{}", text(&output));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.starts_with("backed up to the archive: functions 1, versions 1, files 2"),
        "{errors}"
    );
    let archive = user.folder().join("iof.tar");
    let cut = user.folder().join("cut.tar");
    fs::write(&archive, &output.stdout).unwrap();
    for length in [0, 100, output.stdout.len() / 2, output.stdout.len() - 2048] {
        fs::write(&cut, &output.stdout[..length]).unwrap();
        refused(&user, &["restore", "cut.tar", "--data", "new"]);
        assert!(!user.folder().join("new/iof.db").exists(), "{length}");
    }
    // Archives as other tools make them.
    fs::write(user.folder().join("evil"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", user.folder().join("iof.db")).unwrap();
    for (case, args) in [
        ("a foreign name", &["evil"][..]),
        (
            "a way out",
            &["-P", "--transform", "s,evil,../evil,", "evil"],
        ),
        ("a link", &["iof.db"]),
        ("twice", &["--transform", "s,evil,iof.db,", "evil", "evil"]),
    ] {
        let created = Command::new("tar")
            .args(["-cf", "cut.tar"])
            .args(args)
            .current_dir(user.folder())
            .status();
        assert!(created.unwrap().success(), "{case}");
        let errors = refused(&user, &["restore", "cut.tar", "--data", "new"]);
        assert!(errors.contains("the archive contains"), "{case}: {errors}");
    }
    let piped = Command::new("sh")
        .arg("-c")
        .arg("gzip < iof.tar | gunzip | \"$0\" restore - --data piped")
        .arg(program())
        .current_dir(user.folder())
        .output()
        .unwrap();
    assert!(piped.status.success(), "{}", text(&piped));
    let server = restored(server, &user, &archive).await;
    assert_eq!(server.run(1, "n", "").await.text(), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_nothing_of_a_backup_and_names_the_disk() {
    let server = Server::start("").await;
    let user = User::new("");
    server.upload(guest("command")).await;
    // The database fits in one case and not in the other; the source never does.
    for size in ["160k", "260k"] {
        let small = user.folder().join("small");
        fs::create_dir_all(&small).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={size} none small && \"$0\" backup small/backup --data \"$1\"; ls -A small; \
             TMPDIR=small \"$0\" backup - --data \"$1\" | wc -c; ls -A small"
        );
        let tried = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .arg(program())
            .arg(server.data())
            .current_dir(user.folder())
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&tried.stdout).trim(),
            "0",
            "{}",
            text(&tried)
        );
        let errors = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(
            errors.contains("the disk of small/backup is full"),
            "{errors}"
        );
        assert_eq!(
            errors.matches("the partial backup was removed").count(),
            2,
            "{errors}"
        );
    }
    let data = server.data();
    works(&user, &["backup", "backup", "--data", str(&data)]);
}
