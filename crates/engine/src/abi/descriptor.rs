//! The types that a module says for itself: wasm-bindgen's descriptors.
//!
//! A module that never went through the wasm-bindgen tool exports, for each function, `__wbindgen_describe_<function>`,
//! which calls the import `__wbindgen_describe(code)` once for each code of its type. The codes shifted over the years
//! (measured on 0.2.61 to 0.2.130): `FUNCTION` was 11, is 13 since 128-bit integers came and 15 today, always directly
//! behind `BOOLEAN`. A description starts with it, so the code table calibrates itself; what came later in the list
//! is placed by version. What is not understood here yields no signature, and the shape of the core type decides.

use crate::manifest::{Signature, Type};

/// The version that compiled the module, as in `0.2.61`: the third number.
pub(crate) type Patch = u32;

/// Reads the patch version from the custom section `__wasm_bindgen_unstable`: a length, then JSON.
pub(crate) fn version(section: &[u8]) -> Option<Patch> {
    let text = section.get(4..section.len().min(512))?;
    let text = String::from_utf8_lossy(text);
    let (_, after) = text.split_once("\"version\":\"0.2.")?;
    after
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// Decodes one function's description.
pub(crate) fn decode(codes: &[u32], version: Option<Patch>) -> Option<Signature> {
    let (&function, rest) = codes.split_first()?;
    let table = Table {
        function,
        longref: version.is_none_or(|patch| patch >= 84),
        optional: optional(function, version),
    };
    let [_shim, arity, rest @ ..] = rest else {
        return None;
    };
    let mut reader = Reader { codes: rest, table };
    // Bounded by what the module really emitted: every argument takes at least one code.
    let params = (0..*arity)
        .map(|_| reader.value())
        .collect::<Option<Vec<_>>>()?;
    let (result, fallible) = reader.result()?;
    Some(Signature {
        params,
        result,
        fallible,
    })
}

/// Where `OPTIONAL` stands; `RESULT` and `UNIT` follow it.
fn optional(function: u32, version: Option<Patch>) -> u32 {
    match (function, version) {
        (15.., _) => function + 16,
        (13, _) => function + 15,
        (_, Some(patch)) if patch >= 94 => function + 15,
        (_, Some(patch)) if patch < 84 => function + 13,
        _ => function + 14,
    }
}

struct Table {
    function: u32,
    /// `LONGREF` stands before `SLICE` since 0.2.84.
    longref: bool,
    optional: u32,
}

struct Reader<'a> {
    codes: &'a [u32],
    table: Table,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.codes.split_first()?;
        self.codes = rest;
        Some(*first)
    }

    fn value(&mut self) -> Option<Type> {
        let code = self.next()?;
        let function = self.table.function;
        let slice = function + if self.table.longref { 7 } else { 6 };
        const NUMBERS: [Type; 8] = [
            Type::I8,
            Type::U8,
            Type::I16,
            Type::U16,
            Type::I32,
            Type::U32,
            Type::I64,
            Type::U64,
        ];
        if let Some(number) = NUMBERS.get(code as usize) {
            return Some(*number);
        }
        match code {
            code if code + 3 == function => Some(Type::F32),
            code if code + 2 == function => Some(Type::F64),
            code if code + 1 == function => Some(Type::Bool),
            // A cached string, a string.
            code if code == function + 2 || code == function + 3 => Some(Type::String),
            // A shared reference: to a string or to a slice.
            code if code == function + 4 => match self.value()? {
                referred @ (Type::String | Type::Bytes) => Some(referred),
                _ => None,
            },
            code if code == slice || code == slice + 1 => match self.value()? {
                Type::U8 => Some(Type::Bytes),
                _ => None,
            },
            _ => None,
        }
    }

    fn result(&mut self) -> Option<(Type, bool)> {
        let (result, unit) = (self.table.optional + 1, self.table.optional + 2);
        // Before 0.2.79 there was no `RESULT`, and `UNIT` had its place; both end the list of a `()`.
        match *self.codes.first()? {
            code if code == unit => Some((Type::Unit, false)),
            code if code == result => {
                self.next();
                match self.codes.first() {
                    Some(code) if *code == unit => Some((Type::Unit, true)),
                    _ => Some((self.value()?, true)),
                }
            }
            _ => Some((self.value()?, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(params: &[Type], result: Type) -> Option<Signature> {
        Some(Signature {
            params: params.to_vec(),
            result,
            fallible: false,
        })
    }

    #[test]
    fn today() {
        let of = |codes: &[u32]| decode(codes, Some(130));
        assert_eq!(
            of(&[15, 0, 1, 19, 18, 18, 18]),
            plain(&[Type::String], Type::String)
        );
        assert_eq!(
            of(&[15, 0, 1, 19, 22, 1, 23, 1, 23, 1]),
            plain(&[Type::Bytes], Type::Bytes)
        );
        assert_eq!(
            of(&[15, 0, 6, 19, 18, 5, 19, 22, 1, 6, 13, 14, 18, 18]),
            plain(
                &[
                    Type::String,
                    Type::U32,
                    Type::Bytes,
                    Type::I64,
                    Type::F64,
                    Type::Bool
                ],
                Type::String
            )
        );
        assert_eq!(of(&[15, 0, 0, 33, 33]), plain(&[], Type::Unit));
        assert_eq!(
            of(&[15, 0, 1, 19, 18, 32, 18, 32, 18]),
            Some(Signature {
                params: vec![Type::String],
                result: Type::String,
                fallible: true
            })
        );
    }

    #[test]
    fn of_2020() {
        // 0.2.61: FUNCTION 11, STRING 14, REF 15, SLICE 17, VECTOR 18.
        assert_eq!(
            decode(&[11, 0, 1, 15, 14, 14], Some(61)),
            plain(&[Type::String], Type::String)
        );
        assert_eq!(
            decode(&[11, 0, 2, 15, 17, 1, 4, 18, 1], Some(61)),
            plain(&[Type::Bytes, Type::I32], Type::Bytes)
        );
    }

    #[test]
    fn what_is_not_understood_is_none() {
        for codes in [
            &[][..],
            &[15],
            &[15, 0, u32::MAX],
            &[15, 0, 1, 30, 30, 30],
            &[15, 0, 1, 19, 19, 19, 19],
        ] {
            assert_eq!(decode(codes, Some(130)), None, "{codes:?}");
        }
    }

    #[test]
    fn version_of_section() {
        assert_eq!(
            version(b"\x30\0\0\0{\"schema_version\":\"0.2.130\",\"version\":\"0.2.130 (abc)\"}"),
            Some(130)
        );
        assert_eq!(version(b""), None);
    }

    proptest::proptest! {
        #[test]
        fn any_codes_are_safe(codes in proptest::collection::vec(proptest::prelude::any::<u32>(), 0..64), version in 0..200u32) {
            let _ = decode(&codes, Some(version));
        }
    }
}
