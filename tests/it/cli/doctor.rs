//! `iof doctor`: no check ends the others, and each part is required only if it is needed.

use iof_tests::server::{Server, program};
use iof_tests::user::User;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Runs `iof doctor --json` as a shell line that prepares it.
fn doctor(user: &User, prepare: &str, more: &str) -> (Option<i32>, Vec<Value>) {
    let line = format!("{prepare} {:?} doctor --json {more}", program());
    let output = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir(user.folder())
        .env("HOME", user.folder())
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "{line}: {error}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.code(), lines)
}

fn line<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["name"] == name);
    found.unwrap_or_else(|| panic!("no line {name}: {lines:?}"))
}

#[test]
fn no_check_ends_the_others() {
    let user = User::new("");
    // A limit of files below that of a program in the jail, and settings with which no server starts.
    for (prepare, more) in [("ulimit -n 255;", ""), ("", "--config missing.toml")] {
        let (_, lines) = doctor(&user, prepare, more);
        for name in ["kernel", "store", "clock", "toolchain: rustc", "server"] {
            line(&lines, name);
        }
        assert!(
            lines
                .iter()
                .any(|line| line["name"].as_str().unwrap().starts_with("jail")),
            "{lines:?}"
        );
    }
    let (status, lines) = doctor(&user, "", "--config missing.toml");
    let settings = line(&lines, "settings");
    assert!(status == Some(1) && settings["fine"] == false, "{settings}");
    // As root of a namespace with one user, as in a rootless container; each part is checked by itself.
    let rootless = Command::new("unshare").args(["-r", "true"]).status();
    if rootless.is_ok_and(|status| status.success()) {
        for prepare in ["", "echo 0 > /proc/sys/user/max_user_namespaces;"] {
            let within = format!("exec unshare -r /bin/sh -c '{prepare} exec \"$@\"' iof");
            let (_, lines) = doctor(&user, &within, "");
            for name in ["kernel", "jail: landlock", "toolchain: rustc", "server"] {
                line(&lines, name);
            }
            let found = line(&lines, "jail: user namespace");
            let limited = found["found"]
                .as_str()
                .unwrap()
                .contains("the limit on such");
            assert_eq!(limited, !prepare.is_empty(), "{found}");
        }
    }
    // Without that limit, the jail is complete.
    let (_, usual) = doctor(&user, "", "");
    let (_, few) = doctor(&user, "ulimit -n 255;", "");
    let jail = |lines: &[Value]| -> Vec<Value> {
        let of = lines
            .iter()
            .filter(|line| line["name"].as_str().unwrap().starts_with("jail"));
        of.map(|line| line["fine"].clone()).collect()
    };
    assert_eq!(jail(&few), jail(&usual), "{few:?}");
}

#[test]
fn tools_of_authors_are_required_only_in_a_project() {
    let user = User::new("");
    let bare = "PATH=/nonexistent";
    let (_, lines) = doctor(&user, bare, "");
    let rustc = line(&lines, "toolchain: rustc");
    assert!(
        rustc["fine"] == false && rustc["part"] == "author",
        "{rustc}"
    );
    let server_is_fine = lines
        .iter()
        .filter(|line| line["part"] != "author")
        .all(|line| line["fine"] == true);
    let (status, _) = doctor(&user, bare, "");
    assert_eq!(status, Some(if server_is_fine { 0 } else { 1 }));
    fs::write(user.folder().join("function.toml"), "comands = []\n").unwrap();
    let (status, lines) = doctor(&user, bare, "");
    let project = line(&lines, "function.toml");
    assert!(status == Some(1) && project["fine"] == false, "{project}");
    assert!(
        project["found"].as_str().unwrap().contains("comands"),
        "{project}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_checked() {
    let server = Server::start("").await;
    let user = User::new("");
    let named = format!("--server {}", server.url);
    let (_, lines) = tokio::task::block_in_place(|| doctor(&user, "", &named));
    let found = line(&lines, "server");
    assert!(
        found["fine"] == true && found["found"].as_str().unwrap().contains("iof 0"),
        "{found}"
    );
    let (status, lines) =
        tokio::task::block_in_place(|| doctor(&user, "", "--server http://127.0.0.1:9"));
    assert!(status == Some(1) && line(&lines, "server")["fine"] == false);
}

#[test]
fn the_mode_of_a_key_is_fixed() {
    use std::os::unix::fs::PermissionsExt;
    let user = User::new("");
    let data = user.folder().join("iof-data");
    fs::create_dir_all(&data).unwrap();
    let key = data.join("secrets.key");
    fs::write(&key, "ab".repeat(32)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (_, lines) = doctor(&user, "", "");
    assert_eq!(line(&lines, "key of secrets")["fine"], false);
    let (_, lines) = doctor(&user, "", "--fix");
    assert_eq!(line(&lines, "key of secrets")["fine"], true);
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
}
