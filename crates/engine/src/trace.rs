//! The trace of a call that failed: the functions of the guest that were under way, the innermost first.
//!
//! It is for those who may read the log of the function. A caller who may not sees the fault without it.

use crate::lines::{LineTable, SourcePlace};
use std::fmt::Write;

/// The most frames of a trace, the innermost ones.
const FRAMES: usize = 32;
/// The most bytes of all frames together.
const SHOWN: usize = 8 << 10;
/// The most bytes of the name of a function.
const NAMED: usize = 512;

/// The frames of a guest at the moment of its trap.
#[derive(Clone, Debug)]
pub struct Trace {
    frames: Vec<TraceFrame>,
    /// Frames that are left out.
    more: usize,
}

#[derive(Clone, Debug)]
struct TraceFrame {
    name: Option<Box<str>>,
    /// The index of the function in its module.
    function: u32,
    /// The offset of the instruction in the function.
    within: Option<u32>,
    /// The offset of the instruction in the module.
    at: Option<u32>,
}

impl Trace {
    /// The trace of an error that ended a call; `None` if no code of the guest was under way.
    pub(crate) fn of(error: &wasmtime::Error) -> Option<Box<Self>> {
        // A guest that ends itself did not fail in a place.
        if error.is::<wasmtime_wasi::I32Exit>() {
            return None;
        }
        let all = error.downcast_ref::<wasmtime::WasmBacktrace>()?.frames();
        let number = |number: usize| u32::try_from(number).ok();
        let frames: Vec<_> = all
            .iter()
            .take(FRAMES)
            .map(|frame| TraceFrame {
                name: frame.func_name().map(|name| beginning(name).into()),
                function: frame.func_index(),
                within: frame.func_offset().and_then(number),
                at: frame.module_offset().and_then(number),
            })
            .collect();
        let more = all.len().saturating_sub(frames.len());
        (!frames.is_empty()).then(|| Box::new(Self { frames, more }))
    }

    /// The frames as text, one each: the function, and its line if the table knows it.
    #[must_use]
    pub fn lines(&self, table: Option<&LineTable>) -> Vec<Box<str>> {
        let (mut lines, mut shown, mut more) = (vec![], 0, self.more);
        let mut add = |line: String| {
            shown += line.len();
            match shown > SHOWN || lines.len() >= FRAMES {
                true => more += 1,
                false => lines.push(line.into_boxed_str()),
            }
        };
        for frame in &self.frames {
            let places = table.map(|table| table.find(frame.function, frame.within, frame.at));
            match places.unwrap_or_default() {
                places if places.is_empty() => add(frame.without_line()),
                places => {
                    let last = places.len() - 1;
                    for (at, place) in places.into_iter().enumerate() {
                        // What was inlined is not the function of the frame.
                        let name = frame.name.as_deref().filter(|_| at == last);
                        add(of_place(place, name));
                    }
                }
            }
        }
        if more > 0 {
            lines.push(format!("{more} more").into());
        }
        lines
    }
}

impl TraceFrame {
    fn without_line(&self) -> String {
        let name = self.name.as_deref().map(demangled);
        let mut line = name.unwrap_or_else(|| "(no name)".to_owned());
        let _ = write!(line, " (function {}", self.function);
        if let Some(within) = self.within {
            let _ = write!(line, ", offset {within:#x}");
        }
        line.push(')');
        line
    }
}

/// A place in the source, as a debugger writes it.
fn of_place(place: SourcePlace<'_>, name: Option<&str>) -> String {
    let mut line = match place.function {
        Some(function) => function.to_owned(),
        None => name.map_or_else(|| "(inlined)".to_owned(), demangled),
    };
    let _ = write!(line, " ({}", place.file.unwrap_or("unknown file"));
    for number in [place.line, place.column] {
        // DWARF: 0 is not known.
        if number == 0 {
            break;
        }
        let _ = write!(line, ":{number}");
    }
    line.push(')');
    line
}

/// The name of a function as its author wrote it, if it is one of Rust. Linkers write those of C++ plainly into a module.
pub(crate) fn demangled(name: &str) -> String {
    let name = beginning(name);
    let Ok(demangled) = rustc_demangle::try_demangle(name) else {
        return name.to_owned();
    };
    // A short name can stand for a long one.
    let mut text = Bounded(String::new());
    let _ = write!(text, "{demangled:#}");
    text.0
}

/// A text that takes no more than a name has.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let room = NAMED.saturating_sub(self.0.len());
        let fits = more
            .get(..more.floor_char_boundary(room))
            .unwrap_or_default();
        self.0.push_str(fits);
        match fits.len() < more.len() {
            true => Err(std::fmt::Error),
            false => Ok(()),
        }
    }
}

fn beginning(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAMED)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_author_and_bounded() {
        let demangle = demangled;
        assert_eq!(
            demangle("_ZN4core9panicking5panic17h0123456789abcdefE"),
            "core::panicking::panic"
        );
        assert_eq!(demangle("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangle("plain"), "plain");
        // Each letter of the end doubles what the name before it is.
        let grows = format!("_RINvC1a1b{}{}E", "TB".repeat(40), "h");
        assert!(demangle(&grows).len() <= NAMED);
        assert!(demangle(&"é".repeat(1000)).len() <= NAMED);
    }

    #[test]
    fn a_frame_without_a_line_names_its_function() {
        let trace = Trace {
            frames: vec![
                TraceFrame {
                    name: Some("divide".into()),
                    function: 7,
                    within: Some(26),
                    at: None,
                },
                TraceFrame {
                    name: None,
                    function: 1,
                    within: None,
                    at: None,
                },
            ],
            more: 3,
        };
        let lines = trace.lines(None);
        let lines: Vec<_> = lines.iter().map(|line| &**line).collect();
        assert_eq!(
            lines,
            [
                "divide (function 7, offset 0x1a)",
                "(no name) (function 1)",
                "3 more"
            ]
        );
    }
}
