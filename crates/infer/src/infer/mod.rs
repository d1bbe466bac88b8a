//! `infer MODEL [OPTIONS]`: runs a model of the operator's on the data on stdin.
//!
//! The arguments that a function needs depend on the operator's declaration: with a `model.toml` that declares pictures
//! and labels, `infer mobilenet --top 5` with a JPEG on stdin is enough. Without one, the command line states the rest.
//! Options take precedence over declarations, and declarations over the model's file.

pub(crate) mod line;
pub(crate) mod render;

use async_trait::async_trait;
use bytes::Bytes;
use iof_command::{CallContext, Command, Output, Request};
use tokio::time::Instant;

use crate::infer::line::{Form, Line, Typed};
use crate::infer::render::Rendering;
use crate::picture::Picture;
use crate::worker::split;
use crate::{Error, Inference, Kind, Port, Signature};

/// The exit statuses of both commands.
pub mod status {
    /// The outputs are on stdout.
    pub const OK: i32 = 0;
    /// An argument is wrong; stderr names it.
    pub const USAGE: i32 = 2;
    /// There is no such model, or it does not load.
    pub const MODEL: i32 = 3;
    /// Stdin does not match the arguments, or is not a picture.
    pub const INPUT: i32 = 4;
    /// The deadline passed, or all permits are taken.
    pub const TIME: i32 = 5;
    /// Something is larger than a setting allows; stderr names the setting.
    pub const LIMIT: i32 = 6;
    /// The model failed, or the server.
    pub const FAILED: i32 = 7;
}

/// The built-in command `infer`.
pub struct Infer {
    inference: Inference,
}

impl Infer {
    /// A command that runs the models of `inference`.
    pub fn new(inference: Inference) -> Infer {
        Infer { inference }
    }

    async fn answer(&self, request: Request, deadline: Instant) -> Result<Bytes, Error> {
        let line = match Line::parse_args(&request.args)? {
            Typed::Help(text) => return Ok(text.into()),
            Typed::Line(line) => line,
        };
        within(request.stdin.len(), self.inference.config().input)?;
        let deadline = deadline.min(Instant::now() + self.inference.config().run_time);
        let entry = self.inference.entry(&line.model, deadline).await?;
        let declaration = &entry.declaration;
        let preparation = match (line.preparation(), declaration.image.clone()) {
            _ if line.raw => None,
            (Some(options), declared) => Some(declared.unwrap_or_default().overlaid(options)),
            (None, _) if !line.inputs.is_empty() => None,
            (None, declared) => declared,
        };
        let picture = match preparation {
            None => None,
            Some(preparation) => {
                let mut ports = entry.inputs();
                for spec in &line.inputs {
                    if let Some(port) = ports.iter_mut().find(|port| port.name == spec.name) {
                        *port = Port::from(spec);
                    }
                }
                let [port] = ports.as_slice() else {
                    let message = "the model does not have exactly one input for a picture. Add --raw, and send tensors";
                    return Err(Error::usage(message));
                };
                Some(Picture::new(port, preparation)?)
            }
        };
        let signature = Signature {
            inputs: match &picture {
                Some(picture) => vec![picture.spec.clone()],
                None if line.inputs.is_empty() => entry.signature()?.inputs,
                None => line.inputs.clone(),
            },
            outputs: match line.outputs.is_empty() {
                true => declaration.outputs.clone(),
                false => line.outputs.clone(),
            },
        };
        // Before anything is prepared for a shape, the shape must match the data: so no shape is larger than
        // the data that a function may send.
        let before: Box<dyn FnOnce() -> _ + Send> = match picture {
            None => {
                let tensors = split(&signature.inputs, &request.stdin)?;
                Box::new(move || Ok(tensors))
            }
            Some(picture) => {
                let most = self.inference.config().image_pixels;
                let file = request.stdin;
                Box::new(move || Ok(vec![picture.tensor(&file, most)?]))
            }
        };
        let names = match signature.outputs.is_empty() {
            true => entry
                .description
                .outputs
                .iter()
                .map(|port| port.name.clone())
                .collect(),
            false => signature.outputs.clone(),
        };
        let form = line
            .form()
            .or(declaration.top.map(Form::Top))
            .unwrap_or(Form::Json);
        let softmax = line.softmax || declaration.softmax;
        let most = self.inference.config().output.as_u64();
        let session = self
            .inference
            .session_of(entry.clone(), signature, deadline)
            .await?;
        let print = move |outputs: Vec<_>| {
            let rendering = Rendering {
                form,
                softmax,
                names: &names,
                labels: &entry.labels,
                most,
            };
            rendering.print(&outputs)
        };
        session.compute_between(deadline, before, print).await
    }
}

#[async_trait]
impl Command for Infer {
    fn name(&self) -> &str {
        "infer"
    }

    async fn run(&self, call: &CallContext, request: Request) -> Output {
        let deadline = deadline(call, &request);
        output("infer", self.answer(request, deadline).await)
    }
}

/// The deadline of a run: the request's timeout or the call's deadline, whichever is earlier.
pub(crate) fn deadline(call: &CallContext, request: &Request) -> Instant {
    let own = Instant::now().checked_add(request.timeout);
    own.unwrap_or(call.deadline).min(call.deadline)
}

pub(crate) fn within(size: usize, most: bytesize::ByteSize) -> Result<(), Error> {
    if size as u64 > most.as_u64() {
        return Err(Error::limit(format!(
            "stdin has {size} bytes, more than infer.input = {most}"
        )));
    }
    Ok(())
}

/// The output of a command for a result.
pub(crate) fn output(command: &str, result: Result<Bytes, Error>) -> Output {
    match result {
        Ok(stdout) => Output {
            status: status::OK,
            stdout,
            ..Output::default()
        },
        Err(error) => Output {
            status: match error.kind {
                Kind::Usage => status::USAGE,
                Kind::Model => status::MODEL,
                Kind::Input => status::INPUT,
                Kind::Time | Kind::Busy => status::TIME,
                Kind::Limit => status::LIMIT,
                Kind::Failed | Kind::Host => status::FAILED,
            },
            stderr: format!("{command}: {error}\n").into(),
            ..Output::default()
        },
    }
}
