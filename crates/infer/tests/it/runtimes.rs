//! Every format against its own runtime. The references are committed with the script that makes them
//! (`scripts/make_models.py`); if onnxruntime is installed, `live` compares with it directly.

use iof_infer::{Format, Signature, Tensor};
use tokio::time::Instant;

use crate::setup::{LONG, assert_close, bytes, fixture, le, numbers, references, setup};

/// Both compute in f32, in different orders.
const TOLERANCE: f32 = 1e-4;

#[tokio::test]
async fn onnx_matches_onnxruntime() {
    let (setup, references) = (setup(), references());
    setup.put("digits", "digits.onnx", "");
    let batch = numbers(&references["batch"]);
    let spec = "image:f32:8,1,8,8";
    let printed = setup.prints(&["digits", "--input", spec], le(&batch)).await;
    assert_eq!(printed["logits"]["shape"], serde_json::json!([8, 10]));
    assert_eq!(printed["logits"]["type"], "f32");
    let logits = numbers(&printed["logits"]["data"]);
    assert_close(&logits, &numbers(&references["batch_logits"]), TOLERANCE);
    // The classification is right as well.
    for (row, target) in logits
        .chunks(10)
        .zip(references["targets"].as_array().unwrap())
    {
        let best = (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert_eq!(best as u64, target.as_u64().unwrap());
    }
}

#[tokio::test]
async fn tensorflow_lite_matches_its_interpreter() {
    let (setup, references) = (setup(), references());
    setup.put("digits", "digits.tflite", "");
    let description = setup.inference.show("digits").await.unwrap();
    assert_eq!(description.description.format, Format::TfLite);
    let first = numbers(&references["batch"])[..64].to_vec();
    let printed = setup.prints(&["digits"], le(&first)).await;
    let output = &description.description.outputs[0].name;
    let logits = numbers(&printed[output]["data"]);
    assert_close(&logits, &numbers(&references["lite_logits"]), TOLERANCE);
}

#[tokio::test]
async fn a_frozen_graph_matches_tensorflow() {
    let (setup, references) = (setup(), references());
    setup.put("digits", "digits.pb", "inputs = [\"input:f32:1,8,8,3\"]");
    let rgb: Vec<f32> = numbers(&references["rgb"])
        .iter()
        .map(|v| v / 255.0)
        .collect();
    let printed = setup.prints(&["digits"], le(&rgb)).await;
    let softmax = numbers(&printed["MobilenetV2/Predictions/Softmax"]["data"]);
    assert_close(&softmax, &numbers(&references["rgb_softmax"]), TOLERANCE);
}

#[tokio::test]
async fn a_session_computes_tensors_without_a_command() {
    let (setup, references) = (setup(), references());
    setup.put("digits", "digits.onnx", "");
    let signature = Signature {
        inputs: vec!["image:f32:8,1,8,8".parse().unwrap()],
        outputs: vec!["logits".to_owned()],
    };
    let deadline = Instant::now() + LONG;
    let session = setup
        .inference
        .session("digits", Some(signature), deadline)
        .await
        .unwrap();
    let batch = Tensor::of_floats(vec![8, 1, 8, 8], &numbers(&references["batch"])).unwrap();
    let outputs = session.compute(vec![batch], deadline).await.unwrap();
    let logits: Vec<f32> = outputs[0]
        .data()
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    assert_eq!(outputs[0].shape(), [8, 10]);
    assert_close(&logits, &numbers(&references["batch_logits"]), TOLERANCE);
}

/// Runs onnxruntime on inputs that are not committed. `ONNXRUNTIME_PYTHON` names a Python that has onnxruntime and
/// numpy; without it the test reports that and ends.
#[tokio::test]
async fn live() {
    let Ok(python) = std::env::var("ONNXRUNTIME_PYTHON") else {
        println!("not run: ONNXRUNTIME_PYTHON names no Python with onnxruntime");
        return;
    };
    let setup = setup();
    setup.put("digits", "digits.onnx", "");
    let values: Vec<f32> = (0..640).map(|i| (i as f32 * 0.37).sin().abs()).collect();
    let script = "import sys, numpy, onnxruntime\n\
        x = numpy.frombuffer(sys.stdin.buffer.read(), numpy.float32).reshape(10, 1, 8, 8)\n\
        y = onnxruntime.InferenceSession(sys.argv[1]).run(None, {'image': x})[0]\n\
        sys.stdout.buffer.write(y.tobytes())";
    let mut child = tokio::process::Command::new(python)
        .args(["-c", script])
        .arg(fixture("digits.onnx"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, &le(&values))
        .await
        .unwrap();
    drop(stdin);
    let answer = child.wait_with_output().await.unwrap().stdout;
    let expected: Vec<f32> = answer
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let spec = "image:f32:10,1,8,8";
    let printed = setup
        .prints(&["digits", "--input", spec], le(&values))
        .await;
    assert_close(&numbers(&printed["logits"]["data"]), &expected, TOLERANCE);
}

#[test]
fn formats_are_detected_by_content() {
    for (file, format) in [
        ("digits.onnx", Some(Format::Onnx)),
        ("digits.pb", Some(Format::TensorFlow)),
        ("digits.tflite", Some(Format::TfLite)),
        ("digit.png", None),
        ("digit.jpg", None),
        ("references.json", None),
    ] {
        assert_eq!(Format::detect(&bytes(file)), format, "{file}");
    }
    assert_eq!(Format::detect(b""), None);
    assert_eq!(Format::detect(&[0xff; 64]), None);
}
