//! Each kind of crate becomes a function of its kind, and those that cannot are refused with the reason.

use super::{built, files, folder, names, program, quiet, refused, write};
use iof_build::{Error, Kind, Options, Template, What, build, new};
use std::fs;
use std::path::{Path, PathBuf};

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
    // The lock of its author, which names the crates of the registry.
    let lock = folder.join("Cargo.lock");
    let mut text = fs::read_to_string(&lock).unwrap();
    for name in ["wasm-bindgen", "wasm-bindgen-macro"] {
        let entry = format!("name = \"{name}\"\nversion = \"0.2.61\"\n");
        let source = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        let checksum = format!("checksum = \"{}\"\n", "0".repeat(64));
        assert!(text.contains(&entry), "{text}");
        text = text.replace(&entry, &(entry.clone() + source + &checksum));
    }
    fs::write(&lock, text).unwrap();
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
            .starts_with("the package is unknown: got `nobody`; the packages"),
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

#[test]
fn a_program_is_built_as_its_main() {
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
    assert_eq!(names(&made), ["main"]);
    write(&here, &[("src/bin/other.rs", "fn main() {}")]);
    assert!(
        refused(&here)
            .ends_with("it has several programs: name one in default-run under [package]")
    );
}

#[test]
fn a_component_is_built_as_the_world_that_it_says() {
    let folder = folder("component");
    let here = folder.join("component");
    let world = "wit_bindgen::generate!({ inline: \"package iof:trial; interface words { count: func(text: string) -> \
                 u32; } world trial { import log: func(line: string); export greet: func(name: string) -> string; export \
                 words; }\" });";
    let code = "struct Trial;
        impl Guest for Trial {
            fn greet(name: String) -> String { log(\"greets\"); println!(\"{name}\"); format!(\"hello {name}\") }
        }
        impl exports::iof::trial::words::Guest for Trial {
            fn count(text: String) -> u32 { text.split_whitespace().count() as u32 }
        }
        export!(Trial);";
    write(
        &here,
        &[
            (
                "Cargo.toml",
                "[workspace]\n[package]\nname = \"component\"\nedition = \"2021\"\n\
                 [dependencies]\nwit-bindgen = \"=0.57.1\"\n",
            ),
            ("src/lib.rs", &format!("{world}\n{code}\n")),
        ],
    );
    let made = built(&here);
    assert_eq!(
        (made.what.clone(), made.target, made.summary.kind),
        (What::Component, "wasm32-wasip1", Kind::Component)
    );
    assert_eq!(names(&made), ["greet", "iof:trial/words#count"]);
    let imports: Vec<_> = made.summary.imports.iter().map(|i| &*i.module).collect();
    assert!(imports.contains(&"log"), "{imports:?}");
    assert!(
        imports
            .iter()
            .any(|name| name.starts_with("wasi:cli/stdout@0.2")),
        "what println! needs, by the adapter: {imports:?}"
    );
    let module = fs::read(&made.module).unwrap();
    assert_eq!(module[..8], [0, b'a', b's', b'm', 13, 0, 1, 0]);

    // One that exports nothing says so.
    write(&here, &[("src/lib.rs", "pub fn nothing() {}")]);
    let made = built(&here);
    assert!(
        made.notes
            .iter()
            .any(|note| note.contains("Nothing in it can be called")),
        "{made}"
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
