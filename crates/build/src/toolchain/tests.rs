//! Machines of scripts: one with only Debian's packages, one with only rustup, one with nothing.

use super::*;
use std::fs;

/// A machine of scripts.
struct Fake {
    root: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        Self { root }
    }

    fn script(self, name: &str, text: &str) -> Self {
        let file = self.root.path().join("bin").join(name);
        // Written by another process: a file that this one has open for writing, which a fork of another test
        // inherits, cannot be run (ETXTBSY).
        let wrote = Command::new("/bin/sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && /bin/chmod +x \"$0\"",
            ])
            .args([file.as_os_str(), text.as_ref()])
            .status();
        assert!(wrote.unwrap().success());
        self
    }

    fn file(self, path: &str) -> Self {
        let file = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
        self
    }

    fn rustc(self) -> Self {
        let sysroot = self.root.path().join("sysroot");
        self.script("rustc", &format!("echo {}", sysroot.display()))
    }

    fn target(self, target: Target) -> Self {
        self.file(&format!(
            "sysroot/lib/rustlib/{}/lib/libstd.rlib",
            target.as_str()
        ))
    }

    fn debian(self) -> Self {
        self.file(DEBIAN_RUSTC)
            .file(DEBIAN_CARGO)
            .file(DEBIAN_SOURCES)
            .file(&format!("{DEBIAN_WASI}/libc.a"))
            .script("wasm-ld-19", "")
    }

    fn machine(&self) -> Machine {
        Machine::at(self.root.path(), self.root.path().join("bin"))
    }

    fn find(&self, add: bool) -> Result<Toolchain, String> {
        let folder = self.root.path();
        Toolchain::find(&self.machine(), folder, &[Target::Wasip1], add, &mut |_| {})
            .map_err(|missing| missing.to_string())
    }
}

const ADDS: &str = "[ \"$1 $2 $3\" = 'target add wasm32-wasip1' ] && /bin/mkdir -p";

#[test]
fn an_installed_target_comes_first() {
    let fake = Fake::new().rustc().target(Target::Wasip1).debian();
    assert!(matches!(fake.find(true).unwrap().way, Way::Installed));
}

#[test]
fn rustup_adds_where_it_may() {
    let fake = Fake::new().rustc();
    let made = fake
        .root
        .path()
        .join("sysroot/lib/rustlib/wasm32-wasip1/lib");
    let fake = fake.script("rustup", &format!("{ADDS} {}", made.display()));
    let refused = fake.find(false).unwrap_err();
    assert!(
        refused.contains("rustup is here, and may not add wasm32-wasip1"),
        "{refused}"
    );
    assert!(!made.exists());
    assert!(matches!(fake.find(true).unwrap().way, Way::Installed));
}

#[test]
fn a_rustup_that_cannot_add_leaves_debian() {
    let fake = Fake::new().rustc().script("rustup", "exit 1");
    let problem = fake.find(true).unwrap_err();
    assert!(
        problem.contains("rustup could not add wasm32-wasip1"),
        "{problem}"
    );
    let fake = fake.debian();
    assert!(matches!(fake.find(true).unwrap().way, Way::Debian { .. }));
}

#[test]
fn debian_alone_builds_the_standard_library() {
    let fake = Fake::new().debian();
    let toolchain = fake.find(true).unwrap();
    let command = toolchain.cargo(Path::new("/"), "build", Target::Wasip1);
    assert_eq!(
        shown(&command),
        "cargo build --target wasm32-wasip1 -Zbuild-std=std,panic_abort"
    );
    assert!(
        command
            .get_program()
            .to_string_lossy()
            .ends_with(DEBIAN_CARGO)
    );
    let variable = |name: &str| {
        let mut all = command.get_envs();
        let found = all.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
    };
    assert_eq!(variable("RUSTC_BOOTSTRAP"), Some(Some("1".into())));
    assert_eq!(variable("RUSTC_WRAPPER"), Some(None));
    let flags = variable("RUSTFLAGS").flatten().unwrap();
    assert!(
        flags.contains("wasm-ld-19 -Clink-self-contained=no -L"),
        "{flags}"
    );
    let unknown = toolchain.cargo(Path::new("/"), "build", Target::Unknown);
    let flags = unknown
        .get_envs()
        .find(|(key, _)| *key == "RUSTFLAGS")
        .unwrap();
    assert!(
        !flags.1.unwrap().to_string_lossy().contains("-L"),
        "{flags:?}"
    );
}

#[test]
fn nothing_says_both_ways() {
    let fake = Fake::new();
    let problem = fake.find(true).unwrap_err();
    assert_eq!(
        problem,
        "nothing here builds Rust for wasm32-wasip1: there is no rustc on the PATH. One of these helps:\n  \
         * with rustup (https://rustup.rs): rustup target add wasm32-wasip1\n  \
         * on Debian 12: apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src wasi-libc lld-19"
    );
}

#[test]
fn half_of_debian_says_the_other_half() {
    let fake = Fake::new()
        .file(DEBIAN_RUSTC)
        .file(DEBIAN_CARGO)
        .script("wasm-ld", "");
    let problem = fake.find(true).unwrap_err();
    assert!(
        problem.contains(&format!(
            "{DEBIAN_SOURCES}, {DEBIAN_WASI}/libc.a is missing"
        )),
        "{problem}"
    );
}

#[test]
fn a_report_says_what_to_do() {
    let fake = Fake::new().rustc().target(Target::Unknown);
    let lines = Toolchain::report(&fake.machine());
    let fine: Vec<_> = lines.iter().map(|line| (&*line.name, line.fine)).collect();
    assert_eq!(
        fine,
        [
            ("rustc", true),
            ("cargo", false),
            ("wasm32-wasip1", false),
            ("wasm32-unknown-unknown", true),
            ("wasm-opt", true)
        ]
    );
    for line in lines {
        assert_eq!(line.fine, line.advice.is_none(), "{line:?}");
    }
}
