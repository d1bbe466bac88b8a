//! The core values of arguments and results, and the core types of each type, as the versions of wasm-bindgen lay it
//! out.
//!
//! | type | 0.2.61 | since | |
//! |---|---|---|---|
//! | 64 bits | two `i32`, low half first | 0.2.83 | `i64` |
//! | 128 bits | | 0.2.96 | two `i64`, low half first |
//! | `Option` of 32 bits | `i32` for its presence, the value | 0.2.96 | `f64`, one number of which is `None` |
//! | `Option` of 64 and 128 bits, of `f64` | `i32` for its presence, the value | | |
//! | `Option` of what is narrower, of `char` and `bool` | `i32`, 0xff_ffff is `None` | | |
//! | `Option` of texts and lists | a pointer of 0 is `None` | | |
//! | an enum, and an `Option` of it | `i32`, one number of which is `None` | 0.2.130 | `f64` |
//! | `Result` | threw | 0.2.79 | the value, then a handle of the error, then a flag |
//!
//! If the version is known, so is the layout. Otherwise each layout is tried until one agrees with the core type. The
//! core type distinguishes them all, except for values in a return area ([`is_unsure`]).

use crate::types::{Core, Type};
use bytes::Bytes;

/// The layout choices of one version of wasm-bindgen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Era {
    /// 64 bits are two `i32`.
    pub(crate) halves: bool,
    /// An optional number of 32 bits is an `f64`.
    pub(crate) float_options: bool,
    /// An enum is an `f64`.
    pub(crate) float_enums: bool,
}

impl Era {
    /// The choices of the version that compiled a module, or else every combination, the newest first.
    pub(crate) fn each<'a>(
        patch: Option<u32>,
        types: impl IntoIterator<Item = &'a Type>,
    ) -> Vec<Self> {
        match patch {
            Some(patch) => vec![Self {
                halves: patch < 83,
                float_options: patch >= 96,
                float_enums: patch >= 130,
            }],
            None => eras(types),
        }
    }
}

/// Returns whether only the version distinguishes the layouts of a type in a return area.
pub(crate) fn is_unsure(ty: &Type) -> bool {
    match ty {
        Type::Enum { .. } => true,
        Type::Option(inner) => matches!(
            **inner,
            Type::Enum { .. } | Type::I32 | Type::U32 | Type::F32
        ),
        _ => false,
    }
}

/// The value for `None` of an optional type narrower than 32 bits.
pub(crate) const NARROW_NONE: i32 = 0x00ff_ffff;
/// The values for `None` of an optional number in an `f64`: until 0.2.118, and since then. Neither is a value of 32
/// bits.
pub(crate) const FLOAT_NONE: [f64; 2] = [4_294_967_297.0, 9_007_199_254_740_991.0];

/// The number for `None` of the version that compiled a module.
pub(crate) fn float_none(patch: u32) -> f64 {
    let [before, since] = FLOAT_NONE;
    if patch >= 119 { since } else { before }
}

/// Every way in which these types can be laid out, the newest first.
fn eras<'a>(types: impl IntoIterator<Item = &'a Type>) -> Vec<Era> {
    let (mut wide, mut optional, mut named) = (false, false, false);
    for ty in types {
        let inner = match ty {
            Type::Option(inner) => {
                optional |= matches!(**inner, Type::I32 | Type::U32 | Type::F32);
                inner
            }
            ty => ty,
        };
        wide |= matches!(inner, Type::I64 | Type::U64);
        named |= matches!(inner, Type::Enum { .. });
    }
    let both = |there: bool, newest: bool| match there {
        true => vec![newest, !newest],
        false => vec![false],
    };
    let mut eras = vec![];
    for halves in both(wide, false) {
        for float_options in both(optional, true) {
            for float_enums in both(named, true) {
                eras.push(Era {
                    halves,
                    float_options,
                    float_enums,
                });
            }
        }
    }
    eras
}

/// Appends the core values of a type.
pub(crate) fn flatten(ty: &Type, era: Era, flat: &mut Vec<Core>) {
    use Core::{F32, F64, I32, I64};
    match ty {
        Type::Unit => {}
        Type::I64 | Type::U64 if era.halves => flat.extend([I32, I32]),
        Type::I64 | Type::U64 => flat.push(I64),
        Type::I128 | Type::U128 => flat.extend([I64, I64]),
        Type::F32 => flat.push(F32),
        Type::F64 => flat.push(F64),
        Type::String
        | Type::Bytes
        | Type::Json
        | Type::Request
        | Type::Response
        | Type::List(_) => flat.extend([I32, I32]),
        Type::Enum { .. } if era.float_enums => flat.push(F64),
        Type::Option(inner) => match **inner {
            Type::I32 | Type::U32 | Type::F32 if era.float_options => flat.push(F64),
            _ => {
                if is_tagged(inner) {
                    flat.push(I32);
                }
                flatten(inner, era, flat);
            }
        },
        Type::Bool
        | Type::I8
        | Type::U8
        | Type::I16
        | Type::U16
        | Type::I32
        | Type::U32
        | Type::Char
        | Type::Enum { .. } => flat.push(I32),
    }
}

/// Returns whether a word before an optional value of this type marks its presence (if it is not an `f64`).
pub(crate) fn is_tagged(inner: &Type) -> bool {
    matches!(
        inner,
        Type::I32
            | Type::U32
            | Type::F32
            | Type::F64
            | Type::I64
            | Type::U64
            | Type::I128
            | Type::U128
    )
}

/// Offsets of these values in a return area, as in a C struct, and its size.
pub(crate) fn offsets(cores: &[Core]) -> (Vec<u32>, u32) {
    let (mut at, mut all) = (0u32, Vec::with_capacity(cores.len()));
    for core in cores {
        let size = match core {
            Core::I64 | Core::F64 => 8,
            _ => 4,
        };
        at = at.next_multiple_of(size);
        all.push(at);
        at += size;
    }
    (all, at)
}

/// An argument as one or two core parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CoreArg {
    Bytes(Bytes),
    /// Elements of a list in memory order, each `width` bytes wide.
    List {
        bytes: Bytes,
        width: u32,
    },
    /// A list of texts, each of which is a handle.
    Texts(Vec<String>),
    /// An absent text or list.
    Null,
    I32(i32),
    I64(i64),
    /// 64 bits in two parameters, the low half first, as compilers of 2020 passed them.
    SplitI64(i64),
    /// 128 bits in two parameters, the low half first.
    I128(u128),
    F32(f32),
    F64(f64),
}

/// The location and the type of a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ResultLayout {
    Nothing,
    /// A value of a known type.
    Known {
        ty: Type,
        era: Era,
        /// True for a return area, whose address is the first parameter.
        area: bool,
        fallible: ErrorLayout,
    },
    /// A text or bytes in a return area, for a function of unknown types.
    Area,
    /// Pointer and length as results, followed by error and flag if the function is fallible.
    Pair(bool),
}

/// The presence of an error and a flag after a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ErrorLayout {
    No,
    Yes,
    /// They are present if the function wrote them into its return area.
    Perhaps,
}

/// A plan of one call: its arguments and its result as core values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallPlan {
    pub(crate) slots: Vec<CoreArg>,
    pub(crate) returns: ResultLayout,
}

impl CoreArg {
    /// The core types of these parameters.
    pub(crate) fn cores(&self) -> &'static [Core] {
        match self {
            Self::Bytes(_)
            | Self::List { .. }
            | Self::Texts(_)
            | Self::Null
            | Self::SplitI64(_) => &[Core::I32, Core::I32],
            Self::I32(_) => &[Core::I32],
            Self::I64(_) => &[Core::I64],
            Self::I128(_) => &[Core::I64, Core::I64],
            Self::F32(_) => &[Core::F32],
            Self::F64(_) => &[Core::F64],
        }
    }
}

/// The low 32 bits, then the high ones.
#[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
pub(crate) fn halves(value: i64) -> [i32; 2] {
    [value as i32, (value >> 32) as i32]
}

/// The integer of these halves.
pub(crate) fn whole(low: i32, high: i32) -> i64 {
    (i64::from(high) << 32) | i64::from(low.cast_unsigned())
}

/// The low 64 bits, then the high ones.
#[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
pub(crate) fn quarters(value: u128) -> [i64; 2] {
    [
        (value as u64).cast_signed(),
        ((value >> 64) as u64).cast_signed(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use Core::{F64, I32, I64};

    #[test]
    fn values_lie_as_in_a_c_struct() {
        assert_eq!(offsets(&[I32, I32, I32, I32]), (vec![0, 4, 8, 12], 16));
        assert_eq!(offsets(&[F64, I32, I32]), (vec![0, 8, 12], 16));
        assert_eq!(offsets(&[I32, F64, I32, I32]), (vec![0, 8, 16, 20], 24));
        assert_eq!(offsets(&[I64, I64, I32, I32]), (vec![0, 8, 16, 20], 24));
        assert_eq!(offsets(&[]), (vec![], 0));
    }

    #[test]
    fn types_without_versions_have_one_layout() {
        let option = |ty| Type::Option(Box::new(ty));
        for (ty, layouts) in [
            (Type::String, 1),
            (Type::U32, 1),
            (option(Type::Bool), 1),
            (Type::U64, 2),
            (option(Type::F32), 2),
            (option(Type::I64), 2),
        ] {
            let mut all: Vec<_> = eras([&ty])
                .into_iter()
                .map(|era| {
                    let mut flat = vec![];
                    flatten(&ty, era, &mut flat);
                    flat
                })
                .collect();
            all.dedup();
            assert_eq!(all.len(), layouts, "{ty}");
        }
    }
}
