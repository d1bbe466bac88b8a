//! New projects build for WebAssembly, and their tests pass on the host.

use super::{built, folder, names};
use iof_build::{Kind, Machine, Template, new};
use std::fs;
use std::path::Path;

/// A new project builds, and its tests pass on the host.
fn template(template: Template, function: &str, imports: &[&str]) {
    let folder = folder(template.as_str());
    // Packages of one name would be one package to cargo, which looks only at paths below the workspace.
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
    let as_in_2020 = template == Template::Rust2020;
    assert_eq!(left.len(), if as_in_2020 { 2 } else { 1 }, "{left:?}");
    assert_eq!(built.link.is_some(), as_in_2020);
    if let Some(link) = &built.link {
        // The file that articles upload: `--data-binary '@pkg/send_email_lib_bg.wasm'`.
        assert!(link.ends_with(format!("pkg/{}_bg.wasm", name.replace('-', "_"))));
        assert_eq!(fs::read(link).unwrap(), fs::read(&built.module).unwrap());
        assert!(built.to_string().contains("_bg.wasm"), "{built}");
    }

    passes(&made.folder);
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
fn rust_request() {
    template(
        Template::RustRequest,
        "look_up",
        &["iof", "wasi_snapshot_preview1", "wasmedge_process"],
    );
}

/// The tests of a project pass on the host, and there are some.
fn passes(folder: &Path) {
    let mut test = Machine::this().cargo();
    let test = test.args(["test", "--quiet", "--lib"]).current_dir(folder);
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
}

/// A new project becomes a component with one export, and its tests pass on the host.
fn component(template: Template, export: &str) {
    let folder = folder(template.as_str());
    let name = format!("my-{}", template.as_str());
    let made = new(&name, template, &folder).unwrap();
    let built = built(&made.folder);
    assert_eq!(built.summary.kind, Kind::Component);
    let names = names(&built);
    assert!(
        names.len() == 1 && names[0].starts_with(export),
        "{names:?}"
    );
    assert_eq!(
        built.summary.answers_http(),
        template == Template::RustHttp,
        "{built}"
    );
    passes(&made.folder);
}

#[test]
fn rust_http() {
    component(Template::RustHttp, "wasi:http/incoming-handler@0.2.");
}

#[test]
fn rust_typed() {
    component(Template::RustTyped, "total");
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
