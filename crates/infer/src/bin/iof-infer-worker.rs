//! A worker process as a separate binary, for tests and benches: the server is its own worker.
//!
//! `iof-infer-worker BOUNDS_JSON` serves; `iof-infer-worker add DIRECTORY NAME FILE` adds a
//! model; a test kills it in the middle.

use std::process::ExitCode;

use iof_infer::{Config, Inference, Parts, run_worker};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        [bounds] => run_worker(bounds).map_err(|error| error.to_string()),
        ["add", directory, name, file] => add(directory, name, file),
        _ => Err("usage: iof-infer-worker BOUNDS_JSON".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn add(directory: &str, name: &str, file: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let config = Config {
            models: directory.into(),
            ..Config::default()
        };
        let inference = Inference::new(config, Vec::new()).map_err(|e| e.to_string())?;
        let model = tokio::fs::read(file).await.map_err(|e| e.to_string())?;
        let parts = Parts {
            model,
            declaration: Some("top = 1".to_owned()),
            labels: Some("a\nb\n".to_owned()),
        };
        inference
            .add(name, parts, true)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    })
}
