//! `cargo xtask bench commands`: the cost of a native program, a resident worker, and a model, each beside its raw
//! parts.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{Scratch, build, median, post, serve, upload};
use crate::{
    guests, onnxruntime,
    onnxruntime::Onnxruntime,
    packages, paths,
    process::run,
    step::{Outcome, Problem, step},
};

/// The time that a worker's start takes, and so each run of the one-shot program.
const START: Duration = Duration::from_millis(200);

/// A worker in the protocol of `docs/commands.md`; the same program, one run.
const WORKER: &str = "sleep 0.2; echo ready\nwhile read -r count size; do\n  for ((i = 0; i < count; i++)); do read -r arg; done\n  \
                      [ \"$size\" = 0 ] || head -c \"$size\" > /dev/null\n  printf '0 2 0\\nok'\ndone\n";
const ONE_SHOT: &str = "sleep 0.2; printf ok\n";

/// Runs the three benches, one after the other.
pub(crate) fn commands(rounds: u32) -> Outcome {
    guests::build()?;
    packages::need("python3", "python3", "onnxruntime is compared with")?;
    let release = build()?;
    step("a native `true` in a jail, beside a bare spawn", || {
        run(&mut Command::new(release.join("jail-bench")))
    })?;
    let scratch = Scratch::new()?;
    resident(&release, &scratch, rounds)?;
    infer(&release, &scratch)
}

/// A resident worker against the program that starts for each run, through a function and HTTP.
fn resident(release: &Path, scratch: &Scratch, rounds: u32) -> Outcome {
    // The script is an argument, because a program cannot see files of a checkout below /tmp.
    let settings = format!(
        "log = \"warn\"\n[defaults]\ncommands = [\"stays\", \"starts\"]\n\
         [commands.stays]\nprogram = \"/bin/bash\"\n[commands.stays.resident]\nargs = [\"-c\", '''{WORKER}''']\n\
         [commands.starts]\nprogram = \"/bin/bash\"\nargs = [\"-c\", '''{ONE_SHOT}''']\n"
    );
    let iof = serve(release, scratch, &settings)?;
    let path = upload(&iof.url, scratch, "command", "run_ssvm")?;
    let time = |program: &str, runs: u32| {
        let request = format!("{{\"program\":\"{program}\"}}");
        let began = Instant::now();
        for _ in 0..runs {
            let answer = post(&iof.url, &path, "text/plain", request.as_bytes())?;
            if !answer.contains("\"stdout\":\"ok\"") {
                return Err(Problem::new(format!("{program} answered {answer}")));
            }
        }
        Ok(began.elapsed().as_secs_f64() / f64::from(runs))
    };
    // The first calls start the worker and the wardens.
    time("stays", 1)?;
    time("starts", 1)?;
    let (mut stays, mut starts) = (vec![], vec![]);
    step(
        &format!("a resident worker, beside a start of {START:?} for each run"),
        || {
            for _ in 0..rounds {
                stays.push(time("stays", 200)?);
                starts.push(time("starts", 5)?);
            }
            Ok(())
        },
    )?;
    let (stays, starts) = (median(&mut stays), median(&mut starts));
    println!("   stays  {:.2} ms a call (median)", stays * 1e3);
    println!("   starts {:.2} ms a call (median)", starts * 1e3);
    println!("resident ratio {:.0}", starts / stays);
    Ok(())
}

/// The command against tract in a bare loop, and on onnxruntime against onnxruntime by itself, with one thread.
fn infer(release: &Path, scratch: &Scratch) -> Outcome {
    let Onnxruntime { python, library } = onnxruntime::fetch()?;
    let model = scratch.0.join("mobilenet.onnx");
    step("make a model of MobileNet V2's shape", || {
        run(Command::new(&python)
            .arg(paths::root().join("crates/infer/scripts/mobilenet.py"))
            .arg("make")
            .arg(&model))
    })?;
    step("`infer`, beside tract and onnxruntime", || {
        run(Command::new(release.join("models-bench"))
            .arg(&model)
            .arg("50")
            .env("ONNXRUNTIME_PYTHON", &python)
            .env("ONNXRUNTIME_LIBRARY", &library))
    })
}
