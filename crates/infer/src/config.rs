//! The operator's settings. In the server's `iof.toml` this is the table `[infer]`.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Settings of an [`Inference`](crate::Inference). Durations are texts such as `"10s"`, sizes such
/// as `"16MiB"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory of models, one directory each.
    pub models: PathBuf,
    /// The most bytes of a model's file.
    pub model_size: ByteSize,
    /// The most nodes of a model's graph, as its file counts them.
    pub model_nodes: usize,
    /// Memory of all loaded models together, without those of worker processes. The least recently used is dropped
    /// first.
    pub loaded: ByteSize,
    /// The number of shapes for which one model is kept ready.
    pub plans_per_model: usize,
    /// The time to load a model, from the start of its worker to the first run.
    #[serde(with = "humantime_serde")]
    pub load_time: Duration,
    /// The most bytes of standard input of one run, without the graph of `mobilenet_v2`.
    pub input: ByteSize,
    /// The most pixels of a picture, before it is resized.
    pub image_pixels: u64,
    /// The most bytes of standard output of one run.
    pub output: ByteSize,
    /// Memory of the tensors that one run holds at a time, without weights.
    pub run_memory: ByteSize,
    /// The time of one run, including the wait for its permit; the call's deadline may come earlier.
    #[serde(with = "humantime_serde")]
    pub run_time: Duration,
    /// The number of models that load or run at a time. 0: one for each core.
    pub concurrency: usize,
    /// The number of runs that wait for their turn.
    pub queue: usize,
    /// The number of worker processes that are kept, for models that cannot run inside the server.
    pub workers: usize,
    /// Memory of one worker process.
    pub worker_memory: ByteSize,
    /// The time for which an unused worker process is kept.
    #[serde(with = "humantime_serde")]
    pub worker_idle: Duration,
    /// The most bytes of a graph that a function sends to `mobilenet_v2`.
    pub graph_size: ByteSize,
    /// The `libonnxruntime.so` that runs ONNX models, in workers. Empty: tract runs them.
    pub onnxruntime: PathBuf,
    /// The threads with which onnxruntime computes one operator.
    pub onnxruntime_threads: usize,
    /// The execution providers that onnxruntime tries before the processor, such as `cuda`.
    pub onnxruntime_providers: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            models: PathBuf::from("models"),
            model_size: ByteSize::mib(256),
            model_nodes: 20_000,
            loaded: ByteSize::gib(1),
            plans_per_model: 4,
            load_time: Duration::from_secs(60),
            input: ByteSize::mib(16),
            image_pixels: 40_000_000,
            output: ByteSize::mib(16),
            run_memory: ByteSize::mib(512),
            run_time: Duration::from_secs(30),
            concurrency: 0,
            queue: 64,
            workers: 4,
            worker_memory: ByteSize::gib(1),
            worker_idle: Duration::from_secs(60),
            graph_size: ByteSize::mib(32),
            onnxruntime: PathBuf::new(),
            onnxruntime_threads: 1,
            onnxruntime_providers: Vec::new(),
        }
    }
}

impl Config {
    /// [`Config::concurrency`] as a number of threads.
    pub(crate) fn threads(&self) -> usize {
        match self.concurrency {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            nodes: self.model_nodes,
            run_memory: self.run_memory.as_u64(),
            output: self.output.as_u64(),
        }
    }
}

/// The limits of graphs, inside the server and in a worker.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// [`Config::model_nodes`]
    pub nodes: usize,
    /// [`Config::run_memory`], in bytes
    pub run_memory: u64,
    /// [`Config::output`], in bytes
    pub output: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_readable_and_misspelt_ones_are_not() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
        let config: Config = toml::from_str("run_time = \"2s\"\nloaded = \"2GiB\"").unwrap();
        assert_eq!(
            (config.run_time.as_secs(), config.loaded),
            (2, ByteSize::gib(2))
        );
        assert!(toml::from_str::<Config>("que = 1").is_err());
        assert!(Config::default().threads() > 0);
    }
}
