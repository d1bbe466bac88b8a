//! `cargo xtask bench …`: iof beside the raw limit and beside its peers.
//!
//! All subjects run for the whole bench and are measured in turns, so that a noisy minute of the machine affects all of
//! them; a ratio is that of the medians.

mod commands;
mod components;
mod egress;
mod hello;
mod instructions;
mod list;
mod memory;
mod neighbours;
mod plot;
mod saves;
mod tenants;
mod uploads;

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    paths,
    process::{Server, cargo, output, run},
    selection,
    step::{Outcome, Problem, step},
};

pub(crate) use commands::commands;
pub(crate) use components::{Handler, components};
pub(crate) use egress::egress;
pub(crate) use hello::hello;
pub(crate) use instructions::instructions;
pub(crate) use list::list;
pub(crate) use neighbours::neighbours;
pub(crate) use saves::saves;
pub(crate) use tenants::tenants;
pub(crate) use uploads::uploads;

/// A directory for a bench's files, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Outcome<Self> {
        let scratch = Self(paths::target().join(format!("bench-{}", std::process::id())));
        fs::create_dir_all(&scratch.0).map_err(|e| scratch.problem(&e))?;
        Ok(scratch)
    }

    fn problem(&self, e: &std::io::Error) -> Problem {
        Problem::new(format!("{}: {e}", self.0.display()))
    }

    /// A file with a text.
    fn file(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(|e| self.problem(&e))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One measurement by wrk.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    per_second: f64,
    requests: u64,
    failed: u64,
}

/// Builds the programs of all benches as users run them, and returns their folder.
fn build() -> Outcome<PathBuf> {
    step(
        "build the release programs (the first time takes many minutes)",
        || {
            run(cargo()
                .args(["build", "--release", "--bins"])
                .args(selection::BENCHES)
                .current_dir(paths::root()))
        },
    )?;
    Ok(paths::target().join("release"))
}

/// Starts `iof serve` with these settings.
fn serve(release: &Path, scratch: &Scratch, settings: &str) -> Outcome<Server> {
    let config = scratch.file("iof.toml", settings)?;
    let log = scratch.0.join("iof.log");
    let mut serve = Command::new(release.join("iof"));
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(scratch.0.join("data"))
        .arg("--config")
        .arg(config);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("IOF_"))
    {
        serve.env_remove(name);
    }
    let file = File::create(&log).map_err(|e| scratch.problem(&e))?;
    Server::start(serve.stderr(file)).map_err(|problem| {
        let log = fs::read_to_string(&log).unwrap_or_default();
        Problem::new(format!("{problem}\n{log}"))
    })
}

/// Uploads a built guest, and returns the path of one of its exports.
fn upload(server: &str, scratch: &Scratch, guest: &str, export: &str) -> Outcome<String> {
    let module = fs::read(paths::wasm().join(format!("{guest}.wasm")));
    let module = module.map_err(|e| scratch.problem(&e))?;
    let id = upload_module(server, &module)?;
    Ok(format!("/api/run/{id}/{export}"))
}

/// Uploads a module, and returns the number of its function.
fn upload_module(server: &str, module: &[u8]) -> Outcome<u64> {
    let uploaded = post(
        server,
        "/api/executables",
        "application/octet-stream",
        module,
    )?;
    number_after(&uploaded, "\"wasm_id\":")
        .ok_or_else(|| Problem::new(format!("the upload failed: got {uploaded}")))
}

fn wrk(url: &str, seconds: u32, script: &Path) -> Outcome<Measured> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(script)
        .arg(url);
    let report = output(&mut wrk)?;
    measured(&report)
        .ok_or_else(|| Problem::new(format!("the report of wrk cannot be read: got\n{report}")))
}

fn measured(report: &str) -> Option<Measured> {
    let per_second = report
        .split("Requests/sec:")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    let requests = report
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let refused = number_after(report, "Non-2xx or 3xx responses:").unwrap_or(0);
    let broken: u64 = ["connect", "read", "write", "timeout"]
        .iter()
        .filter_map(|kind| number_after(report.split("Socket errors:").nth(1)?, kind))
        .sum();
    Some(Measured {
        per_second,
        requests,
        failed: refused + broken,
    })
}

fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = text.split_once(word)?.1.trim_start();
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// One request on a new connection; returns the body of a 200.
fn post(server: &str, path: &str, kind: &str, body: &[u8]) -> Outcome<String> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
    ask(server, path, &head, body)
}

/// The same without a body.
fn get(server: &str, path: &str) -> Outcome<String> {
    // HTTP/1.0, so that a body of unknown length has no chunks.
    ask(server, path, &format!("GET {path} HTTP/1.0\r\n"), b"")
}

fn ask(server: &str, path: &str, head: &str, body: &[u8]) -> Outcome<String> {
    let host = server.trim_start_matches("http://");
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        write!(stream, "{head}host: {host}\r\nconnection: close\r\n\r\n")?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|e| Problem::new(format!("{server}{path}: {e}")))?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body))
            if head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200") =>
        {
            Ok(body.to_owned())
        }
        _ => Err(Problem::new(format!("{server}{path} answered\n{answer}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_wrk_is_read() {
        let report = "Running 5s test @ http://127.0.0.1:1/\n  1 threads and 16 connections\n  603210 requests in 5.00s, 71.3MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\nRequests/sec: 120642.11\nTransfer/sec:     14.26MB\n";
        assert_eq!(
            measured(report),
            Some(Measured {
                per_second: 120_642.11,
                requests: 603_210,
                failed: 10
            })
        );
        assert_eq!(measured("unable to connect"), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
