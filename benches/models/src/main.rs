//! The cost of `infer` over tract itself, and both beside onnxruntime, in one run.
//!
//! ```text
//! python crates/infer/scripts/mobilenet.py make mobilenet.onnx
//! cargo build --release -p iof-infer -p models-bench --bins
//! ONNXRUNTIME_PYTHON=python target/release/models-bench mobilenet.onnx 100
//! ```
//!
//! Each figure is the median of the runs, which take turns so that a busy machine is busy for all
//! of them. `ONNXRUNTIME_PYTHON` names a Python with onnxruntime, and `ONNXRUNTIME_LIBRARY` its
//! library, on which `infer` runs the model, too; without one, its figures are left out.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for people, who read its figures and its panics"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iof_command::{CallContext, Grants, Registry, Request};
use iof_infer::{Config, Infer, Inference, Parts, Signature, Tensor};
use tract_onnx::prelude::*;
use uuid::Uuid;

#[tokio::main]
async fn main() {
    let args: Vec<_> = std::env::args().collect();
    let (path, runs) = (args[1].clone(), args[2].parse::<usize>().unwrap());
    let model = std::fs::read(&path).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        models: directory.path().join("models"),
        ..Config::default()
    };
    let program = std::env::current_exe().unwrap();
    let worker = program.parent().unwrap().join("iof-infer-worker");
    let library = std::env::var_os("ONNXRUNTIME_LIBRARY").map(PathBuf::from);
    let on_library = library.map(|onnxruntime| Config {
        onnxruntime,
        ..config.clone()
    });
    let inference = Inference::new(config, vec![worker.clone()]).unwrap();
    for (name, declaration) in [("here", ""), ("there", "isolated = true")] {
        let parts = Parts {
            model: model.clone(),
            declaration: Some(declaration.to_owned()),
            labels: None,
        };
        inference.add(name, parts, false).await.unwrap();
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(3600);
    let started = Instant::now();
    let session = inference.session("here", None, deadline).await.unwrap();
    println!(
        "load {:?}: described and tried in a worker, then loaded",
        started.elapsed()
    );
    let there = inference.session("there", None, deadline).await.unwrap();
    let onnxruntime = match on_library {
        Some(config) => {
            let inference = Inference::new(config, vec![worker]).unwrap();
            Some(inference.session("here", None, deadline).await.unwrap())
        }
        None => None,
    };
    let Signature { inputs, .. } = session.signature().clone();
    let spec = &inputs[0];
    let count = spec.size().unwrap() / 4;
    let values = vec![0.5f32; count];
    let tensor = Tensor::of_floats(spec.shape.clone(), &values).unwrap();
    let mut registry = Registry::new();
    registry.register(Infer::new(inference.clone()));
    let call = CallContext {
        call: Uuid::nil(),
        function: "bench".into(),
        function_id: 1,
        version: 1,
        grants: Arc::new(Grants {
            commands: ["infer".to_owned()].into(),
            ..Grants::default()
        }),
        secrets: Arc::default(),
        depth: 0,
        deadline,
        trace: None,
    };
    let request = Request {
        args: vec!["here".to_owned(), "--top".to_owned(), "5".to_owned()],
        env: Vec::new(),
        stdin: tensor.data().clone(),
        timeout: Duration::from_secs(60),
    };

    // tract as its own examples use it.
    let bare = onnx().model_for_path(&path).unwrap();
    let bare = bare
        .with_input_fact(0, f32::fact(&spec.shape).into())
        .unwrap()
        .into_optimized()
        .unwrap()
        .into_runnable()
        .unwrap();
    let mut native = tract_onnx::prelude::Tensor::zero_dt(f32::datum_type(), &spec.shape).unwrap();
    native.fill_t(0.5f32).unwrap();
    let native = native.into_tvalue();

    let mut times = [const { Vec::new() }; 5];
    for _ in 0..runs {
        let mut lap = |at: usize, started: Instant| times[at].push(started.elapsed());
        let started = Instant::now();
        bare.run(tvec!(native.clone())).unwrap();
        lap(0, started);
        let started = Instant::now();
        let output = registry.run(&call, "infer", request.clone()).await.unwrap();
        assert_eq!(output.status, 0, "{:?}", output.stderr);
        lap(1, started);
        let started = Instant::now();
        session
            .compute(vec![tensor.clone()], deadline)
            .await
            .unwrap();
        lap(2, started);
        let started = Instant::now();
        there.compute(vec![tensor.clone()], deadline).await.unwrap();
        lap(3, started);
    }
    // By itself, as Python's runs below are: in turns with tract, each would find its weights out of
    // the processor's caches.
    if let Some(session) = &onnxruntime {
        for _ in 0..runs + 3 {
            let started = Instant::now();
            session
                .compute(vec![tensor.clone()], deadline)
                .await
                .unwrap();
            times[4].push(started.elapsed());
        }
    }
    let [bare, command, session, there, library] = times.map(median);
    let print = |name: &str, ms: f64| {
        println!(
            "{name:<22} {ms:9.3} ms   {:5.2} of tract's speed",
            bare / ms
        );
    };
    print("tract, bare", bare);
    print("infer, as a command", command);
    print("a session", session);
    print("a session in a worker", there);
    if onnxruntime.is_some() {
        print("a session, onnxruntime", library);
    }
    if let Ok(python) = std::env::var("ONNXRUNTIME_PYTHON") {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../crates/infer/scripts/mobilenet.py"
        );
        let output = std::process::Command::new(python)
            .args([script, "time", &path, &runs.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let alone = text.trim().parse().unwrap();
        print("onnxruntime, 1 thread", alone);
        if onnxruntime.is_some() {
            println!("onnxruntime ratio {:.2}", alone / library);
        }
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let middle = times.get(times.len() / 2);
    middle.map_or(f64::NAN, Duration::as_secs_f64) * 1e3
}
