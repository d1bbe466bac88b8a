//! A directory of models, and functions that run them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iof_command::{CallContext, Grants, Output, Refusal, Registry, Request};
use iof_infer::{Config, Infer, Inference, MobilenetV2};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A server process with these two commands.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
    pub(crate) inference: Inference,
    pub(crate) call: CallContext,
    pub(crate) directory: TempDir,
}

/// A file of tests/models.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/models")
        .join(name)
}

#[allow(clippy::disallowed_methods, reason = "a test may wait for its fixture")]
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

pub(crate) fn references() -> Value {
    serde_json::from_slice(&bytes("references.json")).unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f32> {
    let number = |value: &Value| value.as_f64().unwrap() as f32;
    value.as_array().unwrap().iter().map(number).collect()
}

pub(crate) fn le(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Fails unless both have the same length and no values differ by more than `tolerance`.
pub(crate) fn assert_close(got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest <= tolerance, "they differ by {largest}");
}

pub(crate) fn worker() -> Vec<PathBuf> {
    vec![env!("CARGO_BIN_EXE_iof-infer-worker").into()]
}

pub(crate) fn setup() -> Setup {
    with(Config::default())
}

pub(crate) fn with(config: Config) -> Setup {
    with_worker(config, worker())
}

pub(crate) fn with_worker(config: Config, worker: Vec<PathBuf>) -> Setup {
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        models: directory.path().join("models"),
        ..config
    };
    let inference = Inference::new(config, worker).unwrap();
    let mut registry = Registry::new();
    registry.register(Infer::new(inference.clone()));
    registry.register(MobilenetV2::new(inference.clone()));
    let call = CallContext {
        call: Uuid::now_v7(),
        function: "classify".into(),
        function_id: 7,
        version: 1,
        secrets: Arc::default(),
        grants: Arc::new(Grants {
            commands: ["infer", "mobilenet_v2"].map(str::to_owned).into(),
            ..Grants::default()
        }),
        depth: 0,
        deadline: Instant::now() + LONG,
        trace: None,
    };
    Setup {
        registry,
        inference,
        call,
        directory,
    }
}

impl Setup {
    /// Puts a model into the directory by hand, as an operator may.
    #[allow(clippy::disallowed_methods, reason = "a test may wait for its fixture")]
    pub(crate) fn put(&self, name: &str, file: &str, declaration: &str) {
        let directory = self.directory.path().join("models").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let ending = file.rsplit('.').next().unwrap();
        std::fs::copy(fixture(file), directory.join(format!("model.{ending}"))).unwrap();
        std::fs::write(directory.join("model.toml"), declaration).unwrap();
        std::fs::copy(fixture("digits.txt"), directory.join("labels.txt")).unwrap();
    }

    pub(crate) async fn try_run(
        &self,
        command: &str,
        args: &[&str],
        stdin: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Output, Refusal> {
        let request = Request {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
            stdin: stdin.into(),
            timeout,
        };
        self.registry.run(&self.call, command, request).await
    }

    pub(crate) async fn run(&self, args: &[&str], stdin: impl Into<Bytes>) -> Output {
        self.try_run("infer", args, stdin, LONG).await.unwrap()
    }

    /// The output of `infer`.
    pub(crate) async fn prints(&self, args: &[&str], stdin: impl Into<Bytes>) -> Value {
        let output = self.run(args, stdin).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status, &*stderr), (0, ""), "{args:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The status of a failure, and its one line without the program's name.
    pub(crate) async fn fails(&self, args: &[&str], stdin: impl Into<Bytes>) -> (i32, String) {
        failure("infer", self.run(args, stdin).await)
    }
}

pub(crate) fn failure(command: &str, output: Output) -> (i32, String) {
    let stderr = String::from_utf8(output.stderr.to_vec()).unwrap();
    let begin = &output.stdout[..output.stdout.len().min(200)];
    assert_ne!(output.status, 0, "{begin:?}");
    assert!(output.stdout.is_empty());
    assert_eq!(stderr.matches('\n').count(), 1, "one line: {stderr:?}");
    let line = stderr.strip_prefix(&format!("{command}: ")).unwrap();
    (output.status, line.trim_end().to_owned())
}
