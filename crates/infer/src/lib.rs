//! The command `infer`: models of the operator's, run by tract or by the operator's onnxruntime on
//! behalf of functions.
//!
//! A function has neither weights nor much processor time; the server has both. So the operator puts a model into a
//! directory, and a function runs it like any command: arguments name the model, stdin is tensors or a picture, stdout
//! is the output. `mobilenet_v2` is the command of 2020, to which a function sends its own graph.
//!
//! The layers, from below: [`Model`] and [`Plan`] are tract with limits, and know no disk; [`Inference`] and
//! [`Session`] are a directory of models, loaded once and run within permits, deadlines and memory, and know no
//! arguments (`wasi:nn` will use them); the commands add the command line. tract is written to be right and fast, not
//! to withstand a hostile graph, so the server's process loads a model only after a worker process has survived it.

mod cache;
mod config;
mod declaration;
mod entry;
mod error;
mod format;
mod graph;
mod inference;
mod isolate;
mod library;
mod mobilenet_v2;
mod models;
mod onnx;
mod picture;
mod place;
mod plan;
mod preparation;
mod seccomp;
mod session;
mod tensor;
mod worker;

pub mod infer;

pub use config::{Config, Limits};
pub use declaration::Declaration;
pub use error::{Error, Kind};
pub use format::Format;
pub use graph::{Description, Dim, Model, Port};
pub use infer::Infer;
pub use inference::{Inference, Shown};
pub use mobilenet_v2::MobilenetV2;
pub use models::{Listed, Parts, check_name};
pub use plan::{Plan, Signature, Watch};
pub use preparation::{Filter, Layout, Preparation, Resize, Size};
pub use session::Session;
pub use tensor::{Spec, Tensor, Type};
pub use worker::run_worker;
