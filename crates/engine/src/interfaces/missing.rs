//! Imports of components that the host does not serve, and errors of imports that it does serve.

use super::served::{self, WASI_0_2, WASI_0_3};
use crate::limits::LimitExceeded;
use crate::manifest::UnresolvedImport;
use iof_fault::{Fault, FaultKind};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

/// The name of an import in messages, with a hint at a replacement.
pub(crate) fn name(import: &UnresolvedImport) -> String {
    let UnresolvedImport { module, name, .. } = import;
    match module.is_empty() {
        true => format!("`{name}` (a function of no interface)"),
        false => format!("{module} `{name}`{}", hint(module, name)),
    }
}

/// A hint at a replacement for an import, if its name suggests one.
fn hint(import: &str, item: &str) -> String {
    let (interface, version) = served::split(import);
    let package = interface.split('/').next().unwrap_or_default();
    let is_candidate =
        version.is_some_and(|version| version.contains("-rc") || version.contains("-draft"));
    // The current release of the same minor version, or that of 0.2.
    let is_third = version.is_some_and(|version| version.starts_with("0.3."));
    let current = match is_third {
        true => WASI_0_3.current,
        false => WASI_0_2.current,
    };
    let known = [WASI_0_2, WASI_0_3]
        .iter()
        .any(|wasi| served::has(&format!("{interface}@{}", wasi.current), item));
    let hint = match package {
        "wasi:keyvalue" => {
            return format!(
                " (the storage of a function is wasi:keyvalue/store@{})",
                served::KEYVALUE_DRAFT
            );
        }
        "wasi:config" => {
            return format!(
                " (declared variables are wasi:config/store@{}, and in wasi:cli/environment)",
                served::CONFIG_DRAFTS[0]
            );
        }
        "wasi:logging" => {
            return format!(
                " (the log of a call is wasi:logging/logging@{}, and stderr)",
                served::LOGGING_DRAFT
            );
        }
        "wasi:nn" => "models are commands: import iof:command/run",
        _ if interface == "wasi:http/handler" || interface == "wasi:http/incoming-handler" => {
            "it is a middleware; compose it with the handler behind it: `wac plug`"
        }
        _ if is_candidate => {
            return format!(" (a pre-release version; build it with current tools, for {current})");
        }
        "wasi:http" if item == "[method]response-outparam.send-informational" => {
            "interim responses (1xx) are not sent; a draft of WASI has them"
        }
        _ if known => {
            return format!(
                " (another version; this server has 0.2.0 to {} and {})",
                WASI_0_2.current, WASI_0_3.current
            );
        }
        "wasi:blobstore" | "wasi:sql" => "the storage of a function is wasi:keyvalue",
        "fermyon:spin" | "spin:sdk" | "spin:postgres" | "spin:redis" => {
            "an interface of Spin; use wasi:keyvalue, wasi:cli/environment or iof:command/run"
        }
        _ if package.starts_with("wasmcloud") => "an interface of wasmCloud",
        _ if package.starts_with("wasi:") => "no interface of WASI 0.2 or 0.3 has it",
        _ => "compose it with a component that exports it: `wac plug`",
    };
    format!(" ({hint})")
}

/// The fault of a component with imports that are not served.
pub(crate) fn refuse(missing: &[String]) -> Fault {
    const SHOWN: usize = 20;
    let shown = missing.get(..SHOWN).unwrap_or(missing).join(", ");
    let more = match missing.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Fault::new(
        FaultKind::UnknownImport,
        format!(
            "The component imports what this server does not have: {shown}{more}. It serves the interfaces of \
             wasi:cli/imports and wasi:http 0.2.0 to {} and {}, wasi:keyvalue/store, wasi:config/store, wasi:logging and \
             iof:command/run. If the functions that you call do not need it, compile.unknown_imports = \"fault\" lets the \
             component in.",
            WASI_0_2.current, WASI_0_3.current
        ),
    )
}

/// Converts an error that ended a call of a component to one with a fault: the errors of wasmtime have no types.
pub(crate) fn classify(error: Error) -> Error {
    let typed = error.is::<Trap>()
        || error.is::<LimitExceeded>()
        || error.is::<Fault>()
        || error.is::<I32Exit>()
        || error.is::<PoolConcurrencyLimitError>();
    if typed {
        return error;
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return LimitExceeded::Handles.into();
    }
    let cause = error.root_cause().to_string();
    match &*cause {
        _ if cause.contains("store handle limit exceeded") => LimitExceeded::Handles.into(),
        _ if cause.contains("fuel allocated for hostcalls") => LimitExceeded::Memory.into(),
        _ if cause.contains("memory minimum size") || cause.contains("table minimum size") => {
            LimitExceeded::Memory.into()
        }
        _ => match cause.strip_prefix("unknown import: ") {
            Some(import) => Fault::new(
                FaultKind::MissingImport,
                format!("The function called an import that this server does not have: {import}."),
            )
            .into(),
            None => {
                let shown: String = cause.chars().take(400).collect();
                let message = format!("The function trapped ({shown}).");
                Fault::new(FaultKind::Trap, message)
                    .with_detail(format!("{error:?}"))
                    .into()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_import_says_what_would_serve_it() {
        for (module, name, words) in [
            ("fermyon:spin/key-value@2.0.0", "open", "Spin"),
            (
                "wasi:cli/environment@0.2.0-rc-2023-11-10",
                "get-environment",
                "0.2.12",
            ),
            (
                "wasi:cli/environment@1.0.0",
                "get-environment",
                "another version",
            ),
            ("wasi:http/client@0.3.0-rc-2026-03-15", "send", "for 0.3.0"),
            ("wasi:http/handler@0.3.0", "handle", "wac plug"),
            (
                "wasi:http/types@0.2.12",
                "[method]response-outparam.send-informational",
                "interim responses (1xx) are not sent",
            ),
            (
                "wasi:cli/environment@0.2.0",
                "leave",
                "no interface of WASI 0.2",
            ),
            ("my:app/math@1.0.0", "add", "wac plug"),
        ] {
            let import = UnresolvedImport {
                module: module.to_owned(),
                name: name.to_owned(),
                optional: false,
            };
            let said = super::name(&import);
            assert!(said.contains(words) && said.starts_with(module), "{said}");
        }
    }
}
