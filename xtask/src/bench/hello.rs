//! `cargo xtask bench hello`: the cost of a function call beyond the HTTP server in front of it.

use std::process::Command;

use super::{Scratch, build, median, post, serve, upload, wrk};
use crate::{
    guests, packages,
    process::Server,
    step::{Outcome, Problem, step},
    syscalls,
};

/// The requests that wrk sends.
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.body = "world"
wrk.headers["Content-Type"] = "text/plain"
"#;

/// System calls that change the address space; none of them belongs on the hot path.
const WATCHED: [&str; 4] = ["mprotect", "madvise", "mmap", "munmap"];

/// The function `hello` against an echo.
pub(crate) fn hello(seconds: u32, rounds: u32) -> Outcome {
    guests::build()?;
    packages::need("wrk", "wrk", "it makes the load")?;
    packages::need("strace", "strace", "it counts system calls")?;
    let release = build()?;
    let scratch = Scratch::new()?;
    let script = scratch.file("post.lua", SCRIPT)?;
    let echo = Server::start(&mut Command::new(release.join("echo")))?;
    let iof = serve(&release, &scratch, "")?;
    let path = upload(&iof.url, &scratch, "hello", "say")?;
    let check = || match post(&iof.url, &path, "text/plain", b"world")?.as_str() {
        "hello world" => Ok(()),
        other => Err(Problem::new(format!(
            "the answer of the function is not \"hello world\": got {other:?}"
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
