//! The operator's `libonnxruntime`, opened by a worker before it confines itself.
//!
//! Only a worker opens it: a library of the operator's is not part of the server, and anything that a model makes it do
//! is contained in a process that can do little. Its header is read first to find errors, because the system's
//! loader reports a library for another processor as a missing file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ort::LoadDynamicError;
use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::ep::{self, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use serde::{Deserialize, Serialize};

use crate::{Config, Error};

/// The settings of onnxruntime for a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) threads: usize,
    pub(crate) providers: Vec<String>,
}

/// The ways to get the library, for messages.
const SOURCES: &str = "Name the libonnxruntime.so of the PyPI wheel `onnxruntime` or of Debian's package \
                       libonnxruntime; `iof models doctor` says how to get it.";

/// The names of providers, as in onnxruntime's own documentation, in lower case.
pub(crate) const PROVIDERS: [&str; 5] = ["cuda", "migraphx", "openvino", "rocm", "tensorrt"];

/// `e_machine` of the processor that this program was built for.
const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else {
    None
};

impl Library {
    /// The library of the settings, if one is named.
    pub(crate) fn of(config: &Config) -> Option<Library> {
        (!config.onnxruntime.as_os_str().is_empty()).then(|| Library {
            path: config.onnxruntime.clone(),
            threads: config.onnxruntime_threads.max(1),
            providers: config.onnxruntime_providers.clone(),
        })
    }

    /// Opens the library and starts its threads. Once per process, before it is confined.
    pub(crate) fn open(&self) -> Result<Environment, Error> {
        let failed = |problem: &dyn std::fmt::Display| {
            Error::host(format!("infer.onnxruntime cannot be used: {problem}"))
        };
        let path = std::fs::canonicalize(&self.path)
            .and_then(|path| Ok((head(&path)?, path)))
            .map_err(|error| {
                let path = self.path.display();
                failed(&format!("got {path}: {error}. {SOURCES}"))
            });
        let (head, path) = path?;
        check(&head).map_err(|problem| {
            let path = path.display();
            failed(&format!("got {path}, {problem}. {SOURCES}"))
        })?;
        let threads = GlobalThreads(self.threads);
        let opened = ort::init_from(&path).map_err(|error| failed(&refusal(&error)))?;
        let environment = opened
            .with_name("iof")
            .with_telemetry(false)
            // One pool for all sessions, started here: later, a worker cannot start threads.
            .with_global_thread_pool(threads.options().map_err(|error| failed(&error))?)
            .build()
            .map_err(|error| failed(&error))?;
        // stderr is read only after the worker has ended, and every error is in an answer, too.
        environment.set_log_level(LogLevel::Fatal);
        Ok(environment)
    }

    /// The providers that the settings name, in their order.
    pub(crate) fn providers(&self) -> Result<Vec<ExecutionProviderDispatch>, Error> {
        let provider = |name: &String| {
            let provider = match name.as_str() {
                "cuda" => ep::CUDA::default().build(),
                "migraphx" => ep::MIGraphX::default().build(),
                "openvino" => ep::OpenVINO::default().build(),
                "rocm" => ep::ROCm::default().build(),
                "tensorrt" => ep::TensorRT::default().build(),
                other => {
                    return Err(Error::host(format!(
                        "infer.onnxruntime_providers has an unknown name: got {other:?}. Write some of {}.",
                        PROVIDERS.join(", ")
                    )));
                }
            };
            Ok(provider.error_on_failure())
        };
        self.providers.iter().map(provider).collect()
    }
}

/// The threads of one operator; the calling thread is one of them.
struct GlobalThreads(usize);

impl GlobalThreads {
    fn options(&self) -> ort::Result<GlobalThreadPoolOptions> {
        GlobalThreadPoolOptions::default()
            .with_intra_threads(self.0)?
            .with_inter_threads(1)?
            // A thread that waits for work by spinning takes a core from functions.
            .with_spin_control(false)
    }
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut head)?;
    Ok(head)
}

/// Refuses a file that is not a library for this processor.
fn check(head: &[u8]) -> Result<(), String> {
    let Some(&[low, high]) = head.get(18..20).filter(|_| head.starts_with(b"\x7fELF")) else {
        return Err("which is not a shared library".to_owned());
    };
    let machine = u16::from_le_bytes([low, high]);
    match MACHINE {
        Some(own) if own != machine => {
            let name = match machine {
                3 => "x86".to_owned(),
                40 => "arm".to_owned(),
                62 => "x86_64".to_owned(),
                183 => "aarch64".to_owned(),
                other => format!("machine {other}"),
            };
            let own = std::env::consts::ARCH;
            Err(format!("a library for {name} on {own}"))
        }
        _ => Ok(()),
    }
}

fn refusal(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::BadVersion { version_str, path } => format!(
            "got {}, which is version {version_str}. Name a library of version 1.{} or newer.",
            path.display(),
            ort::MINOR_VERSION
        ),
        LoadDynamicError::MissingApi { path } => {
            format!(
                "got {}, which is not onnxruntime. {SOURCES}",
                path.display()
            )
        }
        other => format!("got {other}. {SOURCES}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_identifies_the_processor_of_a_library() {
        let elf = |machine: u16| {
            let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
            head.extend(machine.to_le_bytes());
            head
        };
        assert_eq!(check(&elf(MACHINE.unwrap_or(1))), Ok(()));
        let other = if MACHINE == Some(62) { 183 } else { 62 };
        let refused = check(&elf(other)).unwrap_err();
        assert!(refused.starts_with("a library for "), "{refused}");
        for head in [&b""[..], b"\x7fELF", b"PK\x03\x04 a wheel is an archive"] {
            assert_eq!(check(head).unwrap_err(), "which is not a shared library");
        }
    }
}
