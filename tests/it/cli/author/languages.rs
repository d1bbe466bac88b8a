//! Projects of other languages: made, tested, built, served, deployed, by tools that are installed once and asked for nothing
//! afterwards. One of JavaScript and one of Python; `cargo xtask templates` tries the others.

use crate::cli::dev::{Author, Running};
use iof_tests::guests;
use iof_tests::server::Server;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that lead programs to a proxy, at an address where nobody is one.
const DEAD: [&str; 5] = [
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
];

/// Interpreters are most of what is compiled: Python's takes some 20 core seconds, at a low priority.
pub(super) const PATIENT: &str = "[compile]\ncompile_cpu = \"600s\"\ncompile_time = \"600s\"\n";

/// A new project, with the tools that the last run installed for its lock.
pub(super) struct Project {
    author: Author,
    folder: PathBuf,
    tools: &'static str,
    kept: PathBuf,
}

impl Project {
    fn new(test: &str, template: &str, tools: &'static str) -> Self {
        let author = Author::new(test);
        author.says(&author.folder, &["new", "bills", "--template", template]);
        Self::kept(author, "bills", template, tools)
    }

    /// A copy of an example.
    pub(super) fn of_example(name: &str, tools: &'static str) -> Self {
        let author = Author::new(name);
        let mut copy = Command::new("cp");
        let example = guests::root().join("examples").join(name);
        copy.arg("-r").arg(example).arg(&author.folder);
        ran(copy);
        // What somebody has built there is not the example's.
        for made in [tools, "target", "pkg"] {
            let _ = fs::remove_dir_all(author.folder.join(name).join(made));
        }
        Self::kept(author, name, name, tools)
    }

    fn kept(author: Author, name: &str, kept: &str, tools: &'static str) -> Self {
        let folder = guests::built("tmp/tools");
        fs::create_dir_all(&folder).unwrap();
        let project = Self {
            folder: author.folder.join(name),
            author,
            tools,
            kept: folder.join(kept),
        };
        let _ = fs::rename(&project.kept, project.folder.join(tools));
        fs::write(project.settings(), PATIENT).unwrap();
        project
    }

    /// The settings of servers that its commands start.
    fn settings(&self) -> PathBuf {
        self.author.folder.join("iof.toml")
    }

    pub(super) fn iof(&self, args: &[&str]) -> Command {
        let mut command = self.author.iof(&self.folder, args);
        command.env("IOF_CONFIG", self.settings());
        command
    }

    /// A command without a network.
    pub(super) fn offline(&self, args: &[&str]) -> Command {
        let mut command = self.iof(args);
        for proxy in DEAD {
            command.env(proxy, "http://127.0.0.1:9");
        }
        command
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.kept);
        let _ = fs::rename(self.folder.join(self.tools), &self.kept);
    }
}

/// The stdout and the stderr of a command that succeeds.
pub(super) fn ran(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, beside) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{beside}");
    (said, beside)
}

const ORDER: &str = r#"{"items":[{"name":"tea","price":450,"count":2}],"discount":10}"#;
const BILL: &str = r#"{"items":2,"total":810}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_component_in_javascript_is_tested_served_swapped_and_deployed() {
    let project = Project::new("javascript", "js-typed", "node_modules");
    let (said, beside) = tokio::task::block_in_place(|| ran(project.iof(&["test"])));
    for words in [
        "bills: its tests passed",
        "passed   total([",
        "1 passed, 0 failed, 0 skipped",
    ] {
        assert!(said.contains(words), "{words}: {said}{beside}");
    }
    assert!(beside.contains("it adds up"), "{beside}");

    // Built again, without a network; each step is told with its time.
    let build = project.offline(&["build", "--json"]);
    let (said, beside) = tokio::task::block_in_place(|| ran(build));
    let built: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (
            &built["package"],
            &built["what"],
            &built["with"],
            &built["kind"]
        ),
        (
            &"bills".into(),
            &"other".into(),
            &"componentize-qjs".into(),
            &"component".into()
        ),
        "{built}"
    );
    assert_eq!(built["exports"][0]["name"], "total", "{built}");
    assert!(
        built["module"]
            .as_str()
            .unwrap()
            .ends_with("bills/pkg/bills.wasm"),
        "{built}"
    );
    assert!(!beside.contains("npm ci"), "{beside}");
    let took = beside
        .lines()
        .find(|line| line.starts_with("  ") && line.ends_with(" s"));
    assert!(took.is_some(), "{beside}");

    let server = Server::start(PATIENT).await;
    let deploy = project.offline(&["deploy", "--server", &server.url]);
    let (said, _) = tokio::task::block_in_place(|| ran(deploy));
    assert!(said.contains("bills version 1: total"), "{said}");
    let call = project.iof(&[
        "call",
        "bills",
        "total",
        "-d",
        ORDER,
        "--server",
        &server.url,
    ]);
    assert_eq!(tokio::task::block_in_place(|| ran(call)).0, BILL);
    // The comments of its WIT are in the document of the function.
    let document = server.get("/v1/functions/bills/openapi.json").await.text();
    for words in [
        "Adds up an order, with a discount in percent.",
        "A line of an order.",
        "In cents.",
    ] {
        assert!(document.contains(words), "{words}: {document}");
    }

    let mut dev = tokio::task::block_in_place(|| {
        Running::start(project.offline(&["dev", "--listen", "127.0.0.1:0"]))
    });
    tokio::task::block_in_place(|| {
        dev.line("bills version 1 runs");
        let call = |order: &str| {
            project.author.says(
                &project.folder,
                &["call", "bills", "total", "-d", order, "--dev"],
            )
        };
        assert_eq!(call(ORDER), BILL);
        let source = project.folder.join("src/app.js");
        let text = fs::read_to_string(&source).unwrap();
        fs::write(&source, text.replace("off > 100", "off > 5")).unwrap();
        dev.line("bills version 2 runs");
        let refused = call(ORDER);
        assert!(
            refused.contains("more than 100 percent off") && refused.contains("[error"),
            "{refused}"
        );
        // What cannot be built is said, and the version before runs on.
        fs::write(&source, "export function (").unwrap();
        dev.line("bills version 2 still runs");
        assert!(call(ORDER).contains("[error"), "{}", dev.seen);
        assert_eq!(dev.interrupt(), Some(0), "{}", dev.seen);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_in_python_is_tested_and_deployed() {
    let project = Project::new("python", "python-typed", ".venv");
    let (said, beside) = tokio::task::block_in_place(|| ran(project.iof(&["test"])));
    for words in [
        "bills: its tests passed",
        "passed   total([",
        "1 passed, 0 failed, 0 skipped",
    ] {
        assert!(said.contains(words), "{words}: {said}{beside}");
    }
    assert!(beside.contains("test_it_adds_up"), "{beside}");

    let server = Server::start(PATIENT).await;
    let deploy = project.offline(&["deploy", "--server", &server.url]);
    let (said, beside) = tokio::task::block_in_place(|| ran(deploy));
    assert!(said.contains("bills version 1: total"), "{said}");
    assert!(!beside.contains("pip install"), "{beside}");
    let call = |order: &str| {
        let mut call = project.iof(&[
            "call",
            "bills",
            "total",
            "-d",
            order,
            "--server",
            &server.url,
        ]);
        call.output()
    };
    let called = tokio::task::block_in_place(|| call(ORDER)).unwrap();
    assert_eq!(String::from_utf8_lossy(&called.stdout), BILL);
    let refused = ORDER.replace(":10}", ":101}");
    let called = tokio::task::block_in_place(|| call(&refused)).unwrap();
    let refused = String::from_utf8_lossy(&called.stderr);
    assert!(refused.contains("more than 100 percent off"), "{refused}");
}

/// A path of programs on which only these are, and what they print.
fn path(author: &Author, programs: &[(&str, &str)]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let folder = author.folder.join("bin");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, prints) in programs {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\necho {prints}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[test]
fn what_is_missing_is_named_with_how_to_install_it() {
    let author = Author::new("missing");
    let said = |project: &Path, programs: &[(&str, &str)]| {
        let mut build = author.iof(project, &["build"]);
        let output = build.env("PATH", path(&author, programs)).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (template, programs, words) in [
        (
            "js",
            &[][..],
            "`node` is not on the PATH: install Node.js 20 or later",
        ),
        (
            "js",
            &[("node", "v18.19.0")],
            "`node` is too old: got \"v18.19.0\": install Node.js 20",
        ),
        (
            "js",
            &[("node", "v22.1.0")],
            "`npm` is not on the PATH: install Node.js 20 or later",
        ),
        (
            "python",
            &[],
            "`python3` is not on the PATH: install Python 3.10 or later",
        ),
        (
            "go",
            &[],
            "`python3` is not on the PATH: install Python 3.10 or later",
        ),
        (
            "rust-http",
            &[],
            "nothing here builds Rust for wasm32-wasip1",
        ),
    ] {
        let _ = fs::remove_dir_all(author.folder.join("app"));
        author.says(&author.folder, &["new", "app", "--template", template]);
        let said = said(&author.folder.join("app"), programs);
        assert!(said.contains(words), "{template}: {said}");
    }
    // What the lock does not pin is not installed.
    let project = author.folder.join("app");
    for (template, file, text, words) in [
        (
            "js",
            "package-lock.json",
            None,
            "package-lock.json: it is not there. `npm install`",
        ),
        (
            "python",
            "requirements.txt",
            None,
            "requirements.txt: it is not there",
        ),
        (
            "python",
            "requirements.txt",
            Some("componentize-py"),
            "line 1: not pinned to one version",
        ),
        (
            "c",
            "function.toml",
            Some("[build]\nname = \"app\"\nwith = \"make\"\nsource = \".\""),
            "unknown variant `make`",
        ),
        (
            "go",
            "Cargo.toml",
            Some(""),
            "a crate is built as its Cargo.toml says",
        ),
    ] {
        let _ = fs::remove_dir_all(&project);
        author.says(&author.folder, &["new", "app", "--template", template]);
        match text {
            Some(text) => fs::write(project.join(file), text).unwrap(),
            None => fs::remove_file(project.join(file)).unwrap(),
        }
        let said = said(&project, &[("node", "v22.1.0"), ("python3", "x")]);
        assert!(said.contains(words), "{template}: {said}");
    }
    let outside = tempfile::tempdir().unwrap();
    let said = said(outside.path(), &[]);
    assert!(
        said.contains("no function.toml with a [build] table") && said.contains("iof new --list"),
        "{said}"
    );
}

#[test]
fn each_template_is_listed_and_makes_a_project() {
    let author = Author::new("listed");
    let listed = author.says(&author.folder, &["new", "--list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let help = author.says(&author.folder, &["new", "--help"]);
    let templates = listed["templates"].as_array().unwrap();
    for template in templates {
        let (name, about) = (
            template["name"].as_str().unwrap(),
            template["about"].as_str().unwrap(),
        );
        let line = format!("{name:13} {about}");
        assert!(help.contains(&line), "{line}: {help}");
        let made = author.says(&author.folder, &["new", &format!("my-{name}"), "-t", name]);
        assert!(made.contains("Next:\n  cd my-"), "{made}");
    }
    assert!(templates.len() > 12, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_its_grant_is_noted_at_deploys_and_shown() {
    let author = Author::new("grants-of-imports");
    let component = guests::handler_component("assistant");
    fs::write(author.folder.join("site.wasm"), component).unwrap();
    let declaration = author.folder.join("function.toml");
    let server = Server::start("").await;
    let to = ["--server", &server.url];
    let says = |args: &[&str]| {
        tokio::task::block_in_place(|| author.says(&author.folder, &[args, &to].concat()))
    };
    let note = "note: function.toml: the component imports wasi:http/outgoing-handler@0.2.12, and there is no outbound rule";
    fs::write(&declaration, "storage = true\n").unwrap();
    for said in [says(&["deploy", "site.wasm"]), says(&["show", "site"])] {
        assert!(said.contains(note), "{said}");
    }
    // With a rule it sends by itself, without a command.
    fs::write(&declaration, "outbound = [\"GET https://a.test\"]\n").unwrap();
    for said in [says(&["deploy", "site.wasm"]), says(&["show", "site"])] {
        assert!(!said.contains("note:"), "{said}");
    }
}
