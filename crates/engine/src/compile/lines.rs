//! The line table of a module, made from its DWARF in a compile worker.
//!
//! Debug sections come from a module's author, and their parser is not built to withstand hostile input: sections
//! that refer to one another can take it time and memory beyond all proportion, and nested entries its stack. So it works
//! as a separate task of a worker, with the limits of a compile. A module whose sections are beyond them was compiled
//! before and runs all the same; its traps name functions, and no lines.

use crate::lines::{NONE, Parts};
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, Frame, Location};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmparser::{Encoding, Parser, Payload, TypeRef};

/// The most bytes of the name of a function or a file.
const NAMED: usize = 512;
/// The most functions that are inlined into each other at one instruction; more are left out.
const INLINED: usize = 32;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Returns whether a module may have lines to make a table of.
pub(super) fn may_have_lines(source: &[u8]) -> bool {
    const NAME: &[u8] = b".debug_line";
    memchr::memmem::find(source, NAME).is_some()
}

/// The table of a module in its stored form, of at most `most` bytes; empty if nothing in the module says a line.
///
/// # Errors
/// A clause that states why there is none.
pub(crate) fn table(source: &[u8], most: usize) -> Result<Vec<u8>, String> {
    // The parser may assert what hostile sections do not keep.
    let parts = catch_unwind(AssertUnwindSafe(|| parts(source, most)))
        .unwrap_or_else(|_| Err("its debug sections contradict themselves".to_owned()))?;
    Ok(match parts.rows.is_empty() {
        true => vec![],
        false => parts.encode(),
    })
}

fn parts(source: &[u8], most: usize) -> Result<Parts, String> {
    let invalid = |error: &dyn std::fmt::Display| format!("it cannot be read: {error}");
    let modules = modules(source).map_err(|error| invalid(&error))?;
    let mut made = Table {
        most,
        ..Table::default()
    };
    for module in &modules.with_code {
        made.add(module)?;
    }
    made.parts.imported = modules.imported;
    made.parts.bodies = modules.bodies;
    made.bounded()?;
    Ok(made.parts)
}

/// A core module, by itself or inside a component.
#[derive(Default)]
struct CoreModule<'a> {
    /// Its debug sections, by name.
    sections: HashMap<&'a str, &'a [u8]>,
    /// The range of its code section, which addresses in DWARF are relative to.
    code: std::ops::Range<usize>,
}

#[derive(Default)]
struct Modules<'a> {
    with_code: Vec<CoreModule<'a>>,
    /// The functions that a core module imports, and the bodies of those that it defines; empty for a component.
    imported: u32,
    bodies: Vec<u32>,
}

fn modules(source: &[u8]) -> wasmparser::Result<Modules<'_>> {
    let mut found = Modules::default();
    let mut open: Vec<(Encoding, CoreModule<'_>)> = vec![];
    for payload in Parser::new(0).parse_all(source) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = payload {
            open.push((encoding, CoreModule::default()));
            continue;
        }
        let is_alone = open.len() == 1;
        let Some((encoding, module)) = open.last_mut() else {
            continue;
        };
        match payload {
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                module.sections.insert(section.name(), section.data());
            }
            Payload::CodeSectionStart { range, .. } => module.code = range,
            Payload::CodeSectionEntry(body) if is_alone => {
                let at = u32::try_from(body.range().start).unwrap_or(NONE);
                found.bodies.push(at);
            }
            Payload::ImportSection(imports) if is_alone => {
                for import in imports.into_imports() {
                    let is_function =
                        matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                    found.imported += u32::from(is_function);
                }
            }
            Payload::End(_) => {
                if *encoding == Encoding::Module
                    && let Some((_, module)) = open.pop()
                {
                    found.with_code.push(module);
                } else {
                    open.pop();
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A table that grows.
#[derive(Default)]
struct Table {
    parts: Parts,
    most: usize,
    texts: HashMap<Box<str>, u32>,
    places: HashMap<[u32; 5], u32>,
}

impl Table {
    /// Adds the rows of a module, which begin behind those of the modules before it.
    fn add(&mut self, module: &CoreModule<'_>) -> Result<(), String> {
        let unreadable =
            |error: addr2line::gimli::Error| format!("its DWARF cannot be read: {error}");
        let section = |id: SectionId| {
            let bytes = module.sections.get(id.name()).copied();
            Ok(EndianSlice::new(bytes.unwrap_or_default(), LittleEndian))
        };
        let dwarf: Dwarf<Reader<'_>> = Dwarf::load(section).map_err(unreadable)?;
        let context = Context::from_dwarf(dwarf).map_err(unreadable)?;
        let length = module.code.len() as u64;
        let mut rows = vec![];
        let ranges = context.find_location_range(0, length).map_err(unreadable)?;
        for (address, size, location) in ranges {
            let end = address.saturating_add(size).min(length);
            if address >= end {
                continue;
            }
            let place = self.place(&context, address, location)?;
            rows.push((address, end, place));
            self.within(self.parts.size() + rows.len() * size_of::<[u32; 2]>())?;
        }
        // Units come in any order.
        rows.sort_unstable_by_key(|row| (row.0, row.1));
        let offset = |address: u64| {
            let at = (module.code.start as u64).saturating_add(address);
            u32::try_from(at).unwrap_or(NONE)
        };
        let mut before = None;
        for (address, end, place) in rows {
            // The last row, and a gap behind it.
            if let Some((ended, last)) = before {
                if address > ended {
                    self.row(offset(ended), NONE);
                } else if last == place {
                    before = Some((end.max(ended), place));
                    continue;
                }
            }
            self.row(offset(address), place);
            before = Some((end, place));
        }
        if let Some((ended, _)) = before {
            self.row(offset(ended), NONE);
        }
        self.bounded()
    }

    fn row(&mut self, offset: u32, place: u32) {
        match self.parts.rows.last_mut() {
            Some(last) if last[0] >= offset => last[1] = place,
            _ => self.parts.rows.push([offset, place]),
        }
    }

    /// The place of an instruction, with those that it was inlined into.
    fn place(
        &mut self,
        context: &Context<Reader<'_>>,
        address: u64,
        location: Location<'_>,
    ) -> Result<u32, String> {
        let mut chain = vec![];
        // A unit whose functions cannot be read still has lines.
        if let Ok(mut frames) = context.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next()
                && chain.len() < INLINED
            {
                chain.push(self.of_frame(&frame));
            }
        }
        if chain.is_empty() {
            chain.push(self.of_location(NONE, Some(&location)));
        }
        let mut caller = NONE;
        for [function, file, line, column] in chain.into_iter().rev() {
            let place = [function, file, line, column, caller];
            caller = match self.places.get(&place) {
                Some(known) => *known,
                None => {
                    let at = index(self.parts.places.len());
                    self.parts.places.push(place);
                    self.places.insert(place, at);
                    at
                }
            };
        }
        Ok(caller)
    }

    fn of_frame(&mut self, frame: &Frame<'_, Reader<'_>>) -> [u32; 4] {
        let name = frame.function.as_ref();
        let name = name.and_then(|function| function.raw_name().ok());
        let function = name.map_or(NONE, |name| self.text(&crate::trace::demangled(&name)));
        self.of_location(function, frame.location.as_ref())
    }

    fn of_location(&mut self, function: u32, location: Option<&Location<'_>>) -> [u32; 4] {
        let file = location.and_then(|location| location.file);
        let file = file.map_or(NONE, |file| self.text(file));
        let number = |of: fn(&Location<'_>) -> Option<u32>| location.and_then(of).unwrap_or(0);
        [function, file, number(|of| of.line), number(|of| of.column)]
    }

    fn text(&mut self, text: &str) -> u32 {
        let text = text.get(..text.floor_char_boundary(NAMED)).unwrap_or(text);
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let at = index(self.parts.ends.len());
        self.parts.texts.extend_from_slice(text.as_bytes());
        self.parts.ends.push(index(self.parts.texts.len()));
        self.texts.insert(text.into(), at);
        at
    }

    fn bounded(&self) -> Result<(), String> {
        self.within(self.parts.size())
    }

    fn within(&self, size: usize) -> Result<(), String> {
        match size > self.most {
            true => Err("its lines take more than compile.line_table".to_owned()),
            false => Ok(()),
        }
    }
}

fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}
