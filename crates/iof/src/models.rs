//! `iof models`: the models that the command `infer` runs. They are files in the server's data directory, so this works
//! with and without a running server, and a running server notices changes.

use crate::args::{Models, ModelsCommand, ModelsLocation, Serve};
use crate::config::Config;
use crate::{OURSELVES, print};
use iof_command::Registry;
use iof_infer::{Inference, Listed, Parts, Shown};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The hidden subcommand of a worker process.
pub(crate) const WORKER: &str = "infer-worker";

/// The models of `config`.
///
/// # Errors
/// A message for people.
pub(crate) fn inference(config: &Config) -> Result<Inference, String> {
    let mut infer = config.infer.clone();
    // The path is relative to the data directory.
    infer.models = config.data.join(&infer.models);
    let worker = [OURSELVES, WORKER].map(PathBuf::from).to_vec();
    Inference::new(infer, worker).map_err(|error| format!("[infer]: {error}"))
}

/// Registers the commands that run models.
pub(crate) fn register(inference: &Inference, registry: &mut Registry) {
    registry.register(iof_infer::Infer::new(inference.clone()));
    registry.register(iof_infer::MobilenetV2::new(inference.clone()));
}

/// The names of all models.
pub(crate) async fn names(inference: &Inference) -> Vec<String> {
    let listed = inference.list().await.unwrap_or_default();
    listed.into_iter().map(|model| model.name).collect()
}

pub(crate) async fn run(models: Models) -> Result<ExitCode, String> {
    match models.what {
        ModelsCommand::List { place } => {
            let list = open(&place)?.list().await.map_err(said)?;
            Ok(match place.json {
                true => json_line(&list)?,
                false => print(&table(&list)),
            })
        }
        ModelsCommand::Show { name, place } => {
            let shown = open(&place)?.show(&name).await.map_err(said)?;
            Ok(match place.json {
                true => json_line(&shown)?,
                false => print(&text(&shown)),
            })
        }
        ModelsCommand::Add {
            name,
            file,
            labels,
            declaration,
            replace,
            place,
        } => {
            let parts = Parts {
                model: read(&file).await?,
                declaration: words(declaration.as_deref()).await?,
                labels: words(labels.as_deref()).await?,
            };
            let models = open(&place)?;
            let added = models.add(&name, parts, replace).await;
            added.map_err(|error| match error.to_string() {
                there if there.ends_with("already") => {
                    format!("{there}; --replace replaces it")
                }
                other => other,
            })?;
            let shown = models.show(&name).await.map_err(said)?;
            Ok(match place.json {
                true => json_line(&shown)?,
                false => print(&format!(
                    "{}\nTry it: grant a function the command \"infer\", and run it with the argument \"{name}\".\n",
                    text(&shown).trim_end()
                )),
            })
        }
        ModelsCommand::Doctor { place } => doctor(&place).await,
        ModelsCommand::Rm { name, place } => {
            open(&place)?.remove(&name).await.map_err(said)?;
            Ok(match place.json {
                true => json_line(&json!({ "name": name, "done": "removed" }))?,
                false => print(&format!("{name} is removed\n")),
            })
        }
    }
}

/// Instructions for getting a library.
const HOW: &str = "\
To run ONNX models on onnxruntime, fetch its library, from PyPI or from Debian:
  pip download --no-deps onnxruntime && unzip onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime.so*'
  apt-get install libonnxruntime-dev
and name it in the settings:
  [infer]
  onnxruntime = \"/path/to/libonnxruntime.so\"
";

/// Shows the runtime of each format; a named library that cannot be used is a failure.
async fn doctor(place: &ModelsLocation) -> Result<ExitCode, String> {
    let models = open(place)?;
    let (library, found) = (&models.config().onnxruntime, models.onnxruntime().await);
    let fine = found.is_ok();
    let (onnx, advice) = match found {
        Ok(None) => ("tract, which is built in".to_owned(), HOW),
        Ok(Some(version)) => (format!("{}: {version}", library.display()), ""),
        Err(error) => (error.to_string(), HOW),
    };
    let printed = match place.json {
        true => json_line(&json!({ "onnx": onnx, "fine": fine, "advice": advice }))?,
        false => print(&format!(
            "ONNX           {onnx}\nTensorFlow     tract, which is built in\n{advice}"
        )),
    };
    Ok(match fine {
        true => printed,
        false => ExitCode::FAILURE,
    })
}

fn open(place: &ModelsLocation) -> Result<Inference, String> {
    inference(&Config::resolve(&Serve {
        data: place.data.clone(),
        config: place.config.clone(),
        ..Serve::default()
    })?)
}

fn said(error: iof_infer::Error) -> String {
    error.to_string()
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = tokio::fs::read(path).await;
    read.map_err(|error| format!("{}: {error}", path.display()))
}

async fn words(path: Option<&Path>) -> Result<Option<String>, String> {
    let Some(path) = path else { return Ok(None) };
    let text = String::from_utf8(read(path).await?);
    text.map(Some)
        .map_err(|_| format!("{}: not UTF-8", path.display()))
}

fn json_line(value: &impl Serialize) -> Result<ExitCode, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    Ok(print(&format!("{text}\n")))
}

fn table(list: &[Listed]) -> String {
    if list.is_empty() {
        return "no models; `iof models add NAME FILE` adds one\n".to_owned();
    }
    let width = list.iter().map(|one| one.name.len()).max();
    let width = width.unwrap_or(0).max("NAME".len());
    let mut text = format!("{:<width$}  SIZE\n", "NAME");
    for one in list {
        let size = one.size.map_or_else(
            || "no model file in its directory".to_owned(),
            |size| bytesize::ByteSize::b(size).to_string(),
        );
        let _ = writeln!(text, "{:<width$}  {size}", one.name);
    }
    text
}

fn text(shown: &Shown) -> String {
    let mut text = String::new();
    let description = &shown.description;
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name:<9} {value}");
    };
    line("name", &shown.name);
    if !shown.declaration.description.is_empty() {
        line("about", &shown.declaration.description);
    }
    line("format", &description.format);
    line("size", &bytesize::ByteSize::b(shown.size));
    line("nodes", &description.nodes);
    for input in &description.inputs {
        line("input", input);
    }
    for output in &description.outputs {
        line("output", output);
    }
    line("labels", &shown.labels);
    text
}
