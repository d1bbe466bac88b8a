//! The detection of a model file's format.
//!
//! The content decides and never the name, because a name may be anything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ONNX, without external data: one file is the whole model.
    Onnx,
    /// A frozen graph of TensorFlow, which is a `GraphDef`.
    TensorFlow,
    /// TensorFlow Lite.
    TfLite,
}

impl Format {
    /// The format of a file, by its content. The file need not be readable in that format.
    pub fn detect(file: &[u8]) -> Option<Format> {
        if file.get(4..8) == Some(b"TFL3") {
            return Some(Format::TfLite);
        }
        // Both others are protobuf. Field 1 is a number in an ONNX model (its version) and a message in a
        // GraphDef (a node); field 7 (the graph) exists only in an ONNX model.
        let mut rest = file;
        while let Some((tag, after)) = varint(rest) {
            let (field, wire) = (tag >> 3, tag & 7);
            match (field, wire) {
                (1, 0) | (7, 2) => return Some(Format::Onnx),
                (1, 2) => return Some(Format::TensorFlow),
                _ => {}
            }
            rest = match wire {
                0 => varint(after)?.1,
                1 => after.get(8..)?,
                2 => {
                    let (length, after) = varint(after)?;
                    after.get(usize::try_from(length).ok()?..)?
                }
                5 => after.get(4..)?,
                _ => return None,
            };
        }
        None
    }

    /// The name of a file of this format in the directory of models.
    pub fn file_name(self) -> &'static str {
        match self {
            Format::Onnx => "model.onnx",
            Format::TensorFlow => "model.pb",
            Format::TfLite => "model.tflite",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Onnx => "ONNX",
            Format::TensorFlow => "TensorFlow frozen graph",
            Format::TfLite => "TensorFlow Lite",
        })
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}
