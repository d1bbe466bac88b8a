//! The command line of `infer`, as a function uses it.

use std::time::Duration;

use crate::setup::{LONG, bytes, le, numbers, references, setup};

const DECLARED: &str = "top = 3\nsoftmax = true\n[image]\n";

#[tokio::test]
async fn a_declared_model_needs_no_options() {
    let (setup, references) = (setup(), references());
    setup.put("digits", "digits.onnx", DECLARED);
    let labels = "zero one two three four five six seven eight nine";
    let label = labels
        .split(' ')
        .nth(references["digit"].as_u64().unwrap() as usize);
    for file in ["digit.jpg", "digit.png"] {
        let best = setup.prints(&["digits"], bytes(file)).await;
        assert_eq!(best.as_array().unwrap().len(), 3);
        assert_eq!(best[0]["label"].as_str(), label, "{file}: {best}");
        assert_eq!(best[0]["index"], references["digit"]);
        assert!(best[0]["score"].as_f64().unwrap() > 0.5, "{file}: {best}");
    }
    let best = setup
        .prints(&["digits", "--top", "1"], bytes("digit.jpg"))
        .await;
    assert_eq!(best.as_array().unwrap().len(), 1);
    let whole = setup
        .prints(&["digits", "--json"], bytes("digit.jpg"))
        .await;
    assert_eq!(whole["logits"]["data"].as_array().unwrap().len(), 10);
    // Options override the declaration.
    let digit = &numbers(&references["batch"])[..64];
    let raw = setup
        .prints(&["digits", "--raw", "--top", "1"], le(digit))
        .await;
    assert_eq!(raw[0]["index"], references["targets"][0]);
}

#[tokio::test]
async fn several_inputs_are_read_one_after_the_other() {
    let setup = setup();
    setup.put("two", "two.onnx", "");
    let a: Vec<f32> = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let b: Vec<u8> = [10i64, 20, 30]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let (first, second) = ("a:f32:2,3", "b:i64:3");
    let ab = [le(&a), b.clone()].concat();
    let printed = setup
        .prints(&["two", "--input", first, "--input", second], ab.clone())
        .await;
    let sum = serde_json::json!([11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    assert_eq!(printed["sum"]["data"], sum);
    assert_eq!(printed["product"]["data"][5], 180.0);
    // In the order of the arguments, and only the requested outputs.
    let ba = [b, le(&a)].concat();
    let args = [
        "two", "--input", second, "--input", first, "--output", "sum",
    ];
    let printed = setup.prints(&args, ba).await;
    assert_eq!(
        printed,
        serde_json::json!({"sum": {"type": "f32", "shape": [2, 3], "data": sum}})
    );
    let (status, line) = setup.fails(&args, ab[..40].to_vec()).await;
    assert_eq!(status, 4);
    assert_eq!(
        line,
        "stdin is not the 48 bytes of b:i64:3 and a:f32:2,3: got 40"
    );
}

#[tokio::test]
async fn npy_matches_the_format_of_numpy() {
    let setup = setup();
    setup.put("two", "two.onnx", "");
    let stdin = [le(&[1.5, 2.5]), 1i64.to_le_bytes().to_vec()].concat();
    let args = ["two", "--input", "a:f32:2,1", "--input", "b:i64:1", "--npy"];
    let output = setup.run(&args, stdin).await;
    assert_eq!(output.status, 0, "{:?}", output.stderr);
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1,), }";
    let one = |values: &[f32]| {
        let head = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes()].concat();
        let padding = vec![b' '; 128 - head.len() - 1];
        [head, padding, b"\n".to_vec(), le(values)].concat()
    };
    let expected = [one(&[2.5, 3.5]), one(&[1.5, 2.5])].concat();
    assert_eq!(output.stdout, expected);
}

#[tokio::test]
async fn every_usage_error_names_the_argument() {
    let setup = setup();
    setup.put("digits", "digits.onnx", "");
    setup.put("two", "two.onnx", "");
    setup.put("lost", "digits.onnx", "inputs = [\"nothing:f32:1\"]");
    for (args, says) in [
        (&[][..], "<MODEL>"),
        (&["digits", "--frob"], "--frob"),
        (
            &["digits", "--input", "x:f32:1"],
            "no input \"x\". Name one of image",
        ),
        (
            &["digits", "--input", "image:u8:1,1,8,8"],
            "\"image\" is f32 in the model: got u8",
        ),
        (
            &["digits", "--output", "c1"],
            "no output \"c1\". Name one of logits",
        ),
        (
            &["digits", "--output", "k1"],
            "no output \"k1\". Name one of logits",
        ),
        (
            &["digits", "--output", "logits", "--output", "logits"],
            "named twice",
        ),
        (&["two"], "--input a:TYPE:SHAPE"),
        (&["two", "--image"], "one input"),
        (
            &["two", "--input", "a:f32:2,1"],
            "the input b:i64:n is missing",
        ),
        (&["Digits"], "is not valid: got \"Digits\""),
        (&["../digits"], "is not valid: got \"../digits\""),
    ] {
        // Enough bytes for each of them, so that stdin is not the error.
        let stdin = match args.get(2) {
            Some(&"image:u8:1,1,8,8") => vec![0; 64],
            Some(&"x:f32:1") => vec![0; 4],
            Some(&"a:f32:2,1") => vec![0; 8],
            _ => vec![0; 256],
        };
        let (status, line) = setup.fails(args, stdin).await;
        assert_eq!(status, 2, "{args:?}: {line}");
        assert!(line.contains(says), "{args:?}: {line}");
    }
    let (status, line) = setup.fails(&["lost"], vec![0; 4]).await;
    assert_eq!(status, 3, "{line}");
    assert!(line.contains("no input \"nothing\""), "{line}");
    let (status, line) = setup.fails(&["missing"], "").await;
    assert_eq!(status, 3);
    assert!(
        line.contains("the model is unknown: got \"missing\""),
        "{line}"
    );
    let help = setup.run(&["--help"], "").await;
    let text = String::from_utf8(help.stdout.to_vec()).unwrap();
    assert!(
        help.status == 0 && text.contains("--input <NAME:TYPE:SHAPE>"),
        "{text}"
    );
}

#[tokio::test]
async fn without_the_grant_nothing_runs() {
    let mut setup = setup();
    setup.put("digits", "digits.onnx", "");
    setup.call.grants = std::sync::Arc::default();
    let refused = setup.try_run("infer", &["digits"], "", LONG).await;
    assert_eq!(refused, Err(iof_command::Refusal::NotGranted));
}

#[tokio::test]
async fn many_first_calls_load_once() {
    let setup = setup();
    setup.put("digits", "digits.onnx", "");
    let references = references();
    let digit = le(&numbers(&references["batch"])[..64]);
    let calls = (0..32).map(|_| setup.prints(&["digits", "--top", "1"], digit.clone()));
    for printed in futures::future::join_all(calls).await {
        assert_eq!(printed[0]["index"], references["targets"][0]);
    }
    let (bytes, workers) = setup.inference.in_use();
    assert!(
        bytes > 10_000 && bytes < 1_000_000,
        "{bytes} bytes of weights"
    );
    assert_eq!(workers, 0);
    tokio::time::timeout(Duration::from_secs(5), setup.inference.closed())
        .await
        .unwrap();
}
