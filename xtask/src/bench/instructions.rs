//! `cargo xtask bench instructions`: the instructions of a call, which vary less than its time.
//!
//! Each kind of call goes to a server of its own, once for each set of settings, and the program `steps` executes the
//! server by single steps. Counts of two programs are comparable on any machine, however busy.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Scratch, build, number_after, post, serve, upload};
use crate::{
    guests,
    process::{Server, output},
    step::{Outcome, Problem, step},
};

/// Calls whose instructions are subtracted, and calls whose instructions are counted.
const CALLS: [&str; 2] = ["10", "50"];
/// The name under which functions know the upstream.
const NAME: &str = "upstream.bench";

/// Settings whose cost is counted, by name. The collector does not answer.
const SETTINGS: [(&str, &str); 4] = [
    ("as shipped", ""),
    ("metrics", "[metrics]\nlisten = \"127.0.0.1:0\"\n"),
    (
        "OTLP, 1 %",
        "[otlp]\nendpoint = \"http://127.0.0.1:9\"\nsampling = 0.01\n",
    ),
    (
        "metrics and OTLP",
        "[metrics]\nlisten = \"127.0.0.1:0\"\n[otlp]\nendpoint = \"http://127.0.0.1:9\"\nsampling = 0.01\n",
    ),
];

/// Counts the calls of this tree's program, or of others beside each other.
pub(crate) fn instructions(programs: Vec<PathBuf>) -> Outcome {
    guests::build()?;
    let release = build()?;
    let programs = match programs.is_empty() {
        true => vec![release.clone()],
        false => programs,
    };
    let echo = Server::start(&mut Command::new(release.join("echo")))?;
    step("count the instructions of a call, by single steps", || {
        println!(
            "   {:>10} {:>10}  call, settings, program",
            "serving", "all"
        );
        for (call, settings) in [
            ("hello", &SETTINGS[..]),
            ("/v1", &SETTINGS[..1]),
            ("http_proxy", &SETTINGS[..1]),
        ] {
            for (name, settings) in settings {
                for program in &programs {
                    let (serving, all) = count(&release, program, &echo.url, call, settings)?;
                    println!(
                        "   {serving:>10} {all:>10}  {call}, {name}, {}",
                        program.display()
                    );
                }
            }
        }
        Ok(())
    })
}

/// The instructions of one call: of the thread that serves it, and of all.
fn count(
    release: &Path,
    program: &Path,
    upstream: &str,
    call: &str,
    settings: &str,
) -> Outcome<(u64, u64)> {
    let scratch = Scratch::new()?;
    let authority = upstream.trim_start_matches("http://");
    let port = authority.rsplit(':').next().unwrap_or_default();
    let settings = format!(
        "log = \"warn\"\n[defaults]\noutbound = [\"POST http://{NAME}:{port}\"]\n{settings}\
         [[egress.pin]]\nhost = \"{NAME}\"\nport = {port}\nto = \"{authority}\"\n"
    );
    let iof = serve(program, &scratch, &settings)?;
    let (path, kind, body) = match call {
        "http_proxy" => (
            upload(&iof.url, &scratch, "command", "post")?,
            "text/plain",
            format!("http://{NAME}:{port}/"),
        ),
        "/v1" => {
            let path = upload(&iof.url, &scratch, "hello", "say")?;
            let id = path.split('/').nth(3).unwrap_or_default();
            (
                format!("/v1/functions/{id}/call/say"),
                "application/json",
                "[\"world\"]".to_owned(),
            )
        }
        _ => (
            upload(&iof.url, &scratch, "hello", "say")?,
            "text/plain",
            "world".to_owned(),
        ),
    };
    post(&iof.url, &path, kind, body.as_bytes())?;
    let host = iof.url.trim_start_matches("http://");
    let length = body.len();
    let request = scratch.file(
        "request",
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )?;
    let mut steps = Command::new(release.join("steps"));
    steps
        .arg(iof.id().to_string())
        .arg(host)
        .arg(request)
        .args(CALLS);
    let report = output(&mut steps)?;
    let figure = |word| number_after(&report, word);
    figure("serving ")
        .zip(figure("\nall "))
        .ok_or_else(|| Problem::new(format!("the report of steps cannot be read: got\n{report}")))
}
