//! onnxruntime as operators install it: models are compared with it, and run on its library.

use std::{fs, path::PathBuf};

use crate::{
    paths,
    step::{Outcome, Problem},
    venv,
};

/// The wheel, unpacked.
pub(crate) struct Onnxruntime {
    /// A Python with onnxruntime and the packages that make models.
    pub(crate) python: PathBuf,
    /// Its `libonnxruntime.so`.
    pub(crate) library: PathBuf,
}

/// Fetches the wheel from PyPI, once.
pub(crate) fn fetch() -> Outcome<Onnxruntime> {
    let python = venv::of("onnxruntime", &["onnx", "onnxruntime", "numpy"])?;
    let library = library().ok_or_else(|| {
        Problem::new("the wheel onnxruntime has no libonnxruntime.so")
            .next("remove target/onnxruntime, so that it is fetched again")
    })?;
    Ok(Onnxruntime { python, library })
}

/// `lib/python3.N/site-packages/onnxruntime/capi/libonnxruntime.so.VERSION`.
fn library() -> Option<PathBuf> {
    let pythons = fs::read_dir(paths::target().join("onnxruntime/lib")).ok()?;
    let folders = pythons.flatten().filter_map(|python| {
        fs::read_dir(python.path().join("site-packages/onnxruntime/capi")).ok()
    });
    let mut files = folders.flat_map(|folder| folder.flatten().map(|file| file.path()));
    files.find(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libonnxruntime.so")
    })
}
