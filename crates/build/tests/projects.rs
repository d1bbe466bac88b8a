//! Projects, as people have them, built by cargo for real.
//!
//! All share one target directory, that of the guests, so that what they depend on is compiled once.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use iof_build::{Built, Error, Event, Kind, Machine, Options, Template, What, build, new};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder for a test, whose projects build into the shared target directory.
fn folder(test: &str) -> PathBuf {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("projects")
        .join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join(".cargo")).unwrap();
    let config = format!("[build]\ntarget-dir = {:?}\n", shared);
    fs::write(folder.join(".cargo/config.toml"), config).unwrap();
    // A workspace above, as there is in many a folder of code: a project must not care.
    fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    folder
}

fn built(folder: &Path) -> Built {
    build(folder, &Options::default(), &mut quiet).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(folder: &Path) -> String {
    build(folder, &Options::default(), &mut quiet)
        .unwrap_err()
        .to_string()
}

fn quiet(_: Event<'_>) {}

fn names(built: &Built) -> Vec<&str> {
    built
        .summary
        .exports
        .iter()
        .map(|export| &*export.name)
        .collect()
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => drop(files.insert(path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    files
}

/// A new project builds, and its tests pass on the host.
fn template(template: Template, function: &str, imports: &[&str]) {
    let folder = folder(template.as_str());
    // Packages of one name would be one package to cargo, which looks at paths below the workspace alone.
    let name = format!("my-{}", template.as_str());
    let made = new(&name, template, &folder).unwrap();
    let built = built(&made.folder);
    assert_eq!(names(&built), [function]);
    assert_eq!(built.summary.kind, Kind::Bindgen);
    assert_eq!(
        built.module,
        made.folder
            .canonicalize()
            .unwrap()
            .join(format!("pkg/{}.wasm", name.replace('-', "_")))
    );
    assert_eq!(
        fs::metadata(&built.module).unwrap().len(),
        built.summary.size
    );
    assert!(built.declaration.is_some());
    let modules: Vec<_> = built
        .summary
        .imports
        .iter()
        .map(|import| &*import.module)
        .collect();
    assert_eq!(modules, imports);
    let left: Vec<_> = fs::read_dir(made.folder.join("pkg")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let mut test = Machine::this().cargo();
    let test = test
        .args(["test", "--quiet", "--lib"])
        .current_dir(&made.folder);
    let output = test.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("test result: ok") && !said.contains(" 0 passed"),
        "{said}"
    );
    eprintln!("{built}");
}

#[test]
fn rust() {
    template(Template::Rust, "greet", &["wasi_snapshot_preview1"]);
}

#[test]
fn rust_json() {
    template(
        Template::RustJson,
        "total",
        &["iof", "wasi_snapshot_preview1"],
    );
}

#[test]
fn rust_http() {
    template(
        Template::RustHttp,
        "look_up",
        &["iof", "wasi_snapshot_preview1", "wasmedge_process"],
    );
}

#[test]
fn rust_2020() {
    template(Template::Rust2020, "say", &["wasi_snapshot_preview1"]);
}

#[test]
fn a_change_is_built_again() {
    let folder = folder("change");
    let made = new("changing", Template::Rust, &folder).unwrap();
    let first = built(&made.folder);
    let source = made.folder.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(
        &source,
        text.replace("fn greet(", "fn welcome(")
            .replace("greet(", "welcome("),
    )
    .unwrap();
    let second = built(&made.folder);
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["greet"], vec!["welcome"])
    );
    let third = built(&made.folder);
    eprintln!(
        "first {:?}, after a change {:?}, without {:?}",
        first.took, second.took, third.took
    );
}

#[test]
fn a_library_becomes_a_module_without_an_edit() {
    let folder = folder("library");
    let made = new("plain-library", Template::Rust, &folder).unwrap();
    let manifest = made.folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text.replace("[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n", "");
    assert!(!text.contains("crate-type"));
    fs::write(&manifest, &text).unwrap();
    assert_eq!(names(&built(&made.folder)), ["greet"]);
    assert_eq!(fs::read_to_string(manifest).unwrap(), text);
}

/// The crates of 2020 of this repository's tests, in a folder of their own.
fn era(test: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/era-2020");
    let to = folder(test).join("era-2020");
    for (path, bytes) in files(&from.canonicalize().unwrap()) {
        let inside = path
            .strip_prefix(from.canonicalize().unwrap())
            .unwrap()
            .to_owned();
        if !inside.starts_with("target") {
            fs::create_dir_all(to.join(&inside).parent().unwrap()).unwrap();
            fs::write(to.join(inside), bytes).unwrap();
        }
    }
    to
}

#[test]
fn a_crate_of_2020_builds_and_stays_as_it_is() {
    let folder = era("era");
    let before = files(&folder);
    let made = built(&folder.join("send_email"));
    assert!(
        matches!(&made.what, What::Bindgen2020 { version } if version == "0.2.61"),
        "{:?}",
        made.what
    );
    assert!(names(&made).contains(&"send_email"), "{made}");
    let json = serde_json::to_value(&made).unwrap();
    assert_eq!(json["version"], "0.1.0", "{json}");
    assert_eq!(
        (&json["what"], &json["wasm_bindgen"]),
        (&"bindgen2020".into(), &"0.2.61".into()),
        "{json}"
    );
    assert_eq!(
        (&json["kind"], &json["exports"][0]["name"]),
        (&"bindgen".into(), &"fetch".into()),
        "{json}"
    );
    fs::remove_dir_all(folder.join("send_email/pkg")).unwrap();
    assert_eq!(files(&folder), before);
    // Its members are named, and one is chosen by its name.
    let several = refused(&folder);
    assert!(several.contains("hello, send_email"), "{several}");
    assert!(several.contains("choose one with `-p NAME`"), "{several}");
    let options = |package: &str| Options {
        package: Some(package.into()),
        ..Options::default()
    };
    let hello = build(&folder, &options("hello"), &mut quiet).unwrap();
    assert!(
        hello.module.ends_with("hello/pkg/hello_lib.wasm"),
        "{hello}"
    );
    let nobody = build(&folder, &options("nobody"), &mut quiet).unwrap_err();
    assert!(matches!(nobody, Error::Package { .. }), "{nobody}");
    assert!(
        nobody
            .to_string()
            .starts_with("there is no package `nobody`; the packages"),
        "{nobody}"
    );
}

#[test]
fn wasm_bindgen_of_today_is_left_as_rustc_makes_it() {
    let folder = folder("today");
    write(
        &folder.join("today"),
        &[
            (
                "Cargo.toml",
                "[workspace]\n[package]\nname = \"today\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
                 [dependencies]\nwasm-bindgen = \"=0.2.130\"\n",
            ),
            (
                "src/lib.rs",
                "use wasm_bindgen::prelude::*;\n#[wasm_bindgen]\npub fn twice(n: u32) -> u32 { n * 2 }\n",
            ),
        ],
    );
    let made = built(&folder.join("today"));
    assert_eq!(
        (made.what.clone(), made.target),
        (What::Bindgen, "wasm32-unknown-unknown")
    );
    assert_eq!(names(&made), ["twice"]);
}

fn program(name: &str) -> String {
    format!("[workspace]\n[package]\nname = \"{name}\"\nedition = \"2021\"\n")
}

#[test]
fn a_program_is_built_and_its_limit_told() {
    let folder = folder("program");
    let here = folder.join("program");
    write(
        &here,
        &[
            ("Cargo.toml", &program("program")),
            ("src/main.rs", "fn main() { println!(\"hi\") }"),
        ],
    );
    let made = built(&here);
    assert_eq!(
        (made.what.clone(), made.summary.kind),
        (What::Command, Kind::WasiCommand)
    );
    assert!(
        made.notes[0].contains("A server does not run programs yet"),
        "{made}"
    );
    write(&here, &[("src/bin/other.rs", "fn main() {}")]);
    assert!(
        refused(&here)
            .ends_with("it has several programs: name one in default-run under [package]")
    );
}

#[test]
fn what_cannot_become_a_module_says_why() {
    let folder = folder("refused");
    let here = folder.join("refused");
    let library = |dependencies: &str| {
        let manifest =
            format!("[workspace]\n[package]\nname = \"refused\"\n[dependencies]\n{dependencies}");
        write(&here, &[("Cargo.toml", &manifest), ("src/lib.rs", "")]);
        refused(&here)
    };
    let plain = library("");
    assert!(
        plain.contains("refused/Cargo.toml: nothing in it can be called: add iof-guest"),
        "{plain}"
    );
    let component = library("wit-bindgen = \"0.40\"\n");
    assert!(
        component.contains("it is a component (wit-bindgen), which a server does not serve yet"),
        "{component}"
    );
    let other = library("wasm-bindgen = \"0.1\"\n");
    assert!(
        other.contains("it asks for wasm-bindgen = \"^0.1\", and only 0.2 is known here"),
        "{other}"
    );
    fs::remove_dir_all(&here).unwrap();
    fs::remove_file(folder.join("Cargo.toml")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let nothing = refused(outside.path());
    assert!(
        nothing.starts_with("there is no Cargo.toml in "),
        "{nothing}"
    );
}

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

/// Where the child of the test below builds.
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
        .args(["--exact", "builds_until_it_is_interrupted", "--ignored"])
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
