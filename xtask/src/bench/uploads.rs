//! `cargo xtask bench uploads`: a deploy beside `wasmtime compile` of the same module, and the first call of a function
//! that is not loaded beside its second.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{Scratch, build, components::wasmtime, median, serve, tenants, upload_module};
use crate::{
    guests, paths,
    process::output,
    programs,
    step::{Outcome, Problem, step},
};

/// Modules by what they are, each below the folder of built guests or of programs.
const MODULES: [(&str, &str, bool); 5] = [
    ("`hello`, Rust, text in and out", "hello.wasm", false),
    (
        "an HTTP handler of WASI 0.2, Rust",
        "http-handler.wasm",
        false,
    ),
    ("a module that describes itself", "send_email.wasm", false),
    ("QuickJS, a program in C", "quickjs.wasm", true),
    ("ripgrep, a program in Rust", "ripgrep.wasm", true),
];
/// A deploy takes at most this many times `wasmtime compile`, and this much more.
const TIMES: f64 = 1.2;
const MORE_MS: f64 = 10.0;
/// Functions that are called for the first time.
const FUNCTIONS: u64 = 400;
/// The most that a first call takes more than a second one.
const MISS_US: f64 = 150.0;

/// Both measurements.
pub(crate) fn uploads(rounds: u32) -> Outcome {
    guests::build()?;
    programs::fetch()?;
    let release = build()?;
    let wasmtime = wasmtime()?;
    let missed = [deploys(&release, &wasmtime, rounds)?, misses(&release)?].concat();
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Problem::new(missed.join("; "))),
    }
}

/// Deploys each module and compiles it with wasmtime, in turns.
fn deploys(release: &Path, wasmtime: &Path, rounds: u32) -> Outcome<Vec<String>> {
    let scratch = Scratch::new()?;
    let iof = serve(release, &scratch, tenants::SETTINGS)?;
    let mut missed = vec![];
    println!(
        "| module | KB | deploy ms | `wasmtime compile` ms | at most |\n|---|---|---|---|---|"
    );
    for (what, file, program) in MODULES {
        let folder = if program {
            programs::folder()
        } else {
            paths::wasm()
        };
        let path = folder.join(file);
        let module =
            fs::read(&path).map_err(|e| Problem::new(format!("{}: {e}", path.display())))?;
        let compiled = scratch.file("compiled", "")?;
        let (mut deploys, mut compiles) = (vec![], vec![]);
        // The first round warms caches.
        for round in 0..=rounds {
            let own = copy(&module, u64::from(round));
            let source = scratch.0.join("module.wasm");
            fs::write(&source, &own).map_err(|e| scratch.problem(&e))?;
            let began = Instant::now();
            output(
                Command::new(wasmtime)
                    .arg("compile")
                    .arg(&source)
                    .arg("-o")
                    .arg(&compiled),
            )?;
            let compile = began.elapsed();
            let began = Instant::now();
            upload_module(&iof.url, &own)?;
            if round > 0 {
                deploys.push(began.elapsed().as_secs_f64() * 1e3);
                compiles.push(compile.as_secs_f64() * 1e3);
            }
        }
        let (deploy, compile) = (median(&mut deploys), median(&mut compiles));
        let most = compile * TIMES + MORE_MS;
        let size = module.len() / 1000;
        println!("| {what} | {size} | {deploy:.0} | {compile:.0} | {most:.0} |");
        if deploy > most {
            missed.push(format!(
                "the deploy of {file} takes too long: got {deploy:.0} ms, at most {most:.0} ms is allowed"
            ));
        }
    }
    Ok(missed)
}

/// The module with a section of its own, so that its artefact is not known.
fn copy(module: &[u8], number: u64) -> Vec<u8> {
    let mut own = module.to_vec();
    own.extend([0, 15, 14]);
    own.extend(format!("upload{number:08}").as_bytes());
    own
}

/// Calls functions for the first time since the server started, each again at once.
fn misses(release: &Path) -> Outcome<Vec<String>> {
    let scratch = Scratch::new()?;
    {
        let iof = serve(release, &scratch, tenants::SETTINGS)?;
        step(&format!("upload {FUNCTIONS} functions"), || {
            tenants::upload(&iof, FUNCTIONS)
        })?;
    }
    let iof = serve(release, &scratch, tenants::SETTINGS)?;
    let host = iof.url.trim_start_matches("http://");
    let (mut first, mut second) = (vec![], vec![]);
    let mut call_all = || -> std::io::Result<()> {
        let mut connection = BufReader::new(TcpStream::connect(host)?);
        connection.get_ref().set_nodelay(true)?;
        for id in 1..=FUNCTIONS {
            let mut call = || -> std::io::Result<f64> {
                let began = Instant::now();
                write!(
                    connection.get_ref(),
                    "POST /api/run/{id}/say HTTP/1.1\r\nhost: {host}\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nworld"
                )?;
                answer(&mut connection)?;
                Ok(began.elapsed().as_secs_f64() * 1e6)
            };
            let loading = call()?;
            let loaded = call()?.min(call()?);
            // The server's own threads are as warm for one function as for the next.
            if id > FUNCTIONS / 4 {
                first.push(loading);
                second.push(loaded);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    call_all().map_err(|e| Problem::new(format!("{host}: {e}")))?;
    let (first, second) = (median(&mut first), median(&mut second));
    let more = first - second;
    println!(
        "\nfirst call  {first:.0} µs (median), which loads the function\nsecond call {second:.0} µs (median)"
    );
    println!("a load takes {more:.0} µs");
    Ok(match more > MISS_US {
        true => vec![format!(
            "a load takes too long: got {more:.0} µs, at most {MISS_US:.0} µs is allowed"
        )],
        false => vec![],
    })
}

/// Reads an answer of a known length to its end.
fn answer(connection: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(std::io::Error::other(format!(
            "the server answered {line:?}"
        )));
    }
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let field = line.trim().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    connection.read_exact(&mut vec![0; length])
}
