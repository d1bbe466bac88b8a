//! The worker process: it confines itself, reads one model, and runs it on request.
//!
//! It is the same program as the server, started with arguments that lead to [`run_worker`]. Before it reads the first
//! byte it gives up every right that it does not need; see
//! [`seccomp`]. Its parent kills it when it takes too long.
//!
//! Both directions carry frames: the length of a JSON text, the length of a payload, both of 8
//! bytes, little-endian, then the text and the payload.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use crate::config::Limits;
use crate::library::Library;
use crate::onnx::{Onnx, OnnxPlan};
use crate::place::{STACK, unpanicked};
use crate::seccomp;
use crate::{Description, Error, Format, Model, Plan, Signature, Spec, Tensor, Watch};

/// The bounds of a worker, passed as one argument in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) graph: Limits,
    pub(crate) memory: u64,
    pub(crate) file: u64,
    pub(crate) input: u64,
    pub(crate) idle: Duration,
    pub(crate) run_time: Duration,
    pub(crate) onnxruntime: Option<Library>,
}

/// A request to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Describe the model in the payload, in this format or the detected one.
    Describe(Option<Format>),
    /// Prepare the model in the payload for this signature, and run it once.
    Load(Option<Format>, Signature),
    /// Run the model on the inputs in the payload, one after another.
    Run,
    /// Return the version of onnxruntime.
    Runtime,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Described(Description),
    Runtime(Option<String>),
    /// The model is prepared; `true` if [`Plan::memory`] is known.
    Loaded {
        bounded: bool,
    },
    /// The payload is the outputs, one after another; the names mean nothing.
    Outputs(Vec<Spec>),
    Failed(Error),
}

/// The texts of tract's panic, and of onnxruntime's error, when there is no memory for a tensor.
const NO_MEMORY: [&str; 3] = [
    "failed to allocate Layout",
    "bad_alloc",
    "Failed to allocate memory",
];

/// A model that is ready to run.
enum Prepared {
    Tract(Plan, Signature),
    Onnx(OnnxPlan),
}

/// The longest JSON text in a frame. Descriptions name every input and output.
pub(crate) const HEAD: u64 = 4 << 20;

/// Runs a worker process. `bounds` is the argument that the parent appended.
///
/// # Errors
/// An error when it cannot confine itself or talk to its parent; the program then exits with a failure.
pub fn run_worker(bounds: &str) -> io::Result<()> {
    let bounds: Bounds = serde_json::from_str(bounds)?;
    // Messages of panics are in the answers; a pipe without a reader would fill up.
    std::panic::set_hook(Box::new(|_| {}));
    seccomp::enter()?;
    // This reads files and starts threads, which is impossible from then on.
    let onnx = bounds.onnxruntime.clone().map(Onnx::open).transpose();
    let filtered = match &bounds.onnxruntime {
        // The system calls of a driver are not known.
        Some(library) => library.providers.is_empty(),
        None => true,
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    let thread = thread.spawn(move || {
        seccomp::close(bounds.memory, filtered)?;
        serve(&bounds, &onnx)
    })?;
    let ended = thread.join();
    ended.unwrap_or_else(|_| Err(io::Error::other("the worker panicked")))
}

fn serve(bounds: &Bounds, onnx: &Result<Option<Onnx>, Error>) -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut plan = None;
    while wait(&input, bounds.idle)? {
        let room = bounds.file.max(bounds.input);
        let Some((ask, payload)) = read_frame(&mut input, room)? else {
            return Ok(());
        };
        let answer = unpanicked(|| {
            let limits = &bounds.graph;
            match ask {
                Ask::Runtime => {
                    let onnx = onnx.as_ref().map_err(Clone::clone)?;
                    let version = onnx.as_ref().map(Onnx::version);
                    Ok((Answer::Runtime(version), Vec::new()))
                }
                Ask::Describe(format) => {
                    if let Some(onnx) = runtime_of(onnx, format, &payload)? {
                        let description = onnx.describe(&payload, limits)?;
                        return Ok((Answer::Described(description), Vec::new()));
                    }
                    let model = Model::load(&payload, format, limits)?;
                    Ok((Answer::Described(model.describe()), Vec::new()))
                }
                Ask::Load(format, signature) => {
                    if let Some(onnx) = runtime_of(onnx, format, &payload)? {
                        let mut prepared = onnx.plan(&payload, signature, limits)?;
                        // As below, a failure on zeros is not a reason to refuse the model.
                        let _ = prepared.try_out(limits);
                        plan = Some(Prepared::Onnx(prepared));
                        return Ok((Answer::Loaded { bounded: false }, Vec::new()));
                    }
                    let model = Model::load(&payload, format, limits)?;
                    drop(payload);
                    let (answer, (prepared, signature)) = prepare(&model, signature, bounds)?;
                    plan = Some(Prepared::Tract(prepared, signature));
                    Ok((answer, Vec::new()))
                }
                Ask::Run => {
                    let nothing =
                        || Error::host("a worker without a model got a request to run it");
                    let outputs = match plan.as_mut().ok_or_else(nothing)? {
                        Prepared::Tract(plan, signature) => {
                            let inputs = split(&signature.inputs, &payload.into())?;
                            plan.run(&inputs, &forever(), limits)?
                        }
                        Prepared::Onnx(plan) => {
                            let inputs = split(&plan.signature().inputs, &payload.into())?;
                            plan.run(&inputs, limits)?
                        }
                    };
                    let specs = outputs.iter().map(spec).collect();
                    Ok((Answer::Outputs(specs), outputs))
                }
            }
        });
        let (answer, tensors) = answer.unwrap_or_else(|error| {
            let message = error.to_string();
            let error = match NO_MEMORY.iter().any(|words| message.contains(words)) {
                true => Error::limit(format!(
                    "the model takes more memory than infer.worker_memory = {} bytes",
                    bounds.memory
                )),
                false => error,
            };
            (Answer::Failed(error), Vec::new())
        });
        let payload: usize = tensors.iter().map(|tensor| tensor.data().len()).sum();
        output.write_all(&head(&answer, payload)?)?;
        for tensor in tensors {
            output.write_all(tensor.data())?;
        }
        output.flush()?;
    }
    Ok(())
}

/// The onnxruntime for a model, if it is ONNX and the settings name a library.
fn runtime_of<'a>(
    onnx: &'a Result<Option<Onnx>, Error>,
    format: Option<Format>,
    file: &[u8],
) -> Result<Option<&'a Onnx>, Error> {
    match format.or_else(|| Format::detect(file)) {
        Some(Format::Onnx) => Ok(onnx.as_ref().map_err(Clone::clone)?.as_ref()),
        _ => Ok(None),
    }
}

fn prepare(
    model: &Model,
    signature: Signature,
    bounds: &Bounds,
) -> Result<(Answer, (Plan, Signature)), Error> {
    let plan = model.plan(&signature, &bounds.graph)?;
    // The server repeats this run only if the worker survives it. A failure is not a reason to refuse the model, for
    // which zeros may be meaningless; a killed worker is.
    let _ = plan.try_out(
        &Watch::until(Instant::now() + bounds.run_time),
        &bounds.graph,
    );
    let bounded = plan.memory().is_some();
    Ok((Answer::Loaded { bounded }, (plan, signature)))
}

/// A watch without a deadline: the parent keeps the time.
fn forever() -> Watch {
    Watch::until(Instant::now() + Duration::from_secs(24 * 3600))
}

fn spec(tensor: &Tensor) -> Spec {
    Spec {
        name: String::new(),
        ty: tensor.ty(),
        shape: tensor.shape().to_vec(),
    }
}

/// Waits for a request; returns `false` when none comes.
fn wait(input: &io::StdinLock<'_>, idle: Duration) -> io::Result<bool> {
    let idle = Timespec {
        tv_sec: i64::try_from(idle.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(idle.subsec_nanos()),
    };
    let mut sources = [PollFd::new(input, PollFlags::IN)];
    Ok(poll(&mut sources, Some(&idle))? > 0)
}

/// The beginning of a frame, up to its payload.
pub(crate) fn head(content: &impl Serialize, payload: usize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(content)?;
    let mut head = Vec::with_capacity(16 + text.len());
    head.extend((text.len() as u64).to_le_bytes());
    head.extend((payload as u64).to_le_bytes());
    head.extend(text);
    Ok(head)
}

/// The lengths in the first 16 bytes of a frame.
pub(crate) fn lengths(head: [u8; 16], room: u64) -> io::Result<(usize, usize)> {
    let [text, payload] = [0, 8].map(|at| {
        let mut number = [0; 8];
        number.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(number)
    });
    if text > HEAD || payload > room {
        return Err(io::Error::other("a frame is larger than its limit"));
    }
    let size = |n| usize::try_from(n).map_err(io::Error::other);
    Ok((size(text)?, size(payload)?))
}

fn read_frame(input: &mut impl Read, room: u64) -> io::Result<Option<(Ask, Vec<u8>)>> {
    let mut start = [0; 16];
    match input.read_exact(&mut start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let (text, payload) = lengths(start, room)?;
    let mut content = vec![0; text];
    input.read_exact(&mut content)?;
    let mut bytes = vec![0; payload];
    input.read_exact(&mut bytes)?;
    Ok(Some((serde_json::from_slice(&content)?, bytes)))
}

/// Splits `data` into one tensor for each spec, of its size.
pub(crate) fn split(specs: &[Spec], data: &Bytes) -> Result<Vec<Tensor>, Error> {
    let sizes: Option<Vec<usize>> = specs.iter().map(Spec::size).collect();
    let total = sizes.as_ref().and_then(|sizes| {
        sizes
            .iter()
            .try_fold(0usize, |sum, &size| sum.checked_add(size))
    });
    let (Some(sizes), Some(total)) = (sizes, total) else {
        return Err(Error::usage("the inputs are larger than can be counted"));
    };
    if total != data.len() {
        let expected: Vec<_> = specs.iter().map(Spec::to_string).collect();
        return Err(Error::input(format!(
            "stdin is not the {total} bytes of {}: got {}",
            expected.join(" and "),
            data.len()
        )));
    }
    let mut at = 0;
    let cut = specs.iter().zip(sizes).map(|(spec, size)| {
        let part = data.slice(at..at + size);
        at += size;
        Tensor::new(spec.ty, spec.shape.clone(), part)
    });
    cut.collect()
}
