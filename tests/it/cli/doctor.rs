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

/// A project of another language needs the programs of its tool, and no compiler of Rust.
#[test]
fn a_project_of_another_language_needs_its_own_programs() {
    let user = User::new("");
    let table = |tool: &str, source: &str, world: &str| {
        format!("[build]\nname = \"a\"\nwith = \"{tool}\"\nsource = \"{source}\"\n{world}")
    };
    let world = "wit = \"wit\"\nworld = \"a\"\n";
    for (table, needs) in [
        (
            table("componentize-js", "a.js", world),
            &["node", "npm"][..],
        ),
        (table("componentize-qjs", "a.js", world), &["node", "npm"]),
        (table("componentize-py", "a.py", world), &["python3"]),
        (table("zig-cc", "src", ""), &["python3"]),
        (table("go", ".", ""), &["python3"]),
    ] {
        fs::write(user.folder().join("function.toml"), &table).unwrap();
        let (status, lines) = doctor(&user, "PATH=/nonexistent", "");
        assert_eq!(status, Some(1), "{lines:?}");
        for name in needs {
            let line = line(&lines, name);
            assert!(line["fine"] == false && line["part"] == "project", "{line}");
            let advice = line["advice"].as_str().unwrap();
            assert!(advice.starts_with("install "), "{line}");
        }
        let of_project = lines.iter().filter(|line| line["part"] == "project");
        assert_eq!(of_project.count(), needs.len() + 1, "{lines:?}");
        // Rust is reported, and not required.
        let rustc = line(&lines, "toolchain: rustc");
        assert!(
            rustc["fine"] == false && rustc["part"] == "author",
            "{rustc}"
        );
    }
    // With what a project needs, it is fine.
    let tools = user.folder().join("tools");
    fs::create_dir(&tools).unwrap();
    let say = |name: &str, script: &str| {
        use std::os::unix::fs::PermissionsExt;
        let file = tools.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    say("node", "echo v18.0.0");
    say("npm", "echo 10.0.0");
    let path = format!("PATH={}", tools.display());
    let project = table("componentize-js", "a.js", world);
    fs::write(user.folder().join("function.toml"), project).unwrap();
    let (_, lines) = doctor(&user, &path, "");
    let node = line(&lines, "node");
    assert!(node["fine"] == false, "{node}");
    assert!(
        node["found"].as_str().unwrap().contains("v18.0.0"),
        "{node}"
    );
    say("node", "echo v22.1.0");
    let (_, lines) = doctor(&user, &path, "");
    for (name, found) in [("node", "v22.1.0"), ("npm", "10.0.0")] {
        let line = line(&lines, name);
        assert!(line["fine"] == true && line["found"] == found, "{line}");
    }
    // Debian's Python without its module venv.
    say("python3", "exit 1");
    let project = table("componentize-py", "a.py", world);
    fs::write(user.folder().join("function.toml"), project).unwrap();
    let (_, lines) = doctor(&user, &path, "");
    let python = line(&lines, "python3");
    assert!(
        python["found"].as_str().unwrap().contains("venv"),
        "{python}"
    );
    // A table that cannot be read is said so.
    fs::write(
        user.folder().join("function.toml"),
        table("cobol", "a.cob", ""),
    )
    .unwrap();
    let (status, lines) = doctor(&user, &path, "");
    let wrong = line(&lines, "[build]");
    assert!(
        status == Some(1) && wrong["found"].as_str().unwrap().contains("cobol"),
        "{wrong}"
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
