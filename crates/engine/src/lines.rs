//! The line table of a module: the source line of each instruction, from the module's DWARF.
//!
//! A compile worker makes it at upload (`compile::lines`), and the store keeps it beside the artefact, sealed like one.
//! Code is loaded and runs without it; it is read when a call ended in a trap. DWARF itself is never read here: its
//! parser works on bytes that a client chose (docs/decisions/0067-traps-name-lines.md).
//!
//! The table is searched as it is stored, in words of four bytes, little endian:
//!
//! ```text
//! the number of imported functions, and of bodies, rows, places, texts
//! bodies   the offset in the module of each function's body; none for a component
//! rows     offset in the module, place; ascending by offset; a row holds up to the next one
//! places   function, file, line, column, place of the caller that it was inlined into
//! texts    the end of each text in the bytes that follow
//! ```

/// The name and version of the layout, under which the store keeps tables.
pub const LINE_TABLES: &str = "lines-1";

/// In the place of an index: there is none.
pub(crate) const NONE: u32 = u32::MAX;
/// The words of the header.
const HEADER: usize = 5;
/// The words of a row.
const ROW: usize = 2;
/// The words of a place.
const PLACE: usize = 5;
/// The most functions that are named for one instruction, each inlined into the next.
const INLINED: usize = 32;

/// A line table.
#[derive(Debug)]
pub struct LineTable {
    bytes: Box<[u8]>,
    imported: u32,
    bodies: usize,
    rows: usize,
    places: usize,
    texts: usize,
}

/// A place in the source of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourcePlace<'a> {
    pub(crate) function: Option<&'a str>,
    pub(crate) file: Option<&'a str>,
    /// 0 if it is not known, as is the column.
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The parts of a table that is made.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) imported: u32,
    pub(crate) bodies: Vec<u32>,
    pub(crate) rows: Vec<[u32; ROW]>,
    pub(crate) places: Vec<[u32; PLACE]>,
    /// The end of each text.
    pub(crate) ends: Vec<u32>,
    pub(crate) texts: Vec<u8>,
}

impl Parts {
    /// The bytes that the table takes.
    pub(crate) fn size(&self) -> usize {
        let words = HEADER
            + self.bodies.len()
            + self.rows.len() * ROW
            + self.places.len() * PLACE
            + self.ends.len();
        words * 4 + self.texts.len()
    }

    /// The table as it is stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let counts = [
            self.bodies.len(),
            self.rows.len(),
            self.places.len(),
            self.ends.len(),
        ];
        let counts = counts.map(|count| u32::try_from(count).unwrap_or(NONE));
        let mut bytes = Vec::with_capacity(self.size());
        let words = [self.imported].into_iter().chain(counts);
        let words = words
            .chain(self.bodies.iter().copied())
            .chain(self.rows.iter().flatten().copied())
            .chain(self.places.iter().flatten().copied())
            .chain(self.ends.iter().copied());
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.texts);
        bytes
    }
}

impl LineTable {
    /// Reads a table; `None` if its parts are not all there, or if it names no line.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let table = Self {
            bytes: bytes.into(),
            imported: 0,
            bodies: 0,
            rows: 0,
            places: 0,
            texts: 0,
        };
        let count = |at| table.word(at).map(|word| word as usize);
        let (bodies, rows, places, texts) = (count(1)?, count(2)?, count(3)?, count(4)?);
        let words = rows.checked_mul(ROW)?.checked_add(bodies)?;
        let words = places.checked_mul(PLACE)?.checked_add(words)?;
        let words = words.checked_add(texts)?.checked_add(HEADER)?;
        if words.checked_mul(4)? > bytes.len() || rows == 0 {
            return None;
        }
        Some(Self {
            imported: table.word(0)?,
            bodies,
            rows,
            places,
            texts,
            ..table
        })
    }

    /// The bytes of memory that the table takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The places in the source of an instruction, innermost first: each was inlined into the next. `function` is the
    /// index of its function in a core module, `within` its offset there, and `at` its offset in the module.
    pub(crate) fn find(
        &self,
        function: u32,
        within: Option<u32>,
        at: Option<u32>,
    ) -> Vec<SourcePlace<'_>> {
        let offset = match self.bodies {
            0 => at,
            // A core module may have been compiled from a snapshot, in which functions are elsewhere.
            bodies => function
                .checked_sub(self.imported)
                .map(|defined| defined as usize)
                .filter(|defined| *defined < bodies)
                .and_then(|defined| self.word(HEADER + defined))
                .zip(within)
                .and_then(|(body, within)| body.checked_add(within)),
        };
        let mut place = offset.and_then(|offset| self.place_at(offset));
        let mut found = vec![];
        while let Some(at) = place
            && found.len() < INLINED
        {
            let Some([function, file, line, column, caller]) = self.place(at) else {
                break;
            };
            found.push(SourcePlace {
                function: self.text(function),
                file: self.text(file),
                line,
                column,
            });
            place = (caller != NONE).then_some(caller);
        }
        found
    }

    /// The place of the last row whose offset is at most this one.
    fn place_at(&self, offset: u32) -> Option<u32> {
        let first = HEADER + self.bodies;
        let row = |at: usize| self.word(first + at * ROW).unwrap_or(NONE);
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            match row(middle) <= offset {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let place = self.word(first + low.checked_sub(1)? * ROW + 1)?;
        (place != NONE).then_some(place)
    }

    fn place(&self, at: u32) -> Option<[u32; PLACE]> {
        let at = usize::try_from(at).ok().filter(|at| *at < self.places)?;
        let first = HEADER + self.bodies + self.rows * ROW + at * PLACE;
        let mut place = [0; PLACE];
        for (word, value) in place.iter_mut().enumerate() {
            *value = self.word(first + word)?;
        }
        Some(place)
    }

    fn text(&self, at: u32) -> Option<&str> {
        let at = usize::try_from(at).ok().filter(|at| *at < self.texts)?;
        let ends = HEADER + self.bodies + self.rows * ROW + self.places * PLACE;
        let begin = match at.checked_sub(1) {
            Some(before) => self.word(ends + before)?,
            None => 0,
        };
        let texts = self.bytes.get((ends + self.texts) * 4..)?;
        let text = texts.get(begin as usize..self.word(ends + at)? as usize)?;
        std::str::from_utf8(text).ok()
    }

    fn word(&self, at: usize) -> Option<u32> {
        let (word, _) = self.bytes.get(at.checked_mul(4)?..)?.split_first_chunk()?;
        Some(u32::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two functions after one import; the second has `half` inlined into `whole` at offset 10 of its body.
    fn parts() -> Parts {
        Parts {
            imported: 1,
            bodies: vec![100, 200],
            rows: vec![[100, 0], [150, NONE], [200, 1], [210, 2]],
            places: vec![[0, 3, 1, 0, NONE], [1, 3, 7, 5, NONE], [2, 4, 9, 1, 1]],
            ends: vec![5, 10, 14, 20, 26],
            texts: b"firstwholehalfa.rs..b.rs..".to_vec(),
        }
    }

    #[test]
    fn an_instruction_is_found_by_its_function_and_offset() {
        let table = LineTable::read(&parts().encode()).unwrap();
        let lines = |function, within| -> Vec<_> {
            let places = table.find(function, Some(within), None).into_iter();
            places
                .map(|place| (place.function.unwrap(), place.line))
                .collect()
        };
        assert_eq!(lines(1, 0), [("first", 1)]);
        assert_eq!(lines(1, 49), [("first", 1)]);
        assert_eq!(lines(1, 50), []);
        assert_eq!(lines(2, 9), [("whole", 7)]);
        assert_eq!(lines(2, 10), [("half", 9), ("whole", 7)]);
        // An import, and a function that there is not.
        assert_eq!((lines(0, 0), lines(3, 0)), (vec![], vec![]));
        assert_eq!(lines(2, u32::MAX), []);
    }

    #[test]
    fn a_component_is_searched_by_its_own_offsets() {
        let table = Parts {
            bodies: vec![],
            ..parts()
        };
        let table = LineTable::read(&table.encode()).unwrap();
        assert_eq!(table.find(0, None, Some(120))[0].file, Some("a.rs.."));
        assert_eq!(table.find(0, Some(0), Some(99)), []);
    }

    #[test]
    fn a_damaged_table_names_no_line_and_ends() {
        let whole = parts().encode();
        for length in 0..whole.len() {
            if let Some(table) = LineTable::read(&whole[..length]) {
                table.find(2, Some(10), Some(10));
            }
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 127, 255] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                if let Some(table) = LineTable::read(&damaged) {
                    assert!(table.find(2, Some(10), Some(10)).len() <= INLINED);
                }
            }
        }
        assert!(LineTable::read(&[]).is_none());
        assert!(LineTable::read(&Parts::default().encode()).is_none());
    }
}
