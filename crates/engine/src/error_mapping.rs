//! The mapping from the error that ended a call in wasm to the fault that its caller sees.

use crate::abi::bindgen::Returned;
use crate::capability::log::Log;
use crate::host::{self, js_imports};
use crate::limits::LimitExceeded;
use crate::memory;
use crate::state::CallState;
use iof_fault::{Ending, Fault, FaultKind};
use wasmtime::Trap;
use wiggle::GuestError;

/// The fault of an error that ended a call in wasm.
pub(crate) fn of_error(error: &wasmtime::Error, state: &CallState, log: &Log) -> Fault {
    if let Some(reached) = error.downcast_ref::<LimitExceeded>() {
        return reached.fault(&state.limits);
    }
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return fault.clone();
    }
    if let Some(Returned(handle)) = error.downcast_ref() {
        let objects = &state.objects;
        let text = objects.get(*handle).or_else(|| objects.last());
        return match text {
            Some(text) => Fault::new(
                FaultKind::GuestError,
                format!("The function returned an error: {}", head(text)),
            ),
            None => Fault::new(FaultKind::GuestError, "The function returned an error."),
        };
    }
    if let Some(bad) = error.downcast_ref::<memory::BadPointer>() {
        return Fault::from(*bad).with_detail(format!("{error:?}"));
    }
    if let Some(bad) = error.downcast_ref::<GuestError>() {
        return memory::fault_of(bad).with_detail(format!("{error:?}"));
    }
    if let Some(js_imports::GuestException(message)) = error.downcast_ref() {
        return Fault::new(
            FaultKind::GuestError,
            format!("The function threw: {message}"),
        );
    }
    if let Some(missing) = error.downcast_ref::<js_imports::JavaScriptCall>() {
        return Fault::new(
            FaultKind::NoJavascript,
            format!("{missing}. Build it without that dependency."),
        );
    }
    if let Some(missing) = error.downcast_ref::<host::missing::Missing>() {
        return missing.fault();
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        let what = if state.wasi.is_program() {
            format!("The program ended with status {}", exit.0)
        } else {
            format!(
                "The function exited with status {} instead of returning",
                exit.0
            )
        };
        let mut fault = Fault::new(FaultKind::Exit, format!("{what}."));
        fault.ending = Some(Box::new(Ending {
            exit_status: Some(exit.0),
            printed: log.last_words(),
            ..Ending::default()
        }));
        return fault;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => LimitExceeded::Stack.fault(&state.limits),
        // A growth was refused and the guest aborted, as Rust does. The limit is the cause.
        _ if state.space.refused => LimitExceeded::Memory.fault(&state.limits),
        Some(Trap::MemoryOutOfBounds) if recursed(error) => LimitExceeded::Stack
            .fault(&state.limits)
            .with_detail(format!("{error:?}")),
        Some(trap) => {
            let message = format!("The function trapped ({}).{}", describe(*trap), hint(*trap));
            let mut fault = Fault::new(FaultKind::Trap, message).with_detail(format!("{error:?}"));
            fault.ending = log.last_words().map(|printed| {
                Box::new(Ending {
                    printed: Some(printed),
                    ..Ending::default()
                })
            });
            fault
        }
        None if error.is::<wasmtime::ThrownException>() => {
            let message = "The function threw an exception that it did not catch.";
            Fault::new(FaultKind::Trap, message).with_detail(format!("{error:?}"))
        }
        None if error.is::<wasmtime::PoolConcurrencyLimitError>() => Fault::new(
            FaultKind::Concurrency,
            "The calls in progress reach server.concurrency. Try again.",
        ),
        None => Fault::host("The call failed inside the server.", format!("{error:?}")),
    }
}

/// Returns whether the innermost frames are the same few functions again and again.
///
/// Compilers give a guest a second stack, at the bottom of its memory, and recursion may exhaust that one first: the
/// trap is then an access below address zero. Other memory errors do not have such a backtrace.
fn recursed(error: &wasmtime::Error) -> bool {
    let Some(trace) = error.downcast_ref::<wasmtime::WasmBacktrace>() else {
        return false;
    };
    let frames: Vec<u32> = trace
        .frames()
        .iter()
        .map(wasmtime::FrameInfo::func_index)
        .collect();
    // The innermost frame may be a leaf that the recursion calls.
    let pile = frames.get(1..).unwrap_or_default();
    let distinct: std::collections::HashSet<_> = pile.iter().collect();
    pile.len() >= 16 && distinct.len() <= 4
}

/// The next step for a trap that the guest's toolchain causes; empty for other traps.
fn hint(trap: Trap) -> &'static str {
    match trap {
        // The component model forbids this since May of 2026: WebAssembly/component-model#647.
        Trap::WaitableSyncAndAsync => {
            " It was built with tools from before WASI 0.3.0, which use streams in a way that is forbidden now. Build it again \
             with current tools: in Rust, with wit-bindgen 0.58 or later."
        }
        Trap::AsyncDeadlock => " It waits for an event that none of its tasks will cause.",
        _ => "",
    }
}

fn describe(trap: Trap) -> String {
    trap.to_string()
        .trim_start_matches("wasm trap: ")
        .to_owned()
}

/// The beginning of a text.
fn head(text: &str) -> &str {
    text.get(..text.floor_char_boundary(4096))
        .unwrap_or_default()
}
