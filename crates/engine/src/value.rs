//! Arguments and results of a call, independent of any ABI.

use bytes::Bytes;

/// One argument as a client sent it.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// UTF-8 text; an export that takes a number parses it.
    Text(Bytes),
    /// Bytes.
    Bytes(Bytes),
    /// A whole request, encoded by the surface that received it, for an export that takes
    /// [`Type::Request`](crate::Type::Request).
    Request(Bytes),
}

/// The input of one run of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgramInput {
    pub(crate) stdin: Bytes,
    /// Arguments after the program's name.
    pub(crate) words: Vec<String>,
}

/// A result of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Unit,
    /// A boolean, if the module declares that it is one.
    Bool(bool),
    /// An integer of at most 64 bits, signed or not.
    Integer(i128),
    /// A number of single precision.
    F32(f32),
    /// A number of double precision.
    F64(f64),
    /// Text as the guest wrote it. Bytes count as text, unless the module declares otherwise.
    Text(Bytes),
    /// Bytes.
    Bytes(Bytes),
    /// JSON text, if the module declares it as such.
    Json(Bytes),
    /// A whole response as the guest wrote it, for the surface that sends it.
    Response(Bytes),
}

impl Value {
    /// The body of a response: bytes unchanged, numbers in decimal, nothing for `Unit`.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        match self {
            Self::Unit => Bytes::new(),
            Self::Bool(value) => Bytes::from_static(if value { b"true" } else { b"false" }),
            Self::Integer(value) => value.to_string().into(),
            Self::F32(value) => value.to_string().into(),
            Self::F64(value) => value.to_string().into(),
            Self::Text(bytes) | Self::Bytes(bytes) | Self::Json(bytes) | Self::Response(bytes) => {
                bytes
            }
        }
    }
}
