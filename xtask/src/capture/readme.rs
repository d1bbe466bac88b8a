//! The session of the README, in an empty folder: a project, a server that builds it, a call.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    process::output,
    step::{Outcome, Problem},
};

/// The time limit of a first build, which compiles the dependencies of functions.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn session(program: &Path) -> Outcome<String> {
    let home = tempfile::tempdir().map_err(Problem::new)?;
    let program = std::fs::canonicalize(program).map_err(|e| super::failed(program, &e))?;
    let iof = |folder: &Path, args: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(args)
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", home.path());
        command
    };
    let created = output(&mut iof(home.path(), &["new", "hello"]))?;
    let mut typed = format!("$ iof new hello\n{created}\n$ cd hello && iof dev\n");
    let project = home.path().join("hello");
    let mut dev = iof(&project, &["dev", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Problem::new)?;
    let printed = dev.stdout.take().map(BufReader::new);
    let mut lines = printed
        .into_iter()
        .flat_map(|stdout| stdout.lines().map_while(Result::ok));
    let until = Instant::now() + PATIENCE;
    let mut server = None;
    for line in lines.by_ref() {
        if let Some(place) = line
            .split_whitespace()
            .find(|word| word.starts_with("http://") && word.ends_with("/try"))
        {
            server = place.split("/v1/").next().map(str::to_owned);
        }
        typed += &format!("{line}\n");
        if line.contains("or ") || Instant::now() > until {
            break;
        }
    }
    let server = server.ok_or_else(|| Problem::new("iof dev did not print its address"))?;
    let called = output(&mut iof(
        home.path(),
        &["call", "hello", "Ada", "--server", &server],
    ));
    let logged = lines.next().unwrap_or_default();
    let _ = dev.kill();
    let _ = dev.wait();
    typed += &format!(
        "{logged}\n\n$ iof call hello Ada --dev    # in another terminal\n{}\n",
        called?.trim_end()
    );
    let typed = typed
        .replace(&format!(" --server {server}"), "")
        .replace(&server, "http://127.0.0.1:8787");
    Ok(typed)
}
