//! Builds of wrong code, builds with wasm-opt, and builds that are interrupted.

use super::{built, files, folder, names, program, quiet, refused, write};
use iof_build::{Error, Machine, Options, Template, What, build, new};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn what_does_not_compile_is_cargo_s_to_explain() {
    let folder = folder("broken");
    let here = folder.join("program");
    write(
        &here,
        &[
            ("Cargo.toml", &program("broken")),
            ("src/main.rs", "fn main() { nothing }"),
        ],
    );
    let error = refused(&here);
    assert!(
        error.starts_with("`cargo build --target wasm32-wasip1 --bin broken --release"),
        "{error}"
    );
    assert!(
        error.contains("ended with exit status: 101: what it said stands above"),
        "{error}"
    );
    assert!(!here.join("pkg").exists());
}

/// A machine with a wasm-opt that does this.
fn machine_with(script: &str, folder: &Path) -> Machine {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    // Another process writes it: see ETXTBSY.
    let write = Command::new("/bin/sh")
        .args([
            "-c",
            "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod +x \"$0\"",
        ])
        .args([bin.join("wasm-opt").as_os_str(), script.as_ref()])
        .status();
    assert!(write.unwrap().success());
    let path = std::env::var("PATH").unwrap();
    Machine::at("/", format!("{}:{path}", bin.display()))
}

#[test]
fn options_do_what_they_say_and_wasm_opt_no_harm() {
    let folder = folder("optimise");
    let here = folder.join("program");
    write(
        &here,
        &[
            (
                "Cargo.toml",
                "[workspace]\n[package]\nname = \"bare\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n",
            ),
            (
                "src/lib.rs",
                "#[unsafe(no_mangle)]\npub extern \"C\" fn f() -> u32 { 1 }\n",
            ),
        ],
    );
    // … -O2 -g (six features) IN -o OUT
    let with = |script: &str| {
        let options = Options {
            machine: machine_with(script, &folder),
            ..Options::default()
        };
        build(&here, &options, &mut quiet).unwrap()
    };
    let locked = Options {
        locked: true,
        ..Options::default()
    };
    let error = build(&here, &locked, &mut quiet).unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    let debug = Options {
        debug: true,
        ..Options::default()
    };
    let debug = build(&here, &debug, &mut quiet).unwrap();
    assert_eq!((debug.profile, &debug.notes[..]), ("debug", &[][..]));
    let copied = with("cp \"$9\" \"${11}\"");
    assert_eq!(
        (copied.before, &copied.notes[..]),
        (Some(copied.summary.size), &[][..])
    );
    assert_eq!(copied.what, What::Exports);

    let failed = with("exit 1");
    assert!(
        failed.notes[0].starts_with("wasm-opt ended with exit status: 1"),
        "{failed}"
    );
    let broken = with("head -c 100 \"$9\" > \"${11}\"");
    assert!(
        broken.notes[0].contains("the module stays as rustc left it"),
        "{broken}"
    );
    let other = with("printf '\\0asm\\1\\0\\0\\0' > \"${11}\"");
    assert!(
        other.notes[0].contains("offers or asks for something else"),
        "{other}"
    );
    assert_eq!(
        fs::metadata(&other.module).unwrap().len(),
        copied.summary.size
    );
    assert_eq!((names(&other), other.before), (vec!["f"], None));
}

/// The folder in which the child of the test below builds.
const BUILDS: &str = "IOF_TEST_BUILDS";

#[test]
#[ignore = "a child of the test below, which is interrupted"]
fn builds_until_it_is_interrupted() {
    if let Some(folder) = std::env::var_os(BUILDS) {
        built(Path::new(&folder));
    }
}

#[test]
fn an_interrupted_build_leaves_a_project_as_it_was() {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    let folder = folder("interrupted");
    let made = new("interrupted", Template::Rust2020, &folder).unwrap();
    let started = folder.join("started");
    let script = format!(
        "fn main() {{ std::fs::write({started:?}, \"\").unwrap(); loop {{ std::thread::park(); }} }}"
    );
    let lock = "version = 3\n\n[[package]]\nname = \"interrupted\"\nversion = \"0.1.0\"\n";
    write(&made.folder, &[("build.rs", &script), ("Cargo.lock", lock)]);
    let before = files(&made.folder);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "builds::builds_until_it_is_interrupted",
            "--ignored",
        ])
        .env(BUILDS, &made.folder)
        .process_group(0)
        .spawn()
        .unwrap();
    let patience = std::time::Instant::now();
    while !started.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(patience.elapsed().as_secs() < 120);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // As a terminal does it: everything in the group.
    let kill = format!("kill -INT -{}", child.id());
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    assert_eq!(files(&made.folder), before);
}
