//! The instantiation of a module, as its sections tell it: whether it can trap.
//!
//! It runs the start function, and copies active segments. Nearly all segments have a constant place within the memory or
//! table that the module begins with, so that nothing has to be compiled and tried to know that they fit.

use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, MemoryType, Operator, Parser, Payload,
    TableInit, TypeRef,
};

/// True if the instantiation of a valid module can trap.
pub(super) fn can_trap(source: &[u8]) -> bool {
    // A module that cannot be read is tried.
    examine(source).unwrap_or(true)
}

fn examine(source: &[u8]) -> wasmparser::Result<bool> {
    let (mut memories, mut tables) = (vec![], vec![]);
    for payload in Parser::new(0).parse_all(source) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    // What is imported is at least as large as its type.
                    match import?.ty {
                        TypeRef::Memory(memory) => memories.push(bytes(&memory)),
                        TypeRef::Table(table) => tables.push(table.initial),
                        _ => {}
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    memories.push(bytes(&memory?));
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    tables.push(table.ty.initial);
                    if let TableInit::Expr(value) = table.init
                        && can_fail(&value)?
                    {
                        return Ok(true);
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    if can_fail(&global?.init_expr)? {
                        return Ok(true);
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    let count = match element.items {
                        ElementItems::Functions(functions) => functions.count(),
                        ElementItems::Expressions(_, values) => {
                            let count = values.count();
                            for value in values {
                                if can_fail(&value?)? {
                                    return Ok(true);
                                }
                            }
                            count
                        }
                    };
                    if let ElementKind::Active {
                        table_index,
                        offset_expr,
                    } = element.kind
                    {
                        let table = tables.get(table_index.unwrap_or(0) as usize);
                        if !fits(&offset_expr, u64::from(count), table)? {
                            return Ok(true);
                        }
                    }
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    if let DataKind::Active {
                        memory_index,
                        offset_expr,
                    } = data.kind
                    {
                        let memory = memories.get(memory_index as usize);
                        if !fits(&offset_expr, data.data.len() as u64, memory)? {
                            return Ok(true);
                        }
                    }
                }
            }
            Payload::StartSection { .. } => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// Bytes of a memory at its beginning.
fn bytes(memory: &MemoryType) -> u64 {
    let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
    memory.initial.saturating_mul(page)
}

/// True if a segment at a constant offset ends within so many bytes or elements.
fn fits(offset: &ConstExpr<'_>, length: u64, within: Option<&u64>) -> wasmparser::Result<bool> {
    let mut operators = offset.get_operators_reader();
    let offset = match operators.read()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        _ => return Ok(false),
    };
    let constant = matches!(operators.read()?, Operator::End);
    let end = offset.checked_add(length);
    Ok(constant && within.is_some_and(|&within| end.is_some_and(|end| end <= within)))
}

/// True if a constant expression does more than to read and to reckon: to allocate can fail.
fn can_fail(value: &ConstExpr<'_>) -> wasmparser::Result<bool> {
    for operator in value.get_operators_reader() {
        match operator? {
            Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::V128Const { .. }
            | Operator::RefNull { .. }
            | Operator::RefFunc { .. }
            | Operator::GlobalGet { .. }
            | Operator::I32Add
            | Operator::I32Sub
            | Operator::I32Mul
            | Operator::I64Add
            | Operator::I64Sub
            | Operator::I64Mul
            | Operator::End => {}
            _ => return Ok(true),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::can_trap;

    #[test]
    fn only_what_may_trap_is_tried() {
        for (module, expected) in [
            ("(module)", false),
            ("(module (func unreachable))", false),
            ("(module (func $s) (start $s))", true),
            (r#"(module (memory 1) (data (i32.const 65535) "x"))"#, false),
            (r#"(module (memory 1) (data (i32.const 65535) "xy"))"#, true),
            (r#"(module (memory 1) (data (i32.const 65536) ""))"#, false),
            (r#"(module (memory 1) (data (i32.const 65537) ""))"#, true),
            (r#"(module (memory 1) (data (i32.const -1) "x"))"#, true),
            (r#"(module (memory 0) (data (i32.const 0) "x"))"#, true),
            (r#"(module (memory 0) (data "passive"))"#, false),
            (r#"(module (memory i64 1) (data (i64.const 9) "x"))"#, false),
            (
                r#"(module (memory i64 1) (data (i64.const -1) "xy"))"#,
                true,
            ),
            (
                r#"(module (import "m" "m" (memory 1)) (data (i32.const 9) "x"))"#,
                false,
            ),
            (
                r#"(module (global $at i32 (i32.const 9)) (memory 1) (data (global.get $at) "x"))"#,
                true,
            ),
            (
                r#"(module (memory 1) (data (i32.add (i32.const 1) (i32.const 1)) "x"))"#,
                true,
            ),
            (
                "(module (table 2 funcref) (func $f) (elem (i32.const 1) $f))",
                false,
            ),
            (
                "(module (table 2 funcref) (func $f) (elem (i32.const 2) $f))",
                true,
            ),
            (
                "(module (table 2 funcref) (elem (i32.const 1) funcref (ref.null func)))",
                false,
            ),
            (
                "(module (table 2 funcref) (func $f) (elem declare func $f))",
                false,
            ),
            (
                "(module (type $a (array i8)) (global (ref $a) \
                 (array.new_default $a (i32.const 1000000000))))",
                true,
            ),
        ] {
            let bytes = wat::parse_str(module).unwrap();
            assert_eq!(can_trap(&bytes), expected, "{module}");
        }
        assert!(can_trap(b"\0asm\x01\0\0\0\x0b"));
    }
}
