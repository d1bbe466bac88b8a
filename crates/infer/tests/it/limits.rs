//! Each limit is reached once, and named by its error.

use std::time::{Duration, Instant};

use bytesize::ByteSize;
use iof_command::Refusal;
use iof_infer::{Config, Infer, Inference};

use crate::setup::{LONG, Setup, bytes, le, numbers, references, setup, with};

fn digit() -> Vec<u8> {
    le(&numbers(&references()["batch"])[..64])
}

async fn refused(setup: &Setup, args: &[&str], stdin: Vec<u8>, setting: &str) {
    let (status, line) = setup.fails(args, stdin).await;
    assert_eq!(status, 6, "{line}");
    assert!(line.contains(setting), "{line}");
}

#[tokio::test]
async fn sizes_are_limited() {
    let size = bytes("digits.onnx").len() as u64;
    let config = Config::default;
    for (config, setting) in [
        (
            Config {
                model_size: ByteSize::b(size - 1),
                ..config()
            },
            "infer.model_size",
        ),
        (
            Config {
                model_nodes: 12,
                ..config()
            },
            "infer.model_nodes = 12",
        ),
        (
            Config {
                loaded: ByteSize::b(1000),
                ..config()
            },
            "infer.loaded",
        ),
        (
            Config {
                input: ByteSize::b(255),
                ..config()
            },
            "infer.input",
        ),
        (
            Config {
                output: ByteSize::b(39),
                ..config()
            },
            "infer.output",
        ),
        (
            Config {
                output: ByteSize::b(60),
                ..config()
            },
            "infer.output",
        ),
        (
            Config {
                run_memory: ByteSize::b(1000),
                ..config()
            },
            "infer.run_memory",
        ),
        (
            Config {
                worker_memory: ByteSize::mib(1),
                ..config()
            },
            "",
        ),
    ] {
        let setup = with(config);
        setup.put("digits", "digits.onnx", "");
        if setting.is_empty() {
            // With so little memory a process does not even start.
            assert!(matches!(setup.fails(&["digits"], digit()).await.0, 6 | 7));
        } else {
            refused(&setup, &["digits"], digit(), setting).await;
        }
    }
    // No tensor is too large by itself, but all of them together are.
    let setup = with(Config {
        run_memory: ByteSize::b(1000),
        ..config()
    });
    setup.put("two", "two.onnx", "");
    let args = ["two", "--input", "a:f32:2,100", "--input", "b:i64:100"];
    refused(&setup, &args, vec![0; 1600], "infer.run_memory").await;
    // At the limit it works.
    let setup = with(Config {
        model_size: ByteSize::b(size),
        model_nodes: 13,
        input: ByteSize::b(256),
        output: ByteSize::b(200),
        ..config()
    });
    setup.put("digits", "digits.onnx", "");
    setup.prints(&["digits", "--top", "1"], digit()).await;
}

#[tokio::test]
async fn a_model_is_kept_for_few_shapes() {
    let setup = with(Config {
        plans_per_model: 2,
        ..Config::default()
    });
    setup.put("digits", "digits.onnx", "");
    setup.prints(&["digits"], digit()).await;
    let (one, _) = setup.inference.in_use();
    let batch = numbers(&references()["batch"]);
    for n in 2..=5 {
        let spec = format!("image:f32:{n},1,8,8");
        setup
            .prints(&["digits", "--input", &spec], le(&batch[..64 * n]))
            .await;
    }
    let (bytes, _) = setup.inference.in_use();
    assert!(
        bytes <= 2 * one + 1024,
        "{bytes} bytes for two shapes of {one}"
    );
}

#[tokio::test]
async fn time_is_limited_inside_and_outside_the_server() {
    let slow = le(&vec![0.001; 256 * 256]);
    for isolated in [false, true] {
        let setup = setup();
        let declaration = format!("isolated = {isolated}");
        setup.put("slow", "slow.onnx", &declaration);
        setup.put("digits", "digits.onnx", "");
        // The model is loaded first, because that takes its own time.
        let deadline = tokio::time::Instant::now() + LONG;
        setup
            .inference
            .session("slow", None, deadline)
            .await
            .unwrap();
        let started = Instant::now();
        let timeout = Duration::from_millis(300);
        let result = setup
            .try_run("infer", &["slow"], slow.clone(), timeout)
            .await;
        match result {
            Err(Refusal::TimedOut) => {}
            Ok(output) => assert_eq!(output.status, 5, "{:?}", output.stderr),
            Err(other) => panic!("{other:?}"),
        }
        assert!(
            started.elapsed() < Duration::from_millis(600),
            "{:?}",
            started.elapsed()
        );
        // Its permit is free soon after: the run has ended, and not only its caller.
        let calls = (0..8).map(|_| setup.prints(&["digits", "--top", "1"], digit()));
        let all = tokio::time::timeout(Duration::from_secs(20), futures::future::join_all(calls));
        all.await.unwrap();
    }
    let setup = with(Config {
        run_time: Duration::from_millis(300),
        ..Config::default()
    });
    setup.put("slow", "slow.onnx", "");
    let deadline = tokio::time::Instant::now() + LONG;
    setup
        .inference
        .session("slow", None, deadline)
        .await
        .unwrap();
    let (status, line) = setup.fails(&["slow"], slow).await;
    assert_eq!(status, 5, "{line}");
    assert!(line.contains("infer.run_time"), "{line}");
    let setup = with(Config {
        load_time: Duration::from_millis(1),
        ..Config::default()
    });
    setup.put("digits", "digits.onnx", "");
    let (status, line) = setup.fails(&["digits"], digit()).await;
    assert_eq!(status, 5, "{line}");
    assert!(line.contains("infer.load_time"), "{line}");
}

#[tokio::test]
async fn permits_and_the_queue_are_limited() {
    let setup = with(Config {
        concurrency: 1,
        queue: 2,
        // A run takes half a second on the fastest machine.
        run_time: Duration::from_millis(200),
        ..Config::default()
    });
    setup.put("slow", "slow.onnx", "");
    let deadline = tokio::time::Instant::now() + LONG;
    setup
        .inference
        .session("slow", None, deadline)
        .await
        .unwrap();
    let slow = le(&vec![0.001; 256 * 256]);
    let calls = (0..6).map(|_| setup.fails(&["slow"], slow.clone()));
    let lines = futures::future::join_all(calls).await;
    let busy = lines
        .iter()
        .filter(|(_, line)| line.contains("infer.queue = 2"))
        .count();
    assert_eq!(busy, 3, "one runs, two wait: {lines:?}");
    assert!(lines.iter().all(|(status, _)| *status == 5), "{lines:?}");
}

/// Models do not run on the runtime's threads: with all permits taken, a runtime of one thread still answers.
#[tokio::test]
async fn the_runtime_is_never_blocked() {
    let setup = setup();
    setup.put("slow", "slow.onnx", "");
    let slow = le(&vec![0.001; 256 * 256]);
    let timeout = Duration::from_millis(500);
    let run = setup.try_run("infer", &["slow"], slow, timeout);
    let tick = async {
        let (mut worst, end) = (Duration::ZERO, Instant::now() + Duration::from_millis(450));
        while Instant::now() < end {
            let started = Instant::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
            worst = worst.max(started.elapsed());
        }
        worst
    };
    let (_, worst) = tokio::join!(run, tick);
    assert!(
        worst < Duration::from_millis(150),
        "a timer was {worst:?} late"
    );
}

#[test]
fn a_command_is_shared_by_threads() {
    fn check<T: Send + Sync>() {}
    check::<Inference>();
    check::<Infer>();
}
