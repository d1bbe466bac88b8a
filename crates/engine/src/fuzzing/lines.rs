//! The debug sections of a module, and the table that is made of them.

use crate::compile::lines;
use crate::lines::LineTable;
use wasm_encoder::{
    CodeSection, CustomSection, Function, FunctionSection, Instruction, Module, TypeSection,
};

/// The sections, in this order; the input has the length of each, in two bytes, before it.
const SECTIONS: [&str; 7] = [
    ".debug_abbrev",
    ".debug_info",
    ".debug_line",
    ".debug_str",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_line_str",
];
/// The most bytes of a table.
const MOST: usize = 1 << 20;
/// The instructions of the one function.
const INSTRUCTIONS: usize = 200;

/// Debug sections of arbitrary bytes: a table is bounded, and what it says of any instruction ends. So does what any
/// bytes say that are read as a table.
pub fn line_table(data: &[u8]) {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    for _ in 0..INSTRUCTIONS {
        body.instruction(&Instruction::Nop);
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut rest = data;
    for name in SECTIONS {
        let (length, after) = rest.split_at_checked(2).unwrap_or((&[0, 0], &[]));
        let length = usize::from(length[0]) | usize::from(length[1]) << 8;
        let (section, after) = after.split_at(length.min(after.len()));
        rest = after;
        module.section(&CustomSection {
            name: name.into(),
            data: section.into(),
        });
    }
    if let Ok(table) = lines::table(&module.finish(), MOST) {
        assert!(table.len() <= MOST);
        search(&table);
    }
    search(data);
}

fn search(table: &[u8]) {
    let Some(table) = LineTable::read(table) else {
        return;
    };
    for within in 0..64 {
        table.find(0, Some(within), Some(within));
        table.find(1, Some(within), None);
    }
}
