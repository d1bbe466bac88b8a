//! The codes of descriptors, by the version of wasm-bindgen.

/// The version that compiled the module, as in `0.2.61`: the third number.
pub(crate) type Patch = u32;

/// A code of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    I64AsF64,
    U64AsF64,
    I128,
    U128,
    F32,
    F64,
    Boolean,
    Function,
    Closure,
    CachedString,
    String,
    Ref,
    RefMut,
    LongRef,
    Slice,
    Vector,
    ExternRef,
    NamedExternRef,
    Enum,
    StringEnum,
    DynamicUnion,
    RustStruct,
    Char,
    Optional,
    Result,
    Unit,
    Clamped,
    NonNull,
    RawPointer,
    SeqMode,
    Nullable,
}

/// Every code in order, with the version that added it; codes that `FUNCTION` calibrates have none.
const CODES: [(Code, Patch); 39] = [
    (Code::I8, 0),
    (Code::U8, 0),
    (Code::I16, 0),
    (Code::U16, 0),
    (Code::I32, 0),
    (Code::U32, 0),
    (Code::I64, 0),
    (Code::U64, 0),
    (Code::I64AsF64, 0),
    (Code::U64AsF64, 0),
    (Code::I128, 0),
    (Code::U128, 0),
    (Code::F32, 0),
    (Code::F64, 0),
    (Code::Boolean, 0),
    (Code::Function, 0),
    (Code::Closure, 0),
    (Code::CachedString, 0),
    (Code::String, 0),
    (Code::Ref, 0),
    (Code::RefMut, 0),
    (Code::LongRef, 84),
    (Code::Slice, 0),
    (Code::Vector, 0),
    (Code::ExternRef, 0),
    (Code::NamedExternRef, 0),
    (Code::Enum, 0),
    (Code::StringEnum, 93),
    (Code::DynamicUnion, 121),
    (Code::RustStruct, 0),
    (Code::Char, 0),
    (Code::Optional, 0),
    (Code::Result, 79),
    (Code::Unit, 0),
    (Code::Clamped, 0),
    (Code::NonNull, 92),
    (Code::RawPointer, 120),
    (Code::SeqMode, 130),
    (Code::Nullable, 130),
];

/// The codes of one version, by number.
pub(super) struct Table {
    pub(super) codes: Vec<Code>,
    pub(super) version: Patch,
}

impl Table {
    pub(super) fn new(function: u32, version: Patch) -> Self {
        let there = |code: Code, since: Patch| match code {
            Code::I64AsF64 | Code::U64AsF64 => function >= 15,
            Code::I128 | Code::U128 => function >= 13,
            _ => version >= since,
        };
        let codes = CODES.iter().filter(|(code, since)| there(*code, *since));
        Self {
            codes: codes.map(|(code, _)| *code).collect(),
            version,
        }
    }
}
