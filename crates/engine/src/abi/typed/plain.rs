//! Calls whose arguments and result are texts and bytes, which are passed without dynamic values.
//!
//! wasmtime's dynamic values take 32 bytes for each element of a list, of a `list<u8>` too: a picture of 4 MiB would
//! fill the default `limits.memory`. Its static types take one byte for each, but have to be known when the server is
//! compiled. So this file lists the shapes that functions on files have: up to two parameters, and a result that may be
//! fallible. All other functions use dynamic values. Rejected: a type of our own that lifts any list as bytes. It needs
//! `unsafe`, and wasmtime's internals.

use super::lift::{returned, within};
use super::{TypedSignature, describe};
use crate::state::CallState;
use crate::{Arg, StatedSignature, Value};
use bytes::Bytes;
use iof_fault::Fault;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Func, Lower, Type, Val};

/// The parameters and the result of a function that has texts and bytes only.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    params: Params,
    result: Returned,
}

#[derive(Clone, Copy)]
enum Params {
    None,
    Text,
    Bytes,
    TextBytes,
    BytesText,
}

#[derive(Clone, Copy)]
enum Returned {
    Text,
    Bytes,
    TextOrError,
    BytesOrError,
}

/// A planned call of such a function.
pub(crate) struct PlainCall {
    args: Args,
    result: Returned,
}

enum Args {
    None,
    Text(String),
    Bytes(Vec<u8>),
    TextBytes(String, Vec<u8>),
    BytesText(Vec<u8>, String),
}

impl Shape {
    /// The shape of a function with bytes in its parameters or its result; `None` for one that uses dynamic values.
    pub(super) fn of(params: &[(String, Type)], result: Option<&Type>) -> Option<Self> {
        let types: Vec<_> = params.iter().map(|(_, ty)| ty).collect();
        let params = match *types {
            [] => Params::None,
            [Type::String] => Params::Text,
            [ty] if describe::is_bytes(ty) => Params::Bytes,
            [Type::String, ty] if describe::is_bytes(ty) => Params::TextBytes,
            [ty, Type::String] if describe::is_bytes(ty) => Params::BytesText,
            _ => return None,
        };
        let result = match result? {
            Type::String => Returned::Text,
            Type::Result(of) => match (of.ok()?, of.err()?) {
                (Type::String, Type::String) => Returned::TextOrError,
                (ty, Type::String) if describe::is_bytes(&ty) => Returned::BytesOrError,
                _ => return None,
            },
            ty if describe::is_bytes(ty) => Returned::Bytes,
            _ => return None,
        };
        let texts_only = matches!(params, Params::None | Params::Text)
            && matches!(result, Returned::Text | Returned::TextOrError);
        (!texts_only).then_some(Self { params, result })
    }
}

impl TypedSignature {
    /// Plans the call of a function that has texts and bytes only, with all of its arguments as they are; `None` if it
    /// uses dynamic values.
    ///
    /// # Errors
    /// `arguments`, naming the one that does not fit.
    pub(crate) fn plain(
        &self,
        args: &[Arg],
        stated: Option<&StatedSignature>,
        room: u64,
    ) -> Option<Result<PlainCall, Fault>> {
        let Shape { params, result } = self.shape.filter(|_| stated.is_none())?;
        let sizes = args.iter().map(|arg| bytes(arg).len() as u64);
        let fits = sizes.sum::<u64>() <= room;
        let text = |at: usize, arg: &Arg| {
            let text = String::from_utf8(bytes(arg).to_vec());
            text.map_err(|error| self.not_text(at, error.utf8_error().valid_up_to()))
        };
        let args = match (params, args) {
            (Params::None, []) => Ok(Args::None),
            _ if !fits => {
                Err(self.misfit("its arguments take more than limits.memory on the host"))
            }
            (Params::Text, [arg]) => text(0, arg).map(Args::Text),
            (Params::Bytes, [arg]) => Ok(Args::Bytes(bytes(arg).to_vec())),
            (Params::TextBytes, [first, second]) => {
                text(0, first).map(|text| Args::TextBytes(text, bytes(second).to_vec()))
            }
            (Params::BytesText, [first, second]) => {
                text(1, second).map(|text| Args::BytesText(bytes(first).to_vec(), text))
            }
            _ => return None,
        };
        Some(args.map(|args| PlainCall { args, result }))
    }

    fn not_text(&self, at: usize, from: usize) -> Fault {
        let name = self.params.get(at).map_or("", |(name, _)| name);
        self.misfit(&format!(
            "argument `{name}`: it is not UTF-8 from byte {from} on"
        ))
    }
}

fn bytes(arg: &Arg) -> &Bytes {
    let (Arg::Text(bytes) | Arg::Bytes(bytes) | Arg::Request(bytes)) = arg;
    bytes
}

impl PlainCall {
    /// Makes the call, whose result takes at most `most` bytes.
    ///
    /// # Errors
    /// Any trap; the fault of a function that returned an error.
    pub(crate) async fn run(
        self,
        function: &Func,
        store: &mut Store<CallState>,
        most: u64,
    ) -> wasmtime::Result<Value> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let result = self.result;
        match self.args {
            Args::None => call(function, store, (), result, most).await,
            Args::Text(text) => call(function, store, (text,), result, most).await,
            Args::Bytes(bytes) => call(function, store, (bytes,), result, most).await,
            Args::TextBytes(text, bytes) => {
                call(function, store, (text, bytes), result, most).await
            }
            Args::BytesText(bytes, text) => {
                call(function, store, (bytes, text), result, most).await
            }
        }
    }
}

async fn call<P: ComponentNamedList + Lower + Send + Sync + 'static>(
    function: &Func,
    store: &mut Store<CallState>,
    args: P,
    result: Returned,
    most: usize,
) -> wasmtime::Result<Value> {
    let failed = |error: String| -> wasmtime::Error {
        match returned(Some((&Val::String(error), &Type::String)), most) {
            Ok(fault) => fault.into(),
            Err(limit) => limit.into(),
        }
    };
    match result {
        Returned::Text => {
            let function = function.typed::<P, (String,)>(&*store)?;
            let (text,) = function.call_async(store, args).await?;
            Ok(Value::Text(within(text.into_bytes(), most)?))
        }
        Returned::Bytes => {
            let function = function.typed::<P, (Vec<u8>,)>(&*store)?;
            let (bytes,) = function.call_async(store, args).await?;
            Ok(Value::Bytes(within(bytes, most)?))
        }
        Returned::TextOrError => {
            let function = function.typed::<P, (Result<String, String>,)>(&*store)?;
            let (text,) = function.call_async(store, args).await?;
            Ok(Value::Text(within(
                text.map_err(failed)?.into_bytes(),
                most,
            )?))
        }
        Returned::BytesOrError => {
            let function = function.typed::<P, (Result<Vec<u8>, String>,)>(&*store)?;
            let (bytes,) = function.call_async(store, args).await?;
            Ok(Value::Bytes(within(bytes.map_err(failed)?, most)?))
        }
    }
}
