//! The types that a module declares in wasm-bindgen's descriptors.
//!
//! A module that never went through the wasm-bindgen tool exports, for each function, `__wbindgen_describe_<function>`,
//! which calls the import `__wbindgen_describe(code)` once for each code of its type. The codes shifted over the years
//! (read in the sources of 0.2.61 to 0.2.130): 128-bit integers were added before `FUNCTION`, and other types after it.
//! A description starts with `FUNCTION`, which calibrates the codes before it; the version determines those after it. A
//! description is trusted only if it is read to its last code. An unsupported type is refused by name.

mod codes;
#[cfg(test)]
mod tests;

use crate::manifest::{Signature, Type};
use codes::{Code, Patch, Table};

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
/// A clause that names the type that no call can pass: `it takes a JavaScript value`.
pub(crate) fn read(codes: Option<&[u32]>, version: Option<Patch>) -> Result<Signature, String> {
    let known = version;
    let codes = codes.ok_or("its description by wasm-bindgen cannot be run")?;
    let function = codes.first().copied().unwrap_or_default();
    // Without a version, every version that ends a list of codes is tried, the newest first.
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
            // A type with a name is a better reason than an unknown code.
            Err(Refusal::Type(what)) => refusal = Some(what),
            Err(Refusal::Unknown) => {}
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let version = version.map_or_else(String::new, |version| format!(" 0.2.{version}"));
        format!("this server does not know the types that wasm-bindgen{version} describes it with")
    }))
}

/// Returns whether a conversion's codes, which it emits as it runs, describe a text that becomes a JavaScript value: an
/// empty name (in later versions only), then a function of one text.
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

/// The reason why a description was not read.
enum Refusal {
    /// A clause that names a type that cannot be passed.
    Type(String),
    /// An unexpected code, or an unexpected number of codes.
    Unknown,
}

struct Reader<'a> {
    codes: &'a [u32],
    table: &'a Table,
    depth: u32,
}

/// The deepest nesting of types, references included.
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

    /// Reads a length, and as many characters.
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

    /// Reads the codes behind `FUNCTION`.
    fn function(&mut self) -> Result<Signature, Refusal> {
        let (_shim, arity) = (self.word()?, self.word()?);
        // The number of codes bounds the number of arguments: each takes at least one code.
        let params = (0..arity)
            .map(|_| self.value("takes"))
            .collect::<Result<_, _>>()?;
        let before = self.codes;
        let (result, fallible) = self.result()?;
        // Since 2020 the result appears twice: as it is, and as the value of a promise.
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
            // A shared reference: to a text, to a list, or to a value that crosses as its copy.
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
        // The address of the value.
        if self.table.version >= 130 {
            self.text()?;
            self.word()?;
        }
        Ok(Type::Enum { name, hole })
    }
}
