//! `cargo xtask bench hello`: what a function call costs beyond the HTTP server in front of it.
//!
//! Both servers run for the whole bench and are measured in turns, so that a noisy minute of the machine meets both;
//! the ratio is that of the medians.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    guests, packages, paths,
    process::{Server, cargo, output, run},
    step::{Outcome, Problem, step},
    syscalls,
};

/// What wrk sends.
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.body = "world"
wrk.headers["Content-Type"] = "text/plain"
"#;

/// What every bench says about the address-space calls: none of them belongs on the hot path.
const WATCHED: [&str; 4] = ["mprotect", "madvise", "mmap", "munmap"];

/// A place for a bench's files, removed at its end.
struct Scratch(PathBuf);

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

/// The function `hello` against an echo.
pub(crate) fn hello(seconds: u32, rounds: u32) -> Outcome {
    guests::build()?;
    packages::need("wrk", "wrk", "it makes the load")?;
    packages::need("strace", "strace", "it counts system calls")?;
    step(
        "build the release programs (the first time takes many minutes)",
        || {
            let packages = ["--package", "iof", "--package", "echo"];
            run(cargo()
                .args(["build", "--release"])
                .args(packages)
                .current_dir(paths::root()))
        },
    )?;

    let scratch = Scratch(paths::target().join(format!("bench-{}", std::process::id())));
    let files = |e: std::io::Error| Problem::new(format!("{}: {e}", scratch.0.display()));
    fs::create_dir_all(&scratch.0).map_err(files)?;
    let script = scratch.0.join("post.lua");
    fs::write(&script, SCRIPT).map_err(files)?;
    let log = scratch.0.join("iof.log");

    let release = paths::target().join("release");
    let echo = Server::start(&mut Command::new(release.join("echo")))?;
    let mut serve = Command::new(release.join("iof"));
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(scratch.0.join("data"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("IOF_"))
    {
        serve.env_remove(name);
    }
    let iof =
        Server::start(serve.stderr(File::create(&log).map_err(files)?)).map_err(|problem| {
            Problem::new(format!(
                "{problem}\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            ))
        })?;

    let module = fs::read(paths::wasm().join("hello.wasm")).map_err(files)?;
    let uploaded = post(
        &iof.url,
        "/api/executables",
        "application/octet-stream",
        &module,
    )?;
    let id = number_after(&uploaded, "\"wasm_id\":")
        .ok_or_else(|| Problem::new(format!("the upload answered {uploaded}")))?;
    let path = format!("/api/run/{id}/say");
    let check = || match post(&iof.url, &path, "text/plain", b"world")?.as_str() {
        "hello world" => Ok(()),
        other => Err(Problem::new(format!(
            "the function answered {other:?}, not \"hello world\""
        ))),
    };
    let echo_url = format!("{}/", echo.url);
    let iof_url = format!("{}{path}", iof.url);
    check()?;
    for url in [&echo_url, &iof_url] {
        wrk(url, 1, &script)?;
    }

    step(
        "count system calls per call (under strace, so slowly)",
        || {
            let (measured, counts) = syscalls::count(iof.id(), &scratch.0.join("strace"), || {
                wrk(&iof_url, seconds, &script)
            })?;
            report(measured.requests, &counts);
            Ok(())
        },
    )?;

    let (mut echoed, mut called) = (Vec::new(), Vec::new());
    step(
        &format!("measure both in turns, {rounds} rounds of {seconds} s each: wrk -t1 -c16"),
        || {
            println!("   round       echo/s      hello/s   ratio");
            for round in 1..=rounds {
                let (echo, hello) = (
                    wrk(&echo_url, seconds, &script)?,
                    wrk(&iof_url, seconds, &script)?,
                );
                check()?;
                if echo.failed + hello.failed > 0 {
                    return Err(Problem::new(format!(
                        "{} echoes and {} calls failed",
                        echo.failed, hello.failed
                    )));
                }
                let (echo, hello) = (echo.per_second, hello.per_second);
                println!(
                    "   {round:>5} {echo:>12.0} {hello:>12.0} {:>7.2}",
                    hello / echo
                );
                echoed.push(echo);
                called.push(hello);
            }
            Ok(())
        },
    )?;
    let (echo, hello) = (median(&mut echoed), median(&mut called));
    println!(
        "\necho  {echo:.0} requests/s (median)\nhello {hello:.0} requests/s (median), a fresh instance a call"
    );
    println!("hello ratio {:.2}", hello / echo);
    Ok(())
}

fn report(requests: u64, counts: &syscalls::Counts) {
    let calls = requests.max(1) as f64;
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    println!(
        "   {requests} calls, {all} system calls: {:.2} per call",
        all as f64 / calls
    );
    for (name, count) in counts
        .iter()
        .filter(|(name, count)| *count as f64 / calls >= 0.01 && !WATCHED.contains(&name.as_str()))
    {
        println!("   {name} per call: {:.2}", *count as f64 / calls);
    }
    for name in WATCHED {
        let count = counts
            .iter()
            .find(|(counted, _)| counted == name)
            .map_or(0, |(_, count)| *count);
        println!("   {name} per call: {:.2}", count as f64 / calls);
    }
}

fn wrk(url: &str, seconds: u32, script: &Path) -> Outcome<Measured> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(script)
        .arg(url);
    let said = output(&mut wrk)?;
    measured(&said).ok_or_else(|| Problem::new(format!("wrk said\n{said}")))
}

fn measured(said: &str) -> Option<Measured> {
    let per_second = said
        .split("Requests/sec:")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    let requests = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let refused = number_after(said, "Non-2xx or 3xx responses:").unwrap_or(0);
    let broken: u64 = ["connect", "read", "write", "timeout"]
        .iter()
        .filter_map(|kind| number_after(said.split("Socket errors:").nth(1)?, kind))
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

/// One request on a connection of its own; answers the body of a 200.
fn post(server: &str, path: &str, kind: &str, body: &[u8]) -> Outcome<String> {
    let host = server.trim_start_matches("http://");
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|e| Problem::new(format!("{server}{path}: {e}")))?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(Problem::new(format!("{server}{path} answered\n{answer}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_wrk_writes() {
        let said = "Running 5s test @ http://127.0.0.1:1/\n  1 threads and 16 connections\n  603210 requests in 5.00s, 71.3MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\nRequests/sec: 120642.11\nTransfer/sec:     14.26MB\n";
        assert_eq!(
            measured(said),
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
