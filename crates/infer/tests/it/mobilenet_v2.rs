//! The command of 2020: its contract to the byte, and hostile graphs.

use std::time::{Duration, Instant};

use iof_infer::Config;

use crate::setup::{
    LONG, Setup, assert_close, bytes, failure, numbers, references, setup, with, with_worker,
};

const OUTPUT: &str = "MobilenetV2/Predictions/Softmax";

/// The arguments and stdin of a call.
fn call(graph: &[u8], input: &str, output: &str) -> (Vec<String>, Vec<u8>) {
    let rgb = numbers(&references()["rgb"]);
    let pixels: Vec<u8> = rgb.iter().map(|&v| v as u8).collect();
    let size = graph.len().to_string();
    let args = [&size, input, output, "8", "8"].map(str::to_owned).to_vec();
    (args, [graph, &pixels].concat())
}

async fn run(setup: &Setup, (args, stdin): (Vec<String>, Vec<u8>)) -> iof_command::Output {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    setup
        .try_run("mobilenet_v2", &args, stdin, LONG)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_output_matches_tensorflow_and_the_graph_stays_loaded() {
    let setup = setup();
    let graph = bytes("digits.pb");
    let expected = numbers(&references()["rgb_softmax"]);
    for (input, output) in [
        ("input", OUTPUT),
        ("input:0", OUTPUT),
        ("input", "MobilenetV2/Predictions/Softmax:0"),
    ] {
        let output = run(&setup, call(&graph, input, output)).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status, &*stderr), (0, ""));
        assert!(output.stdout.starts_with(b"[") && output.stdout.ends_with(b"]\n"));
        assert!(!output.stdout.contains(&b' '));
        let values = numbers(&serde_json::from_slice(&output.stdout).unwrap());
        assert_close(&values, &expected, 1e-4);
    }
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(run(&setup, call(&graph, "input", OUTPUT)).await.status, 0);
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "it is not loaded again each time"
    );
}

#[tokio::test]
async fn workers_are_limited_and_belong_to_one_function() {
    let mut setup = with(Config {
        workers: 2,
        ..Config::default()
    });
    let graph = bytes("digits.pb");
    for function in 1..=4 {
        setup.call.function_id = function;
        assert_eq!(run(&setup, call(&graph, "input", OUTPUT)).await.status, 0);
        // The same graph of another function has another worker.
        assert_eq!(setup.inference.in_use(), (0, function.min(2) as usize));
    }
}

#[tokio::test]
async fn a_worker_that_ended_is_started_again() {
    let setup = with(Config {
        worker_idle: Duration::from_millis(100),
        ..Config::default()
    });
    let graph = bytes("digits.pb");
    for _ in 0..3 {
        assert_eq!(run(&setup, call(&graph, "input", OUTPUT)).await.status, 0);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let setup = setup();
    let graph = bytes("digits.pb");
    let (args, stdin) = call(&graph, "input", OUTPUT);
    let but = |at: usize, with: &str| {
        let mut args = args.clone();
        with.clone_into(&mut args[at]);
        args
    };
    for (args, status, says) in [
        (
            args[..4].to_vec(),
            2,
            "the number of arguments is not 5: got 4",
        ),
        (but(0, "-1"), 2, "MODEL_SIZE is not a number: got \"-1\""),
        (but(3, "0"), 2, "WIDTH is not a number"),
        (but(4, "x"), 2, "HEIGHT is not a number"),
        (
            but(0, "999999"),
            4,
            "MODEL_SIZE is larger than stdin: got 999999",
        ),
        (but(3, "9"), 4, "got 9 times 8 pixels, and 192 bytes follow"),
        (but(4, "18446744073709551615"), 4, "and 192 bytes follow"),
        (but(1, "inptu"), 2, "no such input"),
        (but(2, "Softmax"), 2, "no such output"),
    ] {
        let (got, line) = failure(
            "mobilenet_v2",
            run(&setup, (args.clone(), stdin.clone())).await,
        );
        assert_eq!(got, status, "{args:?}: {line}");
        assert!(line.contains(says), "{args:?}: {line}");
    }
    let (status, line) = failure(
        "mobilenet_v2",
        run(&setup, call(&[0xff; 500], "input", OUTPUT)).await,
    );
    assert_eq!(status, 3, "{line}");
    let few = with(Config {
        graph_size: bytesize::ByteSize::kb(1),
        ..Config::default()
    });
    let (status, line) = failure(
        "mobilenet_v2",
        run(&few, call(&graph, "input", OUTPUT)).await,
    );
    assert_eq!(status, 6, "{line}");
    assert!(line.contains("infer.graph_size"), "{line}");
    let none = with_worker(Config::default(), Vec::new());
    let (status, line) = failure(
        "mobilenet_v2",
        run(&none, call(&graph, "input", OUTPUT)).await,
    );
    assert_eq!(status, 7, "{line}");
    assert!(line.contains("no worker processes"), "{line}");
}

#[tokio::test]
async fn hostile_graphs_are_errors() {
    let setup = with(Config {
        run_time: Duration::from_secs(10),
        load_time: Duration::from_secs(10),
        ..Config::default()
    });
    let small = bytes("digits.pb");
    let nodes = |count: usize| {
        // A GraphDef can be extended: each node is field 1 with a name (1) and an op (2).
        let node = |at: usize| {
            let name = format!("n{at:06}");
            [
                &[10, 15, 10, name.len() as u8],
                name.as_bytes(),
                b"\x12\x04NoOp",
            ]
            .concat()
        };
        (0..count).flat_map(node).collect::<Vec<u8>>()
    };
    for (name, graph, output, says) in [
        ("fill", bytes("fill.pb"), "out", "infer."),
        ("tile", bytes("tile.pb"), "out", "infer."),
        ("doubling", bytes("doubling.pb"), "out", "infer."),
        (
            "many nodes",
            [small.clone(), nodes(30_000)].concat(),
            OUTPUT,
            "infer.model_nodes = 20000",
        ),
        ("no nodes", b"\x22\x02\x08\x01".to_vec(), OUTPUT, ""),
        ("cut", small[..small.len() / 2].to_vec(), OUTPUT, ""),
        ("deep", [10, 127].repeat(5000), OUTPUT, ""),
    ] {
        let started = Instant::now();
        let (status, line) = failure(
            "mobilenet_v2",
            run(&setup, call(&graph, "input", output)).await,
        );
        println!("{name}: {status} {line} ({:?})", started.elapsed());
        assert!(matches!(status, 3 | 5 | 6 | 7), "{name}: {status} {line}");
        assert!(line.contains(says), "{name}: {line}");
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "{name} took {:?}",
            started.elapsed()
        );
    }
    // Every byte is changed once, a few at a time: any outcome is fine, as long as there is one.
    for seed in 0..24usize {
        let mut graph = small.clone();
        for at in (seed..graph.len()).step_by(97) {
            graph[at] = graph[at].wrapping_mul(31).wrapping_add(seed as u8);
        }
        let output = run(&setup, call(&graph, "input", OUTPUT)).await;
        assert!(output.status >= 0);
    }
    // Other functions' workers still run.
    assert_eq!(run(&setup, call(&small, "input", OUTPUT)).await.status, 0);
}
