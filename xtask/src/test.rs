//! `cargo xtask test`: all tests and checks, in one command.

use std::{num::NonZero, path::Path, process::Command, thread, time::Instant};

use crate::{
    deny, guests, onnxruntime, packages, paths, process,
    process::{cargo, output},
    programs, selection,
    step::{Outcome, seconds, step},
    venv,
};

/// Tests that run at the same time for each core.
const TESTS_PER_CORE: usize = 2;
/// The package that checks a server against its own OpenAPI document.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// Helm's library, and the schemas of the objects of Kubernetes, which check the chart.
const KUBERNETES: [&str; 2] = ["helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0"];

/// Runs the tests whose names contain one of the filters, or all of them and the checks of style.
pub(crate) fn run(filters: &[String]) -> Outcome {
    let start = Instant::now();
    guests::build()?;
    programs::fetch()?;
    needs()?;
    let onnxruntime = onnxruntime::fetch()?;
    let root = paths::root();
    let workspace = |words: &[&str]| {
        let mut command = cargo();
        command
            .args(words)
            .current_dir(&root)
            .env("ONNXRUNTIME_PYTHON", &onnxruntime.python)
            .env("ONNXRUNTIME_LIBRARY", &onnxruntime.library);
        command
    };

    step("build the tests and the programs that they run", || {
        process::run(&mut workspace(&[
            "build",
            "--workspace",
            "--bins",
            "--tests",
        ]))
    })?;
    let nextest = output(cargo().args(["nextest", "--version"])).is_ok();
    step("run the tests", || {
        if nextest {
            let all = ["nextest", "run", "--workspace", "--no-fail-fast"];
            // Tests wait more than they compute. Those that need a quiet machine are named in `.config/nextest.toml`.
            let cores = thread::available_parallelism().map_or(1, NonZero::get);
            let threads = (TESTS_PER_CORE * cores).to_string();
            process::run(
                workspace(&all)
                    .args(["--test-threads", &threads])
                    .args(filters),
            )
        } else if filters.len() > 1 {
            // The standard runner takes more filters only behind `--`.
            process::run(
                workspace(&["test", "--workspace", "--lib", "--bins", "--tests", "--"])
                    .args(filters),
            )
        } else {
            process::run(
                workspace(&["test", "--workspace", "--lib", "--bins", "--tests"]).args(filters),
            )
        }
    })?;
    if !filters.is_empty() {
        println!(
            "\ntests passed in {}: only those that match {}",
            seconds(start.elapsed()),
            filters.join(" or ")
        );
        return Ok(());
    }

    step(
        "run the tests of packages with a workspace of their own",
        || {
            for example in [
                "examples/hello",
                "examples/send-email",
                "examples/pictures",
                "examples/webhooks",
                "examples/rewriter",
                "examples/assistant",
                "examples/slash",
                "examples/thumbnailer",
                "crates/build/compat/wasm-bindgen-macro",
                "crates/build/compat/wasm-bindgen",
            ] {
                let mut test = cargo();
                test.args(["test", "--quiet"])
                    .current_dir(root.join(example));
                process::run(test.env("CARGO_TARGET_DIR", paths::target().join("examples")))?;
            }
            // The example in Python, without its component.
            process::run(
                Command::new("python3")
                    .args(["-m", "unittest", "discover", "--quiet"])
                    .env("PYTHONDONTWRITEBYTECODE", "1")
                    .current_dir(root.join("examples/columns")),
            )
        },
    )?;
    step("run the examples in the documentation", || {
        process::run(&mut workspace(&["test", "--doc", "--workspace"]))
    })?;
    step("check the format", || {
        process::run(&mut workspace(&["fmt", "--all", "--check"]))
            .map_err(|e| e.next("cargo fmt --all"))
    })?;
    step("check the lints", || {
        let lint = |words: &[&str]| {
            let mut clippy = workspace(&["clippy"]);
            process::run(clippy.args(words).args(["--", "-D", "warnings"]))
        };
        lint(&["--workspace", "--all-targets"])?;
        // The server without models, which nothing else here compiles.
        lint(&[selection::DEMO, &["--bins"]].concat())
    })?;
    step("check that the demo shares its build", selection::check)?;
    let advisories = step("check the dependencies", deny::check)?;
    println!(
        "\nall tests and checks passed in {}; {advisories}",
        seconds(start.elapsed())
    );
    Ok(())
}

/// Installs the programs that tests need: those that commands run and, for the browser, node with the driver's package
/// and Chromium.
fn needs() -> Outcome {
    packages::need(
        "python3",
        "python3",
        "a worker of the documentation is a Python program",
    )?;
    venv::of("schemathesis", &[SCHEMATHESIS])?;
    venv::of("kubernetes", &KUBERNETES)?;
    packages::need("pebble", "pebble", "an authority for `[tls.acme]`")?;
    packages::need(
        "/usr/bin/pg_ctlcluster",
        "postgresql",
        "tests start databases of fleets",
    )?;
    packages::need("promtool", "prometheus", "it checks the metrics")?;
    packages::need(
        "/usr/bin/convert",
        "imagemagick",
        "an example makes it a command",
    )?;
    packages::need("ip", "iproute2", "tests make networks of their own")?;
    packages::need("unshare", "util-linux", "tests make networks of their own")?;
    packages::need("strace", "strace", "it lists what the unit has to allow")?;
    packages::need("script", "bsdutils", "tests need a terminal")?;
    packages::need("node", "nodejs", "the browser test is a node program")?;
    packages::need("npm", "npm", "a template in JavaScript is built")?;
    let folder = paths::root().join("tests/browser");
    let installed = folder.join("node_modules/.package-lock.json");
    if !newer(&installed, &folder.join("package-lock.json")) {
        step("fetch the package that drives the browser", || {
            process::run(
                Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund"])
                    .current_dir(&folder),
            )
        })?;
    }
    let chosen = std::env::var_os("IOF_CHROMIUM");
    let chromium = chosen
        .as_deref()
        .map_or(Path::new("/usr/bin/chromium"), Path::new);
    if !chromium.is_file() {
        packages::install(&["chromium"], "the browser test").map_err(|problem| {
            problem.next("install Chromium, and name its program in IOF_CHROMIUM")
        })?;
    }
    Ok(())
}

fn newer(file: &Path, than: &Path) -> bool {
    let modified = |file: &Path| file.metadata().and_then(|file| file.modified());
    matches!((modified(file), modified(than)), (Ok(file), Ok(than)) if file >= than)
}
