//! Arguments of `iof models`.

use clap::{Args as Arguments, Subcommand};
use std::path::PathBuf;

/// The subcommands of `iof models`.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  iof models add digits digits.onnx --labels digits.txt
  iof models show digits                       its inputs and outputs
  iof models list --json
  iof models doctor --config iof.toml          whether onnxruntime can be used

docs/models.md says what a declaration (model.toml) may hold.")]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) what: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models
    List {
        #[command(flatten)]
        place: ModelsLocation,
    },
    /// Show the inputs and outputs of a model
    Show {
        /// The model
        name: String,
        #[command(flatten)]
        place: ModelsLocation,
    },
    /// Add a model after a trial run
    Add {
        /// Name: lower-case letters and digits, and . _ - after the first character
        name: String,
        /// An ONNX file, a frozen graph of TensorFlow, or a TensorFlow Lite file
        file: PathBuf,
        /// Labels of its output, one per line
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
        /// Its model.toml
        #[arg(long, value_name = "FILE")]
        declaration: Option<PathBuf>,
        /// Replace a model of the same name
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        place: ModelsLocation,
    },
    /// Show which runtime runs models here, and how to use onnxruntime
    Doctor {
        #[command(flatten)]
        place: ModelsLocation,
    },
    /// Remove a model
    Rm {
        /// The model
        name: String,
        #[command(flatten)]
        place: ModelsLocation,
    },
}

/// The server whose models are meant.
#[derive(Debug, Arguments)]
pub(crate) struct ModelsLocation {
    /// Data directory of the server [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file of the server [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
