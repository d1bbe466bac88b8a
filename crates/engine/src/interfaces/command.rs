//! `iof:command`, by which components run commands; `wit/command.wit` defines it.

use crate::capability::process::Process;
use crate::limits::{LimitExceeded, Limits};
use crate::state::CallState;
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// The interface and its version.
pub(super) const RUN: &str = "iof:command/run@0.1.0";

#[derive(ComponentType, Lift)]
#[component(record)]
struct Request {
    name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Vec<u8>,
    timeout: Option<u32>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Output {
    status: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.instance(RUN)?.func_wrap_async(
        "run",
        |mut store: StoreContextMut<'_, CallState>, (request,): (Request,)| {
            Box::new(async move {
                let CallState {
                    process,
                    commands,
                    context,
                    limits,
                    tape,
                    ..
                } = store.data_mut();
                put_together(process, request, limits)?;
                let status = process
                    .run(commands, context, limits, tape.as_ref())
                    .await?;
                Ok((Output {
                    status,
                    stdout: process.stdout().to_vec(),
                    stderr: process.stderr().to_vec(),
                },))
            })
        },
    )
}

/// Assembles the next command from a request, within the limit of its input.
fn put_together(
    process: &mut Process,
    request: Request,
    limits: &Limits,
) -> Result<(), LimitExceeded> {
    let mut counted = |text: Vec<u8>| {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        process.reserve(length, limits)?;
        Ok::<_, LimitExceeded>(text)
    };
    let name = counted(request.name.into_bytes())?;
    let stdin = counted(request.stdin)?;
    let arguments = request.arguments.into_iter();
    let arguments: Vec<_> = arguments
        .map(|argument| counted(argument.into_bytes()))
        .collect::<Result<_, _>>()?;
    let environment = request.environment.into_iter();
    let environment: Vec<_> = environment
        .map(|(key, value)| Ok((counted(key.into_bytes())?, counted(value.into_bytes())?)))
        .collect::<Result<_, LimitExceeded>>()?;
    process.add_name(name);
    process.add_stdin(stdin);
    for argument in arguments {
        process.add_arg(argument);
    }
    for (key, value) in environment {
        process.add_env(key, value);
    }
    if let Some(milliseconds) = request.timeout {
        process.set_timeout(Duration::from_millis(milliseconds.into()));
    }
    Ok(())
}
