//! The summary of a module that `iof build` prints: the engine's own findings, without any options.

use iof_tests::server::program;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The output of `iof build --json` for a library with this code.
async fn built(folder: &Path, code: &str) -> Value {
    let manifest = "[workspace]\n[package]\nname = \"made\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), code).unwrap();
    let output = tokio::process::Command::new(program())
        .args(["build", "--debug", "--json"])
        .current_dir(folder)
        // Several tests build a crate of this name.
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn unserved_imports_are_those_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let code = "#[link(wasm_import_module = \"strange\")] extern \"C\" { fn thing(); }\n\
                #[no_mangle] pub extern \"C\" fn run() { unsafe { thing() } }\n";
    let created = built(folder.path(), code).await;
    let strange = created["imports"].as_array().unwrap().iter();
    let strange: Vec<_> = strange
        .filter(|import| import["module"] == "strange")
        .collect();
    assert_eq!(strange.len(), 1, "{created}");
    assert_eq!(strange[0]["unserved"], json!(["thing"]), "{created}");
    let notes = created["notes"].to_string();
    assert!(notes.contains("compile.unknown_imports"), "{created}");

    let code = "#[link(wasm_import_module = \"wasmedge_process\")] extern \"C\" { fn wasmedge_process_run() -> i32; }\n\
                #[no_mangle] pub extern \"C\" fn run() -> i32 { unsafe { wasmedge_process_run() } }\n";
    let created = built(folder.path(), code).await;
    assert!(!created.to_string().contains("unserved"), "{created}");
    assert!(
        !created["notes"].to_string().contains("refuses"),
        "{created}"
    );
}

#[tokio::test]
async fn a_refusal_by_a_server_is_predicted_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let code = "#[no_mangle] pub extern \"C\" fn iof_prime() { panic!() }\n\
                #[no_mangle] pub extern \"C\" fn run() {}\n";
    let created = built(folder.path(), code).await;
    let notes = created["notes"].to_string();
    assert!(
        notes.contains("A server with default settings refuses this: `iof_prime` failed"),
        "{created}"
    );
}

/// An unknown key of function.toml is a mistake on every server.
#[tokio::test]
async fn a_misspelt_key_fails_a_build_with_its_line_and_the_near_name() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), "#[no_mangle] pub extern \"C\" fn run() {}\n").await;
    let declaration = "# What it needs.\ncomands = [\"http_proxy\"]\n";
    fs::write(folder.path().join("function.toml"), declaration).unwrap();
    let output = tokio::process::Command::new(program())
        .args(["build", "--debug"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains(
            "function.toml: line 2, comands: unknown field `comands`; did you mean `commands`?"
        ),
        "{errors}"
    );
}

/// A server may have another ceiling, so this is a note.
#[tokio::test]
async fn a_declaration_above_the_ceiling_as_shipped_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let code = "#[no_mangle] pub extern \"C\" fn run() {}\n";
    let declare = |text: &str| fs::write(folder.path().join("function.toml"), text).unwrap();
    for (declaration, words) in [
        (
            "commands = [\"http_proxy\"]\noutbound = [\"GET http://localhost:21699/x\"]\n",
            "outbound: no rule of this server covers `GET http://localhost:21699/x`",
        ),
        ("commands = [\"convert\"]\n", "commands: "),
        ("[limits]\nmemory = \"100GiB\"\n", "limits.memory = "),
    ] {
        declare(declaration);
        let created = built(folder.path(), code).await;
        let notes = created["notes"].to_string();
        assert!(
            notes
                .contains("A server with default settings refuses this: The version declares more")
                && notes.contains(words),
            "{declaration}: {notes}"
        );
    }
    declare("commands = [\"http_proxy\"]\noutbound = [\"GET https://api.example.com/\"]\n");
    let created = built(folder.path(), code).await;
    let notes = created["notes"].to_string();
    assert!(!notes.contains("refuses"), "{notes}");
}

#[tokio::test]
async fn a_build_without_cargo_names_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[workspace]\n[package]\nname = \"made\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::create_dir_all(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    for command in ["build", "test"] {
        let output = tokio::process::Command::new(program())
            .arg(command)
            .current_dir(folder.path())
            .env("PATH", folder.path())
            .env_remove("CARGO")
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(
            errors.contains("`cargo` does not start") && errors.contains("https://rustup.rs"),
            "{command}: {errors}"
        );
    }
}
