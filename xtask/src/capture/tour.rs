//! The session of docs/guide/components-tour.md: a component in Rust, one in JavaScript and one in Python, each made, tested,
//! deployed and called.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::webhook::{path, script, stable};
use crate::{
    packages,
    process::{Server, output},
    step::{Outcome, Problem},
};

/// The commands, each of one line.
const COMMANDS: [&str; 14] = [
    "iof new site --template rust-http > /dev/null && cd site",
    "iof test",
    "iof deploy",
    "curl http://127.0.0.1:8080/fn/site/hello/Ada",
    "cd .. && iof new bills --template js-typed > /dev/null && cd bills",
    "cat wit/world.wit",
    "iof test",
    "iof deploy",
    "iof call bills total -d '{\"items\":[{\"name\":\"tea\",\"price\":450,\"count\":2}],\"discount\":10}'",
    "iof show bills | grep exports",
    "cd .. && iof new invoices --template python-typed > /dev/null && cd invoices",
    "cat app.py",
    "iof deploy",
    "iof call invoices total -d '{\"items\":[{\"name\":\"tea\",\"price\":450,\"count\":2}],\"discount\":101}' || true",
];
/// Python's interpreter is compiled with it, in some 20 core seconds: more than the default on a busy machine.
const SETTINGS: &str = "[compile]\ncompile_cpu = \"600s\"\ncompile_time = \"600s\"\n";

pub(super) fn session(iof: &Path) -> Outcome<String> {
    packages::need("curl", "curl", "it sends a request")?;
    packages::need("npm", "npm", "it installs the tools of JavaScript")?;
    packages::need(
        "python3",
        "python3-venv",
        "it makes an environment of Python",
    )?;
    let home = tempfile::tempdir().map_err(Problem::new)?;
    let settings = home.path().join("iof.toml");
    fs::write(&settings, SETTINGS).map_err(|e| super::failed(&settings, &e))?;
    let here = |command: &mut Command| {
        command
            .current_dir(home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("IOF_CONFIG", &settings)
            .stderr(Stdio::null());
    };
    let mut serve = Command::new(iof);
    here(serve.args(["serve", "--listen", "127.0.0.1:0", "--data", "data"]));
    let server = Server::start(&mut serve)?;
    let mut shell = Command::new("bash");
    here(shell.args(["-c", &script(&COMMANDS, &server.url)]));
    shell.env("IOF_SERVER", &server.url).env("PATH", path(iof)?);
    Ok(stable(&output(&mut shell)?, &server.url).replace(" || true", ""))
}
