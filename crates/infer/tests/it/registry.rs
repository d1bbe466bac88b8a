//! Models that are added and removed while a server runs, also by a process that is killed.

use std::time::{Duration, Instant};

use iof_infer::{Dim, Format, Kind, Parts};

use crate::setup::{Setup, assert_close, bytes, le, numbers, references, setup, worker};

fn parts(model: &str) -> Parts {
    Parts {
        model: bytes(model),
        declaration: Some("top = 1\n[image]\n".to_owned()),
        labels: Some("null\neins\n".to_owned()),
    }
}

/// Longer than the time for which a model counts as unchanged.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

fn left_over(setup: &Setup) -> Vec<String> {
    let entries = std::fs::read_dir(setup.directory.path().join("models")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn models_are_added_shown_replaced_and_removed() {
    let setup = setup();
    let inference = &setup.inference;
    assert_eq!(inference.list().await.unwrap(), []);
    let description = inference
        .add("digits", parts("digits.onnx"), false)
        .await
        .unwrap();
    assert_eq!((description.format, description.nodes), (Format::Onnx, 13));
    let model = inference.show("digits").await.unwrap();
    assert_eq!(model.description, description);
    assert_eq!((model.labels, model.declaration.top), (2, Some(1)));
    let [input] = &*description.inputs else {
        panic!()
    };
    assert_eq!(input.to_string(), "image:f32:batch,1,8,8");
    assert_eq!(
        input.shape.as_ref().unwrap()[0],
        Dim::Symbol("batch".to_owned())
    );
    let [output] = &*description.outputs else {
        panic!()
    };
    assert_eq!(output.name, "logits");
    assert_eq!(
        setup
            .prints(&["digits"], bytes("digit.png"))
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let again = inference
        .add("digits", parts("digits.onnx"), false)
        .await
        .unwrap_err();
    assert!(
        again.kind == Kind::Model && again.to_string().contains("already"),
        "{again}"
    );
    // A running server uses the current model, and so does every other process.
    let lite = Parts {
        declaration: None,
        ..parts("digits.tflite")
    };
    inference.add("digits", lite, true).await.unwrap();
    a_moment().await;
    assert_eq!(
        inference.show("digits").await.unwrap().description.format,
        Format::TfLite
    );
    let references = references();
    let first = numbers(&references["batch"])[..64].to_vec();
    let printed = setup.prints(&["digits"], le(&first)).await;
    let data = printed.as_object().unwrap().values().next().unwrap();
    assert_close(
        &numbers(&data["data"]),
        &numbers(&references["lite_logits"]),
        1e-4,
    );
    let listed = inference.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].size, Some(bytes("digits.tflite").len() as u64));

    inference.remove("digits").await.unwrap();
    a_moment().await;
    assert_eq!(setup.fails(&["digits"], "").await.0, 3);
    assert_eq!(inference.in_use(), (0, 0), "a removed model is not kept");
    assert_eq!(
        inference.remove("digits").await.unwrap_err().kind,
        Kind::Model
    );
    assert_eq!(left_over(&setup), Vec::<String>::new());
}

#[tokio::test]
async fn a_change_by_hand_is_noticed() {
    let setup = setup();
    setup.put("digits", "digits.onnx", "top = 1\n[image]\n");
    let best = setup.prints(&["digits"], bytes("digit.png")).await;
    assert_eq!(best.as_array().unwrap().len(), 1);
    a_moment().await;
    setup.put("digits", "digits.onnx", "top = 2\n[image]\n");
    a_moment().await;
    let best = setup.prints(&["digits"], bytes("digit.png")).await;
    assert_eq!(best.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_model_that_does_not_load_is_not_added() {
    let setup = setup();
    for (model, kind) in [
        (bytes("digit.png"), Kind::Model),
        (bytes("digits.onnx")[..3000].to_vec(), Kind::Model),
        (Vec::new(), Kind::Model),
    ] {
        let parts = Parts {
            model,
            ..Parts::default()
        };
        let error = setup.inference.add("bad", parts, false).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
    let declared = Parts {
        declaration: Some("frob = 1".to_owned()),
        ..parts("digits.onnx")
    };
    assert!(setup.inference.add("bad", declared, false).await.is_err());
    for name in ["", "A", ".a", "a/b", "..", "-a", &"a".repeat(65)] {
        let error = setup
            .inference
            .add(name, parts("digits.onnx"), false)
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::Usage, "{name}");
    }
    assert_eq!(setup.inference.list().await.unwrap(), []);
}

/// Kills a process that adds models again and again, at many moments: the model is always complete.
#[tokio::test]
async fn a_kill_leaves_a_whole_model_or_none() {
    let setup = setup();
    let models = setup.directory.path().join("models");
    // A large model takes long to write: an ONNX model can be extended, here by its field 6, a description of 32 MiB.
    let text = [&b"\x32\x80\x80\x80\x10"[..], &vec![b'x'; 32 << 20]].concat();
    let large = [bytes("digits.onnx"), text].concat();
    let file = setup.directory.path().join("large.onnx");
    tokio::fs::write(&file, &large).await.unwrap();
    let start = || {
        let mut command = tokio::process::Command::new(&worker()[0]);
        command.arg("add").arg(&models).arg("digits").arg(&file);
        command.spawn().unwrap()
    };
    let started = Instant::now();
    assert!(start().wait().await.unwrap().success());
    let whole = started.elapsed();
    setup.inference.remove("digits").await.unwrap();
    let mut seen = 0;
    // Most of the time passes before anything is written.
    for moment in 0..30 {
        let mut child = start();
        tokio::time::sleep(whole.mul_f64(0.4 + f64::from(moment) / 30.0)).await;
        let _ = child.start_kill();
        child.wait().await.unwrap();
        for listed in setup.inference.list().await.unwrap() {
            seen += 1;
            assert_eq!(listed.name, "digits");
            assert_eq!(listed.size, Some(large.len() as u64));
            let description = setup.inference.show("digits").await.unwrap();
            assert_eq!(
                (description.labels, description.declaration.top),
                (2, Some(1))
            );
        }
    }
    println!("whole after {seen} of 30 kills");
    setup
        .inference
        .add("digits", parts("digits.onnx"), true)
        .await
        .unwrap();
}
