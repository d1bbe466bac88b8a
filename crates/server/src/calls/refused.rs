//! Log rows of calls that are refused before their function runs.
//!
//! A function that does not exist has no log, and a path that names no function is not a call: both leave only a line
//! in the server's own log.

use super::prepare::FunctionRef;
use crate::app::App;
use crate::call_log::RefusedCall;
use iof_fault::{Fault, FaultKind};
use uuid::Uuid;

/// Adds a row to the log of the function that was called. Only calls that do not run use this.
pub(crate) async fn log_refused(
    app: &App,
    call: Uuid,
    function: FunctionRef<'_>,
    export: &str,
    fault: &Fault,
) {
    if fault.kind == FaultKind::NoSuchFunction {
        return;
    }
    let (function, name) = match function {
        FunctionRef::Number(number) => (Some(number), None),
        // If the store cannot find the function now, it cannot take the row either.
        FunctionRef::Name(name) => {
            let found = app.functions.named(name).await.unwrap_or_default();
            (found, Some(name))
        }
    };
    if let Some(function) = function {
        app.otlp.refused(call, function, name, fault);
        app.call_log
            .refused(function, RefusedCall::new(call, export, fault));
    }
}

/// The function and the export that a path below `/v1` calls, if it calls one.
pub(crate) fn called_by(path: &str) -> Option<(String, String)> {
    let mut segments = path.strip_prefix("/functions/")?.split('/');
    let (function, call, export) = (segments.next()?, segments.next()?, segments.next()?);
    let of_interface = segments.next();
    if call != "call" || segments.next().is_some() {
        return None;
    }
    let text = |segment: &str| {
        let text = percent_encoding::percent_decode_str(segment).decode_utf8();
        text.ok().map(|text| text.into_owned())
    };
    let export = match of_interface {
        None => text(export)?,
        Some(function) => format!("{}/{}", text(export)?, text(function)?),
    };
    Some((text(function)?, export))
}
