//! `mobilenet_v2 MODEL_SIZE INPUT OUTPUT WIDTH HEIGHT`: the command of 2020, to which a function
//! sends its own TensorFlow graph.
//!
//! Stdin is the frozen graph, of MODEL_SIZE bytes, and then WIDTH times HEIGHT pixels of three bytes, red, green, blue.
//! The pixels are divided by 255 and given to the tensor INPUT in the shape `[1, HEIGHT, WIDTH, 3]`; stdout is the
//! tensor OUTPUT as a flat JSON array, and a newline. That is the contract, to the byte. Functions of 2020 send the
//! same graph with every call, so it stays loaded, in a separate worker process: the bytes of a graph are a function's,
//! and tract is not made to withstand them. A program that does not need this leaves the command out of the registry.

use async_trait::async_trait;
use bytes::Bytes;
use iof_command::{CallContext, Command, Output, Request};
use tokio::time::Instant;

use crate::infer::{deadline, output, render, within};
use crate::{Error, Inference, Signature, Spec, Tensor, Type};

const USAGE: &str = "usage: mobilenet_v2 MODEL_SIZE INPUT OUTPUT WIDTH HEIGHT";

/// The built-in command `mobilenet_v2`.
pub struct MobilenetV2 {
    inference: Inference,
}

impl MobilenetV2 {
    /// A command that runs graphs in workers of `inference`.
    pub fn new(inference: Inference) -> MobilenetV2 {
        MobilenetV2 { inference }
    }

    async fn answer(
        &self,
        function: i64,
        request: Request,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let [size, input, out, width, height] = request.args.as_slice() else {
            let got = request.args.len();
            return Err(Error::usage(format!(
                "the number of arguments is not 5: got {got}; {USAGE}"
            )));
        };
        let number = |name: &str, text: &str| {
            let number = text.parse::<usize>().ok().filter(|&n| n > 0);
            number.ok_or_else(|| {
                Error::usage(format!("{name} is not a number: got {text:?}; {USAGE}"))
            })
        };
        let size = number("MODEL_SIZE", size)?;
        let (width, height) = (number("WIDTH", width)?, number("HEIGHT", height)?);
        let config = self.inference.config();
        let (stdin, most) = (request.stdin, config.output.as_u64());
        if size > stdin.len() {
            let has = stdin.len();
            return Err(Error::input(format!(
                "MODEL_SIZE is larger than stdin: got {size}, and stdin has {has} bytes"
            )));
        }
        let (graph, pixels) = (stdin.slice(..size), stdin.slice(size..));
        within(pixels.len(), config.input)?;
        let expected = width.checked_mul(height).and_then(|n| n.checked_mul(3));
        if expected != Some(pixels.len()) {
            let has = pixels.len();
            return Err(Error::input(format!(
                "the size of the picture does not match stdin: got {width} times {height} pixels, and {has} bytes follow the model"
            )));
        }
        let signature = Signature {
            inputs: vec![Spec {
                // As in TensorFlow: the first output of a node needs no number.
                name: input.strip_suffix(":0").unwrap_or(input).to_owned(),
                ty: Type::F32,
                shape: vec![1, height, width, 3],
            }],
            outputs: vec![out.clone()],
        };
        let deadline = deadline.min(Instant::now() + config.run_time);
        let session = self
            .inference
            .session_of_graph(function, graph, signature, deadline)
            .await?;
        let scale = move || {
            let values: Vec<f32> = pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            Ok(vec![Tensor::of_floats(vec![1, height, width, 3], &values)?])
        };
        let print = move |outputs: Vec<Tensor>| match outputs.first() {
            Some(tensor) => render::flat(tensor, most),
            None => Err(Error::failed("the graph has no output")),
        };
        session.compute_between(deadline, scale, print).await
    }
}

#[async_trait]
impl Command for MobilenetV2 {
    fn name(&self) -> &str {
        "mobilenet_v2"
    }

    async fn run(&self, call: &CallContext, request: Request) -> Output {
        let deadline = deadline(call, &request);
        output(
            "mobilenet_v2",
            self.answer(call.function_id, request, deadline).await,
        )
    }
}
