//! Commands, as 2020 modules ask for them: `ssvm_process` and its successor `wasmedge_process`.
//!
//! Eleven functions each, with one state behind them: the guest adds name, arguments, environment and stdin piece by
//! piece, runs, and fetches what came out. Semantics are SSVM's, minus its faults: every pointer is checked, input has
//! a limit, and nothing is started by a shell or found on a path. Statuses: 0 to 127 as the command gave them, 128 to
//! 255 as the negative number of the same byte, -1 for what is not granted or does not exist, 110 for a timeout.

use crate::host::memory;
use crate::limits::Reached;
use crate::state::CallState;
use bytes::Bytes;
use iof_command::{CallContext, Refusal, Registry, Request};
use std::time::Duration;
use wasmtime::{Caller, Linker};

/// What SSVM gave a command that set no timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// `ETIMEDOUT`, which SSVM returned for a command that it killed.
const TIMED_OUT: i32 = 110;
/// Not granted, or not there.
const NOT_RUN: i32 = -1;

/// The command that a guest is putting together, and the outcome of its last one.
#[derive(Debug)]
pub(crate) struct Process {
    next: Next,
    status: i32,
    stdout: Bytes,
    stderr: Bytes,
    /// How many ran.
    runs: u32,
}

#[derive(Debug)]
struct Next {
    name: Vec<u8>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
    /// Bytes of all the above.
    size: u64,
}

impl Default for Next {
    fn default() -> Self {
        Self {
            name: vec![],
            args: vec![],
            env: vec![],
            stdin: vec![],
            timeout: DEFAULT_TIMEOUT,
            size: 0,
        }
    }
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            next: Next::default(),
            status: 0,
            stdout: Bytes::new(),
            stderr: Bytes::new(),
            runs: 0,
        }
    }
}

/// Serves both import modules.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for module in ["ssvm_process", "wasmedge_process"] {
        let name = |function: &str| format!("{module}_{function}");
        linker.func_wrap(module, &name("set_prog_name"), set_prog_name)?;
        linker.func_wrap(module, &name("add_arg"), add_arg)?;
        linker.func_wrap(module, &name("add_env"), add_env)?;
        linker.func_wrap(module, &name("add_stdin"), add_stdin)?;
        linker.func_wrap(
            module,
            &name("set_timeout"),
            |mut caller: Caller<'_, CallState>, ms: u32| {
                caller.data_mut().process.next.timeout = Duration::from_millis(ms.into());
            },
        )?;
        linker.func_wrap_async(
            module,
            &name("run"),
            |caller: Caller<'_, CallState>, (): ()| Box::new(run(caller)),
        )?;
        linker.func_wrap(
            module,
            &name("get_exit_code"),
            |caller: Caller<'_, CallState>| caller.data().process.status,
        )?;
        linker.func_wrap(
            module,
            &name("get_stdout_len"),
            |caller: Caller<'_, CallState>| length(&caller.data().process.stdout),
        )?;
        linker.func_wrap(
            module,
            &name("get_stderr_len"),
            |caller: Caller<'_, CallState>| length(&caller.data().process.stderr),
        )?;
        linker.func_wrap(
            module,
            &name("get_stdout"),
            |caller: Caller<'_, CallState>, pointer: u32| {
                let bytes = caller.data().process.stdout.clone();
                fetch(caller, pointer, &bytes)
            },
        )?;
        linker.func_wrap(
            module,
            &name("get_stderr"),
            |caller: Caller<'_, CallState>, pointer: u32| {
                let bytes = caller.data().process.stderr.clone();
                fetch(caller, pointer, &bytes)
            },
        )?;
    }
    Ok(())
}

type Call<'a> = Caller<'a, CallState>;

/// SSVM appended to the name until the next run.
fn set_prog_name(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let bytes = input(&mut caller, pointer, length)?;
    caller.data_mut().process.next.name.extend(bytes);
    Ok(())
}

fn add_arg(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let argument = text(&mut caller, pointer, length)?;
    caller.data_mut().process.next.args.push(argument);
    Ok(())
}

/// The first value that is given for a key counts.
fn add_env(
    mut caller: Call<'_>,
    key: u32,
    key_length: u32,
    value: u32,
    value_length: u32,
) -> wasmtime::Result<()> {
    let key = text(&mut caller, key, key_length)?;
    let value = text(&mut caller, value, value_length)?;
    let env = &mut caller.data_mut().process.next.env;
    if !env.iter().any(|(known, _)| *known == key) {
        env.push((key, value));
    }
    Ok(())
}

fn add_stdin(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let bytes = input(&mut caller, pointer, length)?;
    let stdin = &mut caller.data_mut().process.next.stdin;
    if stdin.is_empty() {
        *stdin = bytes;
    } else {
        stdin.extend(bytes);
    }
    Ok(())
}

async fn run(mut caller: Call<'_>) -> wasmtime::Result<i32> {
    let state = caller.data_mut();
    state.process.runs += 1;
    if state.process.runs > state.limits.commands {
        return Err(Reached::Commands.into());
    }
    let next = std::mem::take(&mut state.process.next);
    let name = string(next.name);
    let request = Request {
        args: next.args,
        env: next.env,
        stdin: Bytes::from(next.stdin),
        timeout: next.timeout,
    };

    let (commands, context) = (&*state.commands, &state.context);
    let (status, stdout, stderr) = match state.tape.clone() {
        None => answer(commands, context, &name, request).await,
        Some(tape) => {
            let came = match tape.play_command(&name, &request) {
                Some(played) => played?,
                None => answer(commands, context, &name, request.clone()).await,
            };
            tape.note_command(&name, request, (came.0, &came.1, &came.2));
            came
        }
    };
    let process = &mut caller.data_mut().process;
    (process.status, process.stdout, process.stderr) = (status, stdout, stderr);
    Ok(status)
}

/// Runs a command, and says what came of it as SSVM did.
async fn answer(
    commands: &Registry,
    context: &CallContext,
    name: &str,
    request: Request,
) -> (i32, Bytes, Bytes) {
    match commands.run(context, name, request).await {
        Ok(output) => (exit_status(output.status), output.stdout, output.stderr),
        // To the letter what SSVM printed: guests show it to their users.
        Err(Refusal::NotGranted) => (
            NOT_RUN,
            Bytes::new(),
            Bytes::from(format!(
                "Permission denied: Command \"{name}\" is not in the white list. Please use --allow-command={name} or \
                 --allow-command-all to add \"{name}\" command into the white list.\n"
            )),
        ),
        Err(Refusal::NotFound) => (
            NOT_RUN,
            Bytes::new(),
            Bytes::from_static(b"Command not found.\n"),
        ),
        Err(Refusal::TimedOut) => (TIMED_OUT, Bytes::new(), Bytes::new()),
    }
}

/// SSVM returned the status byte with its sign.
fn exit_status(status: i32) -> i32 {
    i32::from(status.to_le_bytes()[0].cast_signed())
}

fn length(bytes: &Bytes) -> u32 {
    // Outputs are bounded by settings far below this.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Copies an output to where the guest has made room for it.
fn fetch(mut caller: Call<'_>, pointer: u32, bytes: &Bytes) -> wasmtime::Result<()> {
    let bad = memory::BadPointer {
        pointer,
        length: bytes.len() as u64,
    };
    memory::of(&mut caller)?
        .write(&mut caller, pointer as usize, bytes)
        .map_err(|_| bad.into())
}

/// Takes bytes from the guest, within what it may still give this command.
fn input(caller: &mut Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<Vec<u8>> {
    let state = caller.data_mut();
    state.process.next.size += u64::from(length) + 32; // an empty argument takes room too
    if state.process.next.size > state.limits.command_input.as_u64() {
        return Err(Reached::CommandInput.into());
    }
    let memory = memory::of(caller)?;
    Ok(memory::read(&memory, caller, pointer, length)?)
}

fn text(caller: &mut Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<String> {
    Ok(string(input(caller, pointer, length)?))
}

/// What is no UTF-8 in it is replaced; what is, which is nearly always, is not copied.
fn string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
