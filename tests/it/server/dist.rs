//! Releases: systemd accepts the unit, and the packages of `cargo xtask dist` install and run.

use iof_tests::{
    guests::{guest, root},
    server::{Server, program},
    upstream::Upstream,
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// The unit, with the path of an existing program.
fn unit(folder: &Path) -> PathBuf {
    let unit = fs::read_to_string(root().join("deploy/iof.service")).unwrap();
    let with = unit.replace("/usr/bin/iof", program().to_str().unwrap());
    let lines = with
        .lines()
        .filter(|line| !line.starts_with("Documentation="));
    let file = folder.join("iof.service");
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    file
}

#[test]
fn systemd_accepts_the_unit_and_rates_it_as_closed() {
    if !is_there("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    // Exposures of at most 2.0 of 10, and what each drop-in opens; they give the reason for each that remains.
    let drop_ins = root().join("deploy/iof.service.d");
    let own = folder.path().join("iof.service.d");
    let mut tried = 0;
    for (drop_in, most) in [
        ("", 15),
        ("cgroup.conf", 15),
        ("low-port.conf", 18),
        ("jail.conf", 33),
    ] {
        let _ = fs::remove_dir_all(&own);
        fs::create_dir(&own).unwrap();
        if !drop_in.is_empty() {
            fs::copy(drop_ins.join(drop_in), own.join(drop_in)).unwrap();
            tried += 1;
        }
        let verified = run(Command::new("systemd-analyze").arg("verify").arg(&unit));
        assert!(verified.status.success(), "{drop_in}: {}", text(&verified));
        assert_eq!(text(&verified), "", "{drop_in}");
        let security = run(Command::new("systemd-analyze")
            .args(["security", "--offline=true", &format!("--threshold={most}")])
            .arg(&unit));
        assert!(security.status.success(), "{drop_in}: {}", text(&security));
    }
    assert_eq!(fs::read_dir(drop_ins).unwrap().count(), tried);
    // The unit lists them.
    let unit = fs::read_to_string(root().join("deploy/iof.service")).unwrap();
    for name in ["cgroup.conf", "low-port.conf", "jail.conf"] {
        assert!(unit.contains(&format!("#   {name}")), "{name}");
    }
}

/// The system calls that a server makes are those that the unit allows: it compiles, is called, asks others, stores and stops.
#[tokio::test(flavor = "multi_thread")]
async fn the_unit_allows_the_system_calls_of_a_server() {
    if !is_there("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let script = folder.path().join("iof");
    let line = format!(
        "#!/bin/sh\nexec strace -D -f -qq -c -U name -o {trace:?} {:?} \"$@\"\n",
        program()
    );
    fs::write(&script, line).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let upstream = Upstream::start().await;
    let settings = format!(
        "[metrics]\nlisten = \"127.0.0.1:0\"\n{}",
        upstream.pin("api.example.com", 80)
    );
    let mut server = Server::builder()
        .config(settings)
        .program(&script)
        .start()
        .await;
    let hello = server.upload(guest("hello")).await.id;
    server.run(hello, "say", "x").await;
    let command = server.upload(guest("command")).await.id;
    let run = r#"{"program": "http_proxy", "args": ["get", "http://api.example.com/echo"], "timeout": 9000}"#;
    let ran = server.run(command, "run_ssvm", run).await;
    assert_eq!(upstream.seen().len(), 1, "{}", ran.text());
    assert_eq!(server.get("/readyz").await.http, 200);
    assert!(server.stop().await.success());
    // strace is a process of its own (-D), which writes its table when all others have ended.
    let mut seen = String::new();
    for _ in 0..200 {
        seen = fs::read_to_string(&trace).unwrap_or_default();
        if !seen.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut seen: BTreeSet<&str> = seen.lines().map(str::trim).collect();
    // Of the table, and of SQLite as root only (`robust_fchown` in its os_unix.c), which the service is not.
    seen.retain(|name| !name.starts_with('-') && !["syscall", "total", "fchown"].contains(name));
    assert!(seen.contains("execve") && seen.contains("mmap"), "{seen:?}");
    let unit = fs::read_to_string(root().join("deploy/iof.service")).unwrap();
    let mut allowed = BTreeSet::new();
    for line in unit.lines() {
        let Some(list) = line.strip_prefix("SystemCallFilter=") else {
            continue;
        };
        let (list, is_allowed) = match list.strip_prefix('~') {
            Some(list) => (list, false),
            None => (list, true),
        };
        for name in list.split(' ').flat_map(calls_of) {
            match is_allowed {
                true => drop(allowed.insert(name)),
                false => drop(allowed.remove(&name)),
            }
        }
    }
    let refused: Vec<_> = seen
        .iter()
        .filter(|name| !allowed.contains(**name))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// The system calls of a name in a unit: a set of systemd's, with those in it, or one call.
fn calls_of(name: &str) -> Vec<String> {
    if !name.starts_with('@') {
        return vec![name.to_owned()];
    }
    let listed = run(Command::new("systemd-analyze").args(["syscall-filter", name]));
    let listed = text(&listed);
    let lines = listed.lines().skip(1).map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(calls_of)
        .collect()
}

#[tokio::test]
async fn the_settings_of_the_package_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(root().join("deploy/iof.toml")).unwrap();
    let key = folder.path().join("secrets.key");
    // Made as by the package.
    let created = run(Command::new("sh").args(["-c", "head -c 32 /dev/urandom | base64"]));
    fs::write(&key, created.stdout).unwrap();
    let here = text
        .replace("/etc/iof/secrets.key", key.to_str().unwrap())
        .replace("127.0.0.1:9464", "127.0.0.1:0");
    assert_ne!(here, text);
    let mut server = Server::start(here).await;
    assert_eq!(server.get("/readyz").await.http, 200);
    assert!(server.stop().await.success());
}

#[test]
fn the_scripts_are_valid_for_sh() {
    for script in [
        "deploy/install.sh",
        "deploy/debian/postinst",
        "deploy/debian/prerm",
        "deploy/debian/postrm",
    ] {
        let checked = run(Command::new("sh").arg("-n").arg(root().join(script)));
        assert!(checked.status.success(), "{script}: {}", text(&checked));
    }
}

#[test]
fn a_release_is_packed_installed_and_runs() {
    if !is_there("dpkg-deb") || !is_there("objdump") || !is_there("strip") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("dist");
    let packed = run(Command::new(program().with_file_name("xtask"))
        .args(["dist", "--debug", "--binary"])
        .arg(program())
        .arg("--out")
        .arg(&out)
        .current_dir(root()));
    assert!(packed.status.success(), "{}", text(&packed));
    let version = env!("CARGO_PKG_VERSION");
    let machine = std::env::consts::ARCH;
    let archive = format!("iof-{version}-{machine}-linux.tar.gz");
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(names.contains(&archive), "{names:?}");

    // Each checksum is right, and each file has one.
    let summed = run(Command::new("sha256sum")
        .args(["-c", "SHA256SUMS"])
        .current_dir(&out));
    assert!(summed.status.success(), "{}", text(&summed));
    assert_eq!(text(&summed).lines().count(), 4);

    // The list of dependencies is JSON, and names compiled dependencies, but not those of builds and tests.
    let parts = fs::read(out.join(format!("iof-{version}.cdx.json"))).unwrap();
    let parts: serde_json::Value = serde_json::from_slice(&parts).unwrap();
    assert_eq!(
        (&parts["bomFormat"], &parts["specVersion"]),
        (&"CycloneDX".into(), &"1.5".into())
    );
    let components = parts["components"].as_array().unwrap();
    let named: Vec<_> = components
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    for name in ["wasmtime", "hyper", "rustls", "iof-store"] {
        assert!(named.contains(&name), "{name}");
    }
    assert!(!named.contains(&"proptest") && !named.contains(&"insta"));
    let mut purls: Vec<_> = components
        .iter()
        .map(|part| part["purl"].as_str().unwrap())
        .collect();
    purls.dedup();
    assert_eq!(purls.len(), components.len(), "each once");

    // The script installs only a file with the right checksum.
    let bin = folder.path().join("bin");
    let install = || {
        run(Command::new("sh")
            .arg(out.join("install.sh"))
            .env("IOF_URL", format!("file://{}", out.display()))
            .env("IOF_BIN", &bin))
    };
    let installed = install();
    assert!(installed.status.success(), "{}", text(&installed));
    let expected = run(Command::new(bin.join("iof")).arg("version"));
    assert_eq!(text(&expected), format!("iof {version}\n"));
    fs::remove_file(bin.join("iof")).unwrap();
    let whole = fs::read(out.join(&archive)).unwrap();
    fs::write(out.join(&archive), [&whole[..], b"x"].concat()).unwrap();
    let refused = install();
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("is not what SHA256SUMS says"),
        "{}",
        text(&refused)
    );
    assert!(!bin.join("iof").exists());
    let nowhere = run(Command::new("sh")
        .arg(out.join("install.sh"))
        .env("IOF_BIN", &bin));
    assert!(text(&nowhere).contains("Set IOF_URL"), "{}", text(&nowhere));

    // The Debian package contains all files, owned by root.
    let package = names.iter().find(|name| name.ends_with(".deb")).unwrap();
    let listed = run(Command::new("dpkg-deb").arg("-c").arg(out.join(package)));
    let listed = text(&listed);
    for expected in [
        "./usr/bin/iof",
        "./lib/systemd/system/iof.service",
        "./usr/share/doc/iof/examples/iof.service.d/jail.conf",
        "./etc/iof/iof.toml",
        "./usr/share/man/man1/iof-serve.1.gz",
        "./usr/share/man/man1/iof-backup.1.gz",
        "./usr/share/bash-completion/completions/iof",
        "./usr/share/doc/iof/server.md",
    ] {
        assert!(listed.contains(expected), "{expected} in\n{listed}");
    }
    assert!(
        listed.lines().all(|line| line.contains("root/root")),
        "{listed}"
    );
    let depends = run(Command::new("dpkg-deb")
        .arg("-f")
        .arg(out.join(package))
        .arg("Depends"));
    assert!(
        text(&depends).starts_with("libc6 (>= 2."),
        "{}",
        text(&depends)
    );
    let unpacked = folder.path().join("root");
    let extracted = run(Command::new("dpkg-deb")
        .arg("-x")
        .arg(out.join(package))
        .arg(&unpacked));
    assert!(extracted.status.success(), "{}", text(&extracted));
    let expected = run(Command::new(unpacked.join("usr/bin/iof")).arg("version"));
    assert_eq!(text(&expected), format!("iof {version}\n"));

    // The libraries of the container's base: glibc, libgcc and the loader.
    let needs = run(Command::new("objdump")
        .arg("-p")
        .arg(unpacked.join("usr/bin/iof")));
    let needs = text(&needs);
    for library in needs
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"))
    {
        let library = library.trim();
        let known = [
            "libc.so",
            "libm.so",
            "libgcc_s.so",
            "ld-linux",
            "libdl.so",
            "libpthread.so",
        ];
        assert!(
            known.iter().any(|name| library.starts_with(name)),
            "{library}"
        );
    }
}
