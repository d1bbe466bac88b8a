//! JSON of clients, rewritten without building a tree: it takes memory of its own size, and a little for each field of
//! an object.
//!
//! Functions of 2020 get JSON as JavaScript would write it after reading it: no white space, every number a double
//! (`25.0` is `25`, `12345678901234567890` is `12345678901234567000`, `1e400` is infinite and written as `null`), the
//! last of two equal keys, array indices before other keys (ECMA-262, OrdinaryOwnPropertyKeys and Number::toString).
//! Other functions get it as it was written, except that white space and all but the last of equal keys are removed: a
//! schema and a function must not read one text in two ways.

use crate::parsing::Budget;
use iof_engine::json::{NotJson, Scanner, Token};
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

/// The bytes of memory for one field, held until its object ends.
const FIELD: usize = 64;

/// The style in which JSON is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    JavaScript,
    AsWritten,
}

/// JSON that was rewritten.
#[derive(Debug, Default)]
pub(crate) struct RewrittenJson {
    pub(crate) text: String,
    /// The number of values in it, nested ones included.
    pub(crate) values: usize,
    /// The number of objects among them.
    pub(crate) objects: usize,
    /// The values that were removed from the outermost object.
    pub(crate) taken: [Option<String>; 2],
}

/// The reason why a text was not rewritten.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not JSON.
    NotJson,
    /// The nesting is deeper than this.
    TooDeep(u32),
    Fault(Fault),
}

/// The options of a rewrite.
#[derive(Clone, Copy)]
pub(crate) struct RewriteOptions {
    pub(crate) style: Style,
    /// `server.json_depth`
    pub(crate) depth: u32,
    /// Fields to be removed from the outermost object: of each two names, the first that is present.
    pub(crate) take: [[&'static str; 2]; 2],
}

/// An open bracket in the output.
struct Open {
    /// The position after the bracket.
    start: usize,
    is_object: bool,
    is_empty: bool,
    fields: Vec<Field>,
}

/// A field in the output.
struct Field {
    start: usize,
    /// The position after the quotes of its name.
    name_end: usize,
}

impl RewriteOptions {
    pub(crate) fn new(style: Style, depth: u32) -> Self {
        Self {
            style,
            depth,
            take: [[""; 2]; 2],
        }
    }

    /// Rewrites one text.
    ///
    /// # Errors
    /// A failure if the text is not JSON; `json-depth`, and the errors of the budget.
    pub(crate) fn run(self, text: &str, budget: &mut Budget) -> Result<RewrittenJson, Failure> {
        // Most outputs are as long as their texts; a longer output is charged to the budget as it grows.
        budget.take(text.len())?;
        let mut counted = text.len();
        let mut scanner = Scanner::new(text);
        let (mut stack, mut done) = (Vec::<Open>::new(), RewrittenJson::default());
        let mut out = String::with_capacity(text.len());
        while let Some((token, piece)) = scanner.token()? {
            budget.spend(piece.len() + 1)?;
            if !matches!(token, Token::EndObject | Token::EndArray)
                && let Some(open) = stack.last_mut()
                && (token == Token::Key || !open.is_object)
                && !std::mem::replace(&mut open.is_empty, false)
            {
                out.push(',');
            }
            match token {
                Token::Key => {
                    let start = out.len();
                    self.quoted(piece, &mut out)?;
                    if let Some(open) = stack.last_mut() {
                        budget.take(FIELD)?;
                        open.fields.push(Field {
                            start,
                            name_end: out.len(),
                        });
                    }
                    out.push(':');
                    continue;
                }
                Token::EndObject | Token::EndArray => {
                    if let Some(open) = stack.pop() {
                        let taken = match stack.is_empty() {
                            true => self.take,
                            false => [[""; 2]; 2],
                        };
                        self.arrange(&open, taken, &mut out, &mut done.taken, budget)?;
                        budget.give_back(FIELD * open.fields.len());
                    }
                    out.push_str(piece);
                }
                Token::BeginObject | Token::BeginArray => {
                    if stack.len() >= self.depth as usize {
                        return Err(Failure::TooDeep(self.depth));
                    }
                    out.push_str(piece);
                    let is_object = token == Token::BeginObject;
                    done.objects += usize::from(is_object);
                    stack.push(Open {
                        start: out.len(),
                        is_object,
                        is_empty: true,
                        fields: Vec::new(),
                    });
                }
                Token::Text => self.quoted(piece, &mut out)?,
                Token::Number => self.number(piece, &mut out)?,
                Token::Word => out.push_str(piece),
            }
            done.values += usize::from(!matches!(token, Token::EndObject | Token::EndArray));
            if out.len() > counted {
                // A growing text doubles its capacity.
                budget.take(2 * (out.len() - counted))?;
                counted = out.len();
            }
        }
        done.text = out;
        Ok(done)
    }

    fn number(self, piece: &str, out: &mut String) -> Result<(), Failure> {
        let is_plain = piece.len() <= 15 && piece.bytes().all(|byte| byte.is_ascii_digit());
        if is_plain {
            out.push_str(piece);
            return Ok(());
        }
        let value: f64 = piece.parse().map_err(|_| Failure::NotJson)?;
        match self.style {
            // JavaScript writes infinite numbers as `null`, and zero without a sign.
            Style::JavaScript if !value.is_finite() => out.push_str("null"),
            Style::JavaScript => {
                out.push_str(ryu_js::Buffer::new().format_finite(value + 0.0));
            }
            Style::AsWritten if !value.is_finite() => return Err(Failure::NotJson),
            Style::AsWritten => out.push_str(piece),
        }
        Ok(())
    }

    /// Writes a string of JSON as JavaScript does, with one spelling for each text.
    fn quoted(self, piece: &str, out: &mut String) -> Result<(), Failure> {
        if !piece.contains('\\') {
            out.push_str(piece);
            return Ok(());
        }
        let inner = piece.get(1..piece.len() - 1).unwrap_or_default();
        out.push('"');
        let mut rest = inner;
        while let Some(at) = rest.find('\\') {
            let (plain, escape) = rest.split_at(at);
            out.push_str(plain);
            let (length, unit) = unescaped(escape);
            let next = escape.get(length..).unwrap_or_default();
            rest = next;
            let unit = match unit {
                // A surrogate pair is one character.
                0xd800..=0xdbff => match unescaped(next) {
                    (6, low @ 0xdc00..=0xdfff) => {
                        rest = next.get(6..).unwrap_or_default();
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    _ => unit,
                },
                unit => unit,
            };
            match char::from_u32(unit) {
                Some(c) => quote_char(c, out),
                // An unpaired surrogate stays unchanged; only JavaScript has such texts.
                None if self.style == Style::AsWritten => return Err(Failure::NotJson),
                // Writing to a string does not fail.
                None => {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        out.push_str(rest);
        out.push('"');
        Ok(())
    }

    /// Sorts the fields of an object at its end, keeps each name once, and removes the fields of `take`.
    fn arrange(
        self,
        open: &Open,
        take: [[&'static str; 2]; 2],
        out: &mut String,
        taken: &mut [Option<String>; 2],
        budget: &mut Budget,
    ) -> Result<(), Failure> {
        let name = |field: &Field| out.get(field.start + 1..field.name_end - 1).unwrap_or("");
        let takes = |name: &str| {
            let names = take.iter().position(|names| names.contains(&name));
            names.filter(|_| !name.is_empty())
        };
        if !open.fields.iter().any(|field| takes(name(field)).is_some())
            && self.in_order(open, &name)
        {
            return Ok(());
        }
        // Each name stays at its first position, with its last value.
        let ends = open.fields.iter().skip(1).map(|next| next.start - 1);
        let values = open.fields.iter().zip(ends.chain([out.len()]));
        let mut places = HashMap::new();
        let mut order: Vec<(&str, Range<usize>)> = Vec::new();
        for (field, end) in values {
            let value = field.name_end + 1..end;
            let at = *places.entry(name(field)).or_insert(order.len());
            match order.get_mut(at) {
                Some((_, earlier)) => *earlier = value,
                None => order.push((name(field), value)),
            }
        }
        if self.style == Style::JavaScript {
            order.sort_by_key(|(name, _)| index(name).map_or((true, 0), |index| (false, index)));
        }
        budget.spend(out.len() - open.start)?;
        budget.take(out.len() - open.start)?;
        let mut arranged = String::new();
        for (name, value) in order {
            let value = out.get(value).unwrap_or_default();
            if let Some(slot) = takes(name).and_then(|at| taken.get_mut(at))
                && slot.is_none()
            {
                *slot = Some(value.to_owned());
                continue;
            }
            if !arranged.is_empty() {
                arranged.push(',');
            }
            for piece in ["\"", name, "\":", value] {
                arranged.push_str(piece);
            }
        }
        budget.give_back(out.len() - open.start);
        out.truncate(open.start);
        out.push_str(&arranged);
        Ok(())
    }

    /// Returns whether fields are in order: indices first, by number, and each name only once.
    fn in_order<'a>(self, open: &Open, name: &impl Fn(&Field) -> &'a str) -> bool {
        const FEW: usize = 8;
        let fields = &open.fields;
        if self.style == Style::JavaScript {
            let mut names = fields.iter().map(|field| index(name(field)));
            let ascending = |(before, index): (Option<u32>, Option<u32>)| match (before, index) {
                (_, None) => true,
                (Some(before), Some(index)) => before < index,
                (None, Some(_)) => false,
            };
            let mut before = names.next().unwrap_or(None);
            for index in names {
                if !ascending((before, index)) {
                    return false;
                }
                before = index;
            }
        }
        if fields.len() <= FEW {
            let is_new = |(at, field): (usize, &Field)| {
                !fields
                    .iter()
                    .take(at)
                    .any(|other| name(other) == name(field))
            };
            return fields.iter().enumerate().all(is_new);
        }
        let mut known = std::collections::HashSet::with_capacity(fields.len());
        fields.iter().all(|field| known.insert(name(field)))
    }
}

impl From<NotJson> for Failure {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Failure {
    /// `None` for a text that is not JSON.
    ///
    /// # Errors
    /// Every other failure.
    pub(crate) fn unless_text<T>(self) -> Result<Option<T>, Fault> {
        match self {
            Self::NotJson => Ok(None),
            Self::TooDeep(depth) => Err(too_deep(depth)),
            Self::Fault(fault) => Err(fault),
        }
    }
}

/// The fault of a text that is nested too deeply.
pub(crate) fn too_deep(most: u32) -> Fault {
    Fault::new(
        FaultKind::JsonDepth,
        format!("The body is nested deeper than server.json_depth = {most}. Nest it less deeply."),
    )
}

/// The length of an escape that the scanner accepted, and its UTF-16 unit.
fn unescaped(text: &str) -> (usize, u32) {
    match text.as_bytes() {
        [b'\\', b'u', ..] => {
            let unit = text.get(2..6).unwrap_or_default();
            (6, u32::from_str_radix(unit, 16).unwrap_or(0xfffd))
        }
        [b'\\', c, ..] => {
            let c = match c {
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                other => *other,
            };
            (2, c.into())
        }
        _ => (0, 0xfffd),
    }
}

/// A text as JavaScript writes it.
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    value.chars().for_each(|c| quote_char(c, &mut text));
    text.push('"');
    text
}

fn quote_char(c: char, text: &mut String) {
    match c {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\u{8}' => text.push_str("\\b"),
        '\u{c}' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        c if c < ' ' => {
            // Writing to a string does not fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        }
        c => text.push(c),
    }
}

/// A canonical array index: `0` to `4294967294`, no leading zero.
pub(crate) fn index(name: &str) -> Option<u32> {
    let canonical =
        name == "0" || (!name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit()));
    canonical
        .then(|| name.parse().ok())
        .flatten()
        .filter(|index| *index != u32::MAX)
}
