//! The session of docs/guide/webhooks.md: from a project to an event of GitHub whose signature is checked.
//!
//! The code and the declaration are those of the page.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    packages,
    process::{Server, output},
    step::{Outcome, Problem},
};

/// The address that readers see, in place of the free port of the session.
const SHOWN: &str = "http://127.0.0.1:8080";

/// The commands, each of one or more lines.
const COMMANDS: [&str; 7] = [
    "GITHUB_SECRET=$(openssl rand -hex 20)      # the one that you write into the settings of the repository",
    "iof deploy",
    "printf %s \"$GITHUB_SECRET\" | iof secret set hooks GITHUB_SECRET",
    "body='{\"action\":\"opened\"}'",
    "signature=$(printf %s \"$body\" | openssl dgst -sha256 -hmac \"$GITHUB_SECRET\" -r | cut -d' ' -f1)",
    "curl http://127.0.0.1:8080/fn/hooks/github -H \"X-Hub-Signature-256: sha256=$signature\" -H 'X-GitHub-Event: issues' \\\n       \
     -H 'Content-Type: application/json' -d \"$body\"",
    "curl http://127.0.0.1:8080/fn/hooks/github -H 'X-Hub-Signature-256: sha256=00' -d \"$body\"",
];

pub(super) fn session(iof: &Path, page: &str) -> Outcome<String> {
    packages::need("curl", "curl", "it sends the event of GitHub")?;
    packages::need("openssl", "openssl", "it signs as GitHub does")?;
    let home = tempfile::tempdir().map_err(Problem::new)?;
    let iof = fs::canonicalize(iof).map_err(|e| super::failed(iof, &e))?;
    let here = |command: &mut Command| {
        command
            .current_dir(home.path())
            .env("XDG_CONFIG_HOME", home.path());
    };
    let mut new = Command::new(&iof);
    here(new.args(["new", "hooks"]));
    output(&mut new)?;
    let project = home.path().join("hooks");
    for (file, language) in [("src/lib.rs", "rust"), ("function.toml", "toml")] {
        let file = project.join(file);
        fs::write(&file, block(page, language)?).map_err(|e| super::failed(&file, &e))?;
    }
    let mut serve = Command::new(&iof);
    here(serve.args(["serve", "--listen", "127.0.0.1:0", "--data", "data"]));
    serve.stderr(Stdio::null());
    let server = Server::start(&mut serve)?;
    let mut shell = Command::new("bash");
    here(shell.args(["-c", &script(&COMMANDS, &server.url)]));
    shell
        .current_dir(&project)
        .env("IOF_SERVER", &server.url)
        .env("PATH", path(&iof)?);
    Ok(stable(&output(&mut shell)?, &server.url))
}

/// Runs commands, and prints each before its output.
pub(super) fn script(commands: &[&str], server: &str) -> String {
    let mut script = String::from("set -e -o pipefail\n");
    for command in commands {
        let mut run = command
            .replace(SHOWN, server)
            .replacen("curl ", "curl -sS ", 1);
        // Ends the line of an answer without a line break.
        if command.starts_with("curl ") || command.starts_with("iof call ") {
            run = format!("({run}) 2>&1 | sed '$a\\'");
        }
        script += &format!("cat <<'SAID'\n$ {command}\nSAID\n{run}\n");
    }
    script
}

/// The first block of a language.
fn block<'a>(page: &'a str, language: &str) -> Outcome<&'a str> {
    let begin = format!("```{language}\n");
    page.split_once(&begin)
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(block, _)| block)
        .ok_or_else(|| Problem::new(format!("the page has no block of {language}")))
}

/// The path with the folder of the program first.
pub(super) fn path(iof: &Path) -> Outcome<std::ffi::OsString> {
    let mut folders: Vec<PathBuf> = iof.parent().map(Path::to_owned).into_iter().collect();
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    std::env::join_paths(folders).map_err(Problem::new)
}

/// The output without the parts that differ every time: the port, and the end of a key.
pub(super) fn stable(output: &str, server: &str) -> String {
    let output = output.replace(server, SHOWN);
    let mut stable = String::new();
    for line in output.lines() {
        let line = match line.trim_start().strip_prefix("key   ") {
            Some(_) => "  key   5f1d33c0-…".to_owned(),
            None => line.to_owned(),
        };
        stable += &format!("{}\n", line.trim_end());
    }
    stable
}
