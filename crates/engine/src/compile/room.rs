//! The room that a module takes in the pool of instances before its first instruction runs.
//!
//! The pool has slots of one shape ([`crate::Engine::new`]). A module that fits none of them could be compiled and
//! stored, and then no call of it would ever succeed; so it is refused at upload, by the name of the limit.

use crate::Fault;
use crate::limits::Limits;
use bytesize::ByteSize;
use wasmparser::{Parser, Payload};

/// Memories of one module: one slot has one memory.
const MEMORIES: u32 = 1;
/// Tables of one module.
pub(crate) const TABLES: u32 = 4;
/// Elements of one table; the biggest runtimes (Python) need some ten thousand.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// What a module declares as its least.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    memories: u32,
    tables: u32,
    /// Elements of the largest table.
    elements: u64,
    /// Bytes of all memories and tables.
    bytes: u64,
}

impl Room {
    /// Reads the declarations of a valid module; what cannot be read is left to the validator.
    pub(super) fn of(source: &[u8]) -> Self {
        let mut room = Self::default();
        for payload in Parser::new(0).parse_all(source) {
            match payload {
                Ok(Payload::MemorySection(section)) => {
                    for memory in section.into_iter().flatten() {
                        let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
                        room.memories += 1;
                        room.add(memory.initial.saturating_mul(page));
                    }
                }
                Ok(Payload::TableSection(section)) => {
                    for table in section.into_iter().flatten() {
                        room.tables += 1;
                        room.elements = room.elements.max(table.ty.initial);
                        room.add(table.ty.initial.saturating_mul(size_of::<usize>() as u64));
                    }
                }
                // Behind these comes code, and nothing more that is declared.
                Ok(Payload::CodeSectionStart { .. }) | Err(_) => break,
                _ => {}
            }
        }
        room
    }

    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Bytes of memories and tables together, with which every call begins.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Refuses a module that no slot of the pool can hold.
    ///
    /// # Errors
    /// `module-memories`, `module-tables`, `module-table-elements` or `memory`, status 422.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Fault> {
        let refuse = |code, message| Err(Fault::limit(code, 422, message));
        if self.memories > MEMORIES {
            return refuse(
                "module-memories",
                format!(
                    "The module has {} memories; a call has room for {MEMORIES}. Build it without the proposal \
                     multi-memory.",
                    self.memories
                ),
            );
        }
        if self.tables > TABLES {
            return refuse(
                "module-tables",
                format!(
                    "The module has {} tables; a call has room for {TABLES}. Build it with fewer.",
                    self.tables
                ),
            );
        }
        if self.elements > TABLE_ELEMENTS as u64 {
            return refuse(
                "module-table-elements",
                format!(
                    "The module has a table of {} elements; a call has room for {TABLE_ELEMENTS}. Make it smaller.",
                    self.elements
                ),
            );
        }
        if self.bytes > limits.memory.as_u64() {
            return Err(too_little_memory(self.bytes, limits.memory));
        }
        Ok(())
    }
}

/// The refusal of a module whose memories and tables begin with more than a call may have.
pub(crate) fn too_little_memory(bytes: u64, limit: ByteSize) -> Fault {
    Fault::limit(
        "memory",
        422,
        format!(
            "The module begins with {} of memories and tables, more than limits.memory = {limit}. Build it with a \
             smaller initial memory, or raise the setting.",
            ByteSize(bytes)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(module: &str) -> Option<Fault> {
        let source = wat::parse_str(module).unwrap();
        Room::of(&source).check(&Limits::default()).err()
    }

    #[test]
    fn what_no_slot_holds_is_named() {
        for (module, code) in [
            ("(module (memory 1) (memory 1))", "module-memories"),
            ("(module (memory 2049))", "memory"),
            ("(module (memory 2048) (table 1 funcref))", "memory"),
            ("(module (memory i64 0xffff_ffff_ffff))", "memory"),
            ("(module (table 100001 funcref))", "module-table-elements"),
            (
                "(module (table 1 funcref) (table 1 funcref) (table 1 funcref) (table 1 funcref) (table 1 funcref))",
                "module-tables",
            ),
        ] {
            assert_eq!(fault(module).unwrap().code, code, "{module}");
        }
        for module in [
            "(module)",
            "(module (memory 2048))",
            "(module (memory 2047) (table 8192 funcref))",
            "(module (table 100000 funcref))",
        ] {
            assert!(fault(module).is_none(), "{module}");
        }
    }
}
