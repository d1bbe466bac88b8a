//! Releases: systemd accepts the unit, and the packages of `cargo xtask dist` install and run.

use iof_tests::{
    guests::root,
    server::{Server, program},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
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
    let verified = run(Command::new("systemd-analyze").arg("verify").arg(&unit));
    assert!(verified.status.success(), "{}", text(&verified));
    assert_eq!(text(&verified), "");
    // 3.5 of 10; the unit gives the reason for each remaining exposure.
    let security = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=35"])
        .arg(&unit));
    assert!(security.status.success(), "{}", text(&security));
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
