//! The types that a module says for itself: wasm-bindgen's descriptors.
//!
//! A module that never went through the wasm-bindgen tool exports, for each function, `__wbindgen_describe_<function>`,
//! which calls the import `__wbindgen_describe(code)` once for each code of its type. The codes shifted over the years
//! (read in the sources of 0.2.61 to 0.2.130): 128-bit integers came before `FUNCTION`, and others behind it. A
//! description starts with `FUNCTION`, so the beginning of the list calibrates itself; the rest is placed by version. A
//! description is believed only if it is read to its last code. What is not understood is refused by its name.

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

/// Reads one function's description, which is `None` if it could not be run.
///
/// # Errors
/// What it says that no call could pass, as a clause: `it takes a JavaScript value`.
pub(crate) fn read(codes: Option<&[u32]>, version: Option<Patch>) -> Result<Signature, String> {
    let known = version;
    let codes = codes.ok_or("its description by wasm-bindgen cannot be run")?;
    let function = codes.first().copied().unwrap_or_default();
    // Without a version, the ones that end a list of codes, the newest first.
    let versions: &[Patch] = match (version, function) {
        (Some(version), _) => &[version],
        (None, 15..) => &[130, 121, 120],
        (None, 13..) => &[118],
        (None, _) => &[93, 92, 84, 83, 75],
    };
    let mut refusal = None;
    for version in versions {
        let table = Table::new(function, *version);
        let mut reader = Reader {
            codes: codes.get(1..).unwrap_or_default(),
            table: &table,
            depth: 0,
        };
        match reader.function() {
            Ok(mut signature) => {
                signature.patch = known;
                return Ok(signature);
            }
            // What is named is a better reason than a code that is not known.
            Err(Refusal::Type(what)) => refusal = Some(what),
            Err(Refusal::Unknown) => {}
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let version = version.map_or_else(String::new, |version| format!(" 0.2.{version}"));
        format!("this server does not know the types that wasm-bindgen{version} describes it with")
    }))
}

/// Whether the codes of a conversion, which describes itself as it runs, are those of a text that becomes a JavaScript
/// value: an empty name since some version, then a function of one text.
pub(crate) fn makes_text(codes: &[u32]) -> bool {
    let codes = match codes {
        [0, rest @ ..] => rest,
        codes => codes,
    };
    let [function, 0, 1, rest @ ..] = codes else {
        return false;
    };
    // Behind `FUNCTION` come `CLOSURE`, `CACHED_STRING`, `STRING`, `REF`, and `EXTERNREF` behind `VECTOR`.
    let is = |code: &u32, behind: u32| code.checked_sub(*function) == Some(behind);
    let text = |code: &u32| is(code, 2) || is(code, 3);
    let result = match rest {
        [reference, code, result @ ..] if is(reference, 4) && text(code) => result,
        [code, result @ ..] if text(code) => result,
        _ => return false,
    };
    matches!(result, [value, ..] if is(value, 9))
}

/// Why a description was not read.
enum Refusal {
    /// It has a type that cannot cross, as a clause.
    Type(String),
    /// A code, or their number, is another than expected.
    Unknown,
}

/// A code of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
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

/// Every code in order, with the version since which it is there; what `FUNCTION` tells has none.
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
struct Table {
    codes: Vec<Code>,
    version: Patch,
}

impl Table {
    fn new(function: u32, version: Patch) -> Self {
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

struct Reader<'a> {
    codes: &'a [u32],
    table: &'a Table,
    depth: u32,
}

/// Types inside of types, references included.
const DEPTH: u32 = 16;

impl Reader<'_> {
    fn word(&mut self) -> Result<u32, Refusal> {
        let (first, rest) = self.codes.split_first().ok_or(Refusal::Unknown)?;
        self.codes = rest;
        Ok(*first)
    }

    fn code(&mut self) -> Result<Code, Refusal> {
        let word = self.word()?;
        let code = self.table.codes.get(word as usize);
        code.copied().ok_or(Refusal::Unknown)
    }

    /// A length, and so many characters.
    fn text(&mut self) -> Result<String, Refusal> {
        let length = self.word()? as usize;
        let (text, rest) = self
            .codes
            .split_at_checked(length)
            .ok_or(Refusal::Unknown)?;
        self.codes = rest;
        let text: Option<String> = text.iter().map(|code| char::from_u32(*code)).collect();
        text.ok_or(Refusal::Unknown)
    }

    /// What stands behind `FUNCTION`.
    fn function(&mut self) -> Result<Signature, Refusal> {
        let (_shim, arity) = (self.word()?, self.word()?);
        // Bounded by what the module really emitted: every argument takes at least one code.
        let params = (0..arity)
            .map(|_| self.value("takes"))
            .collect::<Result<_, _>>()?;
        let before = self.codes;
        let (result, fallible) = self.result()?;
        // Since 2020 the result stands there twice: as it is, and as a promise would have it.
        let said = before.len() - self.codes.len();
        match self.codes.is_empty() || before.get(..said) == Some(self.codes) {
            true => Ok(Signature {
                params,
                result,
                fallible,
                patch: None,
            }),
            false => Err(Refusal::Unknown),
        }
    }

    fn result(&mut self) -> Result<(Type, bool), Refusal> {
        let of = |table: &Table, code: Option<&u32>| {
            let code = *code? as usize;
            table.codes.get(code).copied()
        };
        let fallible = of(self.table, self.codes.first()) == Some(Code::Result);
        if fallible {
            self.word()?;
        }
        if of(self.table, self.codes.first()) == Some(Code::Unit) {
            self.word()?;
            return Ok((Type::Unit, fallible));
        }
        Ok((self.value("returns")?, fallible))
    }

    fn value(&mut self, verb: &str) -> Result<Type, Refusal> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Refusal::Unknown);
        }
        let value = self.value_inside(verb);
        self.depth -= 1;
        value
    }

    fn value_inside(&mut self, verb: &str) -> Result<Type, Refusal> {
        let refuse = |what: &str| Err(Refusal::Type(format!("it {verb} {what}")));
        Ok(match self.code()? {
            Code::I8 => Type::I8,
            Code::U8 => Type::U8,
            Code::I16 => Type::I16,
            Code::U16 => Type::U16,
            Code::I32 => Type::I32,
            Code::U32 => Type::U32,
            Code::I64 => Type::I64,
            Code::U64 => Type::U64,
            Code::I128 => Type::I128,
            Code::U128 => Type::U128,
            Code::F32 => Type::F32,
            Code::F64 => Type::F64,
            Code::Boolean => Type::Bool,
            Code::Char => Type::Char,
            Code::CachedString | Code::String => Type::String,
            // A shared reference: to a text, to a list, or to what crosses as its copy.
            Code::Ref | Code::LongRef => self.value(verb)?,
            Code::Clamped => self.value(verb)?,
            Code::Slice | Code::Vector => self.list(verb)?,
            Code::Optional => match self.value(verb)? {
                Type::Option(_) => return Err(Refusal::Unknown),
                inner => Type::Option(Box::new(inner)),
            },
            Code::Enum => self.named_enum()?,
            Code::StringEnum => {
                let name = self.text()?;
                return refuse(&format!("the enum {name} of strings"));
            }
            Code::RustStruct => {
                let name = self.text()?;
                return refuse(&format!(
                    "the struct {name}, which lives in one instance, and every call has its own"
                ));
            }
            Code::NamedExternRef => {
                let name = self.text()?;
                return refuse(&format!("the JavaScript value {name}"));
            }
            Code::ExternRef => return refuse("a JavaScript value (JsValue)"),
            Code::DynamicUnion => return refuse("a union of JavaScript values"),
            Code::RefMut => return refuse("a mutable reference (&mut)"),
            Code::Closure | Code::Function => return refuse("a closure"),
            Code::NonNull | Code::RawPointer => return refuse("a pointer"),
            Code::Nullable => return refuse("a Nullable; use an Option"),
            Code::I64AsF64 | Code::U64AsF64 => return refuse("a size of 64 bits"),
            Code::SeqMode => return refuse("a sequence with a mode"),
            Code::Unit => return refuse("()"),
            Code::Result => return refuse("a Result inside of another type"),
        })
    }

    /// The element of a list, behind `SLICE` or `VECTOR`.
    fn list(&mut self, verb: &str) -> Result<Type, Refusal> {
        let refuse = |what: &str| Err(Refusal::Type(format!("it {verb} a list of {what}")));
        let before = self.codes;
        if self.code()? == Code::NamedExternRef {
            return match self.text()?.as_str() {
                "string" => Ok(Type::List(Box::new(Type::String))),
                name => refuse(&format!("the JavaScript value {name}")),
            };
        }
        self.codes = before;
        match self.value(verb)? {
            // Cells of 32 bits, since the version that has sequences of them.
            ty @ (Type::Bool | Type::Char) if self.table.version >= 130 => {
                Ok(Type::List(Box::new(ty)))
            }
            ty if ty.width().is_some() && !matches!(ty, Type::Bool | Type::Char | Type::String) => {
                Ok(ty.listed())
            }
            ty => refuse(&format!("{ty}")),
        }
    }

    fn named_enum(&mut self) -> Result<Type, Refusal> {
        let name = match self.table.version {
            88.. => self.text()?,
            _ => "of numbers".to_owned(),
        };
        let hole = self.word()?;
        // Where it comes from.
        if self.table.version >= 130 {
            self.text()?;
            self.word()?;
        }
        Ok(Type::Enum { name, hole })
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
            patch: None,
        })
    }

    fn decode(codes: &[u32], version: Option<Patch>) -> Option<Signature> {
        let mut signature = read(Some(codes), version).ok()?;
        signature.patch = None;
        Some(signature)
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
                fallible: true,
                patch: None,
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
    fn what_is_not_understood_is_refused() {
        for codes in [
            &[][..],
            &[15],
            &[15, 0, u32::MAX],
            &[15, 0, 1, 32, 33, 33],
            &[15, 0, 1, 19, 19, 19, 19],
            &[15, 0, 0, 33, 33, 33],
            &[15, 0, 0, 99, 99],
            &[15, 0, 1].into_iter().chain([19; 9000]).collect::<Vec<_>>(),
        ] {
            assert_eq!(decode(codes, Some(130)), None, "{codes:?}");
        }
        assert!(read(None, Some(130)).is_err());
    }

    /// Options, characters, enums and lists, by the numbers of four versions.
    #[test]
    fn every_version_has_its_numbers() {
        let option = |ty: Type| Type::Option(Box::new(ty));
        let list = |ty: Type| Type::List(Box::new(ty));
        let text = |text: &str| {
            let codes = text.chars().map(u32::from);
            std::iter::once(codes.clone().count() as u32)
                .chain(codes)
                .collect::<Vec<_>>()
        };
        // (function, version, vector, named externref, enum, char, optional)
        for (function, version, vector, named, of_enum, char, optional) in [
            (11, 61, 18, 20, 21, 23, 24),
            (11, 83, 18, 20, 21, 23, 24),
            (11, 92, 19, 21, 22, 24, 25),
            (11, 95, 19, 21, 22, 25, 26),
            (13, 100, 21, 23, 24, 27, 28),
            (15, 120, 23, 25, 26, 29, 30),
            (15, 130, 23, 25, 26, 30, 31),
        ] {
            let mut codes = vec![function, 0, 5, vector, 4, char, optional, 5, vector, named];
            codes.extend(text("string"));
            codes.push(of_enum);
            let name = match version {
                88.. => {
                    codes.extend(text("Colour"));
                    "Colour"
                }
                _ => "of numbers",
            };
            codes.push(9);
            if version >= 130 {
                codes.extend(text("crate"));
                codes.push(77);
            }
            codes.extend([optional, 14 + function - 11]);
            assert_eq!(
                decode(&codes, Some(version)),
                plain(
                    &[
                        list(Type::I32),
                        Type::Char,
                        option(Type::U32),
                        list(Type::String),
                        Type::Enum {
                            name: name.into(),
                            hole: 9
                        },
                    ],
                    option(Type::String)
                ),
                "0.2.{version}"
            );
        }
    }

    #[test]
    fn what_cannot_cross_is_named() {
        for (codes, words) in [
            (vec![15, 0, 1, 24, 33, 33], "takes a JavaScript value"),
            (vec![15, 0, 0, 24, 24], "returns a JavaScript value"),
            (
                vec![15, 0, 0, 29, 1, 65, 1, 66, 29, 1, 65, 1, 66],
                "the struct A",
            ),
            (
                vec![15, 0, 1, 20, 22, 1, 33, 33],
                "takes a mutable reference",
            ),
            (
                vec![15, 0, 0, 25, 2, 79, 75, 25, 2, 79, 75],
                "the JavaScript value OK",
            ),
            (
                vec![15, 0, 0, 27, 1, 66, 3, 27, 1, 66, 3],
                "the enum B of strings",
            ),
            (vec![15, 0, 0, 38, 5, 38, 5], "returns a Nullable"),
        ] {
            let refusal = read(Some(&codes), Some(130)).unwrap_err();
            assert!(refusal.contains(words), "{codes:?}: {refusal}");
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
            let _ = read(Some(&codes), Some(version));
            let _ = read(Some(&codes), None);
        }
    }
}
