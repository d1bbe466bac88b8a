//! ONNX models on the operator's onnxruntime: the same answers as tract, and the errors.
//!
//! `ONNXRUNTIME_LIBRARY` names a `libonnxruntime.so` and `ONNXRUNTIME_PYTHON` a Python that has numpy
//! and onnx, as `cargo xtask test` sets them; without them, a test that needs them reports that and ends.

use std::path::{Path, PathBuf};

use iof_infer::{Config, Kind, Tensor};
use tokio::time::Instant;

use crate::setup::{LONG, Setup, assert_close, le, numbers, references, setup, with};

/// Both compute in f32, in different orders.
const TOLERANCE: f32 = 1e-4;

fn library() -> Option<PathBuf> {
    let named = std::env::var_os("ONNXRUNTIME_LIBRARY").map(PathBuf::from);
    if named.is_none() {
        eprintln!("not run: ONNXRUNTIME_LIBRARY names no library");
    }
    named
}

fn on(library: impl Into<PathBuf>) -> Config {
    Config {
        onnxruntime: library.into(),
        ..Config::default()
    }
}

async fn logits(setup: &Setup, batch: &[f32]) -> Vec<f32> {
    let printed = setup
        .prints(&["digits", "--input", "image:f32:8,1,8,8"], le(batch))
        .await;
    assert_eq!(printed["logits"]["shape"], serde_json::json!([8, 10]));
    numbers(&printed["logits"]["data"])
}

#[tokio::test]
async fn digits_match_tract() {
    let Some(library) = library() else { return };
    let (references, onnx, tract) = (references(), with(on(library)), setup());
    let batch = numbers(&references["batch"]);
    for setup in [&onnx, &tract] {
        setup.put("digits", "digits.onnx", "");
    }
    assert_close(
        &logits(&onnx, &batch).await,
        &logits(&tract, &batch).await,
        TOLERANCE,
    );
    let (weights, workers) = onnx.inference.in_use();
    assert_eq!((weights, workers), (0, 1), "the model is in its worker");
    // The description is the same except for the shapes that only onnxruntime infers.
    let (a, b) = (
        onnx.inference.show("digits").await.unwrap().description,
        tract.inference.show("digits").await.unwrap().description,
    );
    assert_eq!((a.format, a.nodes, a.inputs), (b.format, b.nodes, b.inputs));
    assert_eq!(a.outputs[0].name, b.outputs[0].name);
    let version = onnx.inference.onnxruntime().await.unwrap().unwrap();
    assert!(version.contains("ORT Build Info"), "{version}");
}

#[tokio::test]
async fn other_types_and_formats_are_not_affected() {
    let Some(library) = library() else { return };
    let setup = with(on(library));
    setup.put("echo", "echo_u8.onnx", "");
    let description = setup.inference.show("echo").await.unwrap().description;
    assert_eq!(description.outputs[0].to_string(), "seen:u8:1,8,8,3");
    let pixels: Vec<u8> = (0..192).collect();
    let printed = setup.prints(&["echo"], pixels.clone()).await;
    assert_eq!(printed["seen"]["data"], serde_json::json!(pixels));
    let spec = "image:u8:1,8,8,4";
    let (status, line) = setup.fails(&["echo", "--input", spec], vec![0; 256]).await;
    assert_eq!(status, 3, "{line}");
    assert!(
        line.contains("the model has image:u8:1,8,8,3: got image:u8:1,8,8,4"),
        "{line}"
    );
    // TensorFlow's formats stay with tract.
    setup.put("lite", "digits.tflite", "");
    let first = numbers(&references()["batch"])[..64].to_vec();
    setup.prints(&["lite"], le(&first)).await;
    assert_eq!(setup.inference.in_use().1, 1, "only the echo has a worker");
}

#[tokio::test]
async fn mobilenet_matches_tract() {
    let (Some(library), Ok(python)) = (library(), std::env::var("ONNXRUNTIME_PYTHON")) else {
        println!("not run: ONNXRUNTIME_PYTHON names no Python with onnx");
        return;
    };
    let (one, two) = (with(on(&library)), {
        let threads = Config {
            onnxruntime_threads: 2,
            ..on(&library)
        };
        with(threads)
    });
    let tract = setup();
    let file = one.directory.path().join("mobilenet.onnx");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mobilenet.py");
    let output = tokio::process::Command::new(python)
        .arg(script)
        .arg("make")
        .arg(&file)
        .status();
    assert!(output.await.unwrap().success());
    let model = tokio::fs::read(&file).await.unwrap();
    let shape = vec![1, 3, 224, 224];
    let values: Vec<f32> = (0..3 * 224 * 224)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let mut answers = Vec::new();
    for setup in [&tract, &one, &two] {
        let parts = iof_infer::Parts {
            model: model.clone(),
            ..iof_infer::Parts::default()
        };
        setup
            .inference
            .add("mobilenet", parts, false)
            .await
            .unwrap();
        let deadline = Instant::now() + LONG;
        let session = setup.inference.session("mobilenet", None, deadline);
        let session = session.await.unwrap();
        let input = Tensor::of_floats(shape.clone(), &values).unwrap();
        let outputs = session.compute(vec![input], deadline).await.unwrap();
        let floats = outputs[0].data().chunks(4);
        let floats = floats.map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        answers.push(floats.collect::<Vec<f32>>());
    }
    let largest = answers[0].iter().fold(0f32, |most, v| most.max(v.abs()));
    for answer in &answers[1..] {
        assert_close(answer, &answers[0], largest * 1e-3);
    }
}

/// The error of a server whose setting names this file, or has these providers.
async fn refused(config: Config) -> String {
    let setup = with(config);
    setup.put("digits", "digits.onnx", "");
    let error = setup.inference.onnxruntime().await;
    let error = match error {
        Err(error) => error,
        Ok(_) => setup.inference.show("digits").await.unwrap_err(),
    };
    assert!(matches!(error.kind, Kind::Host | Kind::Model));
    let (_, line) = setup.fails(&["digits"], Vec::new()).await;
    let line = line.trim_start_matches("the model digits: ").to_owned();
    assert_eq!(
        error.to_string().trim_start_matches("the model digits: "),
        line
    );
    line
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_by_its_setting() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let other: u16 = if cfg!(target_arch = "x86_64") {
        183
    } else {
        62
    };
    let mut foreign = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    foreign.extend(other.to_le_bytes());
    tokio::fs::write(path("foreign.so"), foreign).await.unwrap();
    tokio::fs::write(path("text.so"), "a wheel").await.unwrap();
    for (name, expected) in [
        ("missing.so", "No such file or directory"),
        ("text.so", "which is not a shared library"),
        ("foreign.so", "a library for "),
    ] {
        let line = refused(on(path(name))).await;
        assert!(
            line.starts_with("infer.onnxruntime cannot be used: got "),
            "{line}"
        );
        assert!(
            line.contains(expected) && line.contains("iof models doctor"),
            "{line}"
        );
    }
    // Models of other formats still run.
    let setup = with(on(path("missing.so")));
    setup.put("lite", "digits.tflite", "");
    let first = numbers(&references()["batch"])[..64].to_vec();
    setup.prints(&["lite"], le(&first)).await;
}

#[tokio::test]
async fn a_missing_provider_is_refused_by_its_setting() {
    let Some(library) = library() else { return };
    for name in ["cuda", "warp"] {
        let config = Config {
            onnxruntime_providers: vec![name.to_owned()],
            ..on(&library)
        };
        let line = refused(config).await;
        assert!(line.contains("infer.onnxruntime_providers"), "{line}");
    }
}

#[tokio::test]
async fn limits_apply_to_onnxruntime() {
    let Some(library) = library() else { return };
    let limited = |output| Config {
        output: bytesize::ByteSize::b(output),
        model_nodes: 13,
        ..on(&library)
    };
    let setup = with(limited(39));
    setup.put("digits", "digits.onnx", "");
    let first = numbers(&references()["batch"])[..64].to_vec();
    let (status, line) = setup.fails(&["digits"], le(&first)).await;
    assert_eq!(status, 6, "{line}");
    assert!(line.contains("infer.output"), "{line}");
    let setup = with(Config {
        model_nodes: 12,
        ..limited(1000)
    });
    setup.put("digits", "digits.onnx", "");
    let (status, line) = setup.fails(&["digits"], le(&first)).await;
    assert_eq!(status, 6, "{line}");
    assert!(line.contains("infer.model_nodes = 12"), "{line}");
}
