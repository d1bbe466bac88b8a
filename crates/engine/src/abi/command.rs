//! The kind `wasi-command`: a program that every call runs from `main` to its end.
//!
//! The first argument of the call is the program's stdin, the second a JSON array of strings: its command-line
//! arguments. Its stdout is the result, its stderr is the call's log, and a status other than zero is a fault. Text
//! that looks like an array of arguments is still stdin, because many programs read JSON.

use super::guest::Guest;
use crate::manifest::{BodyUse, Described, Export, Param, Signature, Type};
use crate::value::ProgramInput;
use crate::{Arg, StatedSignature, Value};
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use serde_json::json;
use wasmtime::Func;
use wasmtime_wasi::I32Exit;

/// The name by which a program is called.
pub(crate) const MAIN: &str = "main";
/// The export that runs the program.
pub(crate) const START: &str = "_start";
/// The most arguments of a program in one call.
const WORDS: usize = 1000;

/// The signature and description of every program's one export.
pub(crate) fn describe() -> (Signature, Described) {
    let param = |name: &str, schema| Param {
        name: name.to_owned(),
        schema,
    };
    let words =
        json!({ "type": ["array", "null"], "items": { "type": "string" }, "maxItems": WORDS });
    (
        Signature {
            params: vec![Type::String, Type::Json],
            result: Type::String,
            fallible: false,
            patch: None,
        },
        Described {
            doc: "Run the program\n\nThe answer is what it prints; bytes that are no text come as \
                  application/octet-stream. A status other than 0 is the fault `exit`."
                .to_owned(),
            params: vec![param("stdin", None), param("args", Some(words))],
            result: None,
            fallible: true,
            body: BodyUse::Arguments,
            methods: vec![],
        },
    )
}

/// Reads stdin and the program's arguments from `args`.
///
/// # Errors
/// `arguments`
pub(crate) fn plan(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
) -> Result<ProgramInput, Fault> {
    let refused = |why: &str| {
        Fault::new(
            FaultKind::Arguments,
            format!(
                "`{}` is a program: its first argument is its stdin, the second a JSON array of strings, its arguments; \
                 {why}.",
                export.name
            ),
        )
    };
    if stated.is_some() {
        return Err(refused("it has no types that a caller could state"));
    }
    let bytes = |arg: &Arg| match arg {
        Arg::Text(bytes) | Arg::Bytes(bytes) | Arg::Request(bytes) => bytes.clone(),
    };
    let (stdin, words) = match args {
        [] => (Bytes::new(), None),
        [stdin] => (bytes(stdin), None),
        [stdin, words] => (bytes(stdin), Some(bytes(words))),
        more => return Err(refused(&format!("{} came", more.len()))),
    };
    let words: Option<Vec<String>> = match words {
        Some(words) if !words.is_empty() => serde_json::from_slice(&words)
            .map_err(|_| refused("the second is not an array of strings"))?,
        _ => None,
    };
    let words = words.unwrap_or_default();
    if words.len() > WORDS {
        return Err(refused(&format!("it can have {WORDS} of them")));
    }
    // A program's argument ends at its first zero byte; a text that contains one is refused instead of cut.
    if words.iter().any(|word| word.contains('\0')) {
        return Err(refused("one of them holds a zero byte"));
    }
    Ok(ProgramInput { stdin, words })
}

/// Runs the program to its end; its stdout is collected elsewhere.
///
/// # Errors
/// Any trap; a status other than zero is one, too.
pub(crate) async fn call<T: Send + 'static>(
    guest: &mut Guest<'_, T>,
    function: Func,
) -> wasmtime::Result<Value> {
    let start = function.typed::<(), ()>(&*guest.store)?;
    match start.call_async(&mut *guest.store, ()).await {
        Err(error) if !matches!(error.downcast_ref(), Some(I32Exit(0))) => Err(error),
        _ => Ok(Value::Unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Abi;

    fn planned(args: &[&str]) -> Result<(Vec<u8>, Vec<String>), String> {
        let export = Export {
            name: MAIN.into(),
            symbol: START.into(),
            core_params: vec![],
            core_results: vec![],
            signature: None,
            described: None,
            unread: None,
            abi: Abi::Command,
        };
        let args: Vec<_> = args
            .iter()
            .map(|arg| Arg::Text(Bytes::copy_from_slice(arg.as_bytes())))
            .collect();
        plan(&export, &args, None)
            .map(|plan| (plan.stdin.to_vec(), plan.words))
            .map_err(|fault| fault.message)
    }

    #[test]
    fn the_first_argument_is_stdin_and_the_second_are_words() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let good: [(&[&str], &str, Vec<String>); 6] = [
            (&[], "", vec![]),
            (&["text"], "text", vec![]),
            // The first argument is never an array of arguments, whatever it looks like.
            (&[r#"["a", ["-b"]]"#], r#"["a", ["-b"]]"#, vec![]),
            (
                &["text", r#"["-n", "two words"]"#],
                "text",
                words(&["-n", "two words"]),
            ),
            (&["text", "null"], "text", vec![]),
            (&["text", ""], "text", vec![]),
        ];
        for (args, stdin, expected) in good {
            assert_eq!(
                planned(args),
                Ok((stdin.as_bytes().to_vec(), expected)),
                "{args:?}"
            );
        }
        let many = serde_json::to_string(&vec!["a"; WORDS + 1]).unwrap();
        for (args, why) in [
            (&["text", "-n"][..], "the second is not an array of strings"),
            (&["text", "[1]"], "the second is not an array of strings"),
            (&["text", "[\"a\\u0000b\"]"], "zero byte"),
            (&["text", &many], "it can have 1000"),
            (&["a", "[]", "c"], "3 came"),
        ] {
            let refused = planned(args).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
