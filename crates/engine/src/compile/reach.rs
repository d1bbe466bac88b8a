//! Functions of a module that can run at upload; the others are not compiled for it.
//!
//! Little runs at upload: descriptors, initialisers, the first growth of the heap. Compiling all of a module for
//! that costs as much as compiling it for good, so the bodies that none of these can reach are replaced by a trap of the
//! same length. Nothing moves: indices, offsets and names are those of the module.

use std::ops::Range;
use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ExternalKind, FunctionBody, Operator, Parser,
    Payload, TableInit, TypeRef,
};

const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

/// Replaces the body of each function that no root can reach. The module is valid; one that cannot be read stays as it
/// is.
pub(super) fn stub(module: &mut [u8], is_root: impl Fn(&str) -> bool) {
    let Ok(unreached) = unreached(module, is_root) else {
        return;
    };
    for range in unreached {
        // No locals, a trap, and an end: what is shorter has nothing to save.
        if let Some([locals, trap, rest @ .., end]) = module.get_mut(range) {
            (*locals, *trap, *end) = (0, UNREACHABLE, END);
            rest.fill(NOP);
        }
    }
}

/// Ranges of the bodies that no root can reach.
fn unreached(
    module: &[u8],
    is_root: impl Fn(&str) -> bool,
) -> Result<Vec<Range<usize>>, BinaryReaderError> {
    let mut graph = Graph::default();
    // Functions that an indirect call can reach.
    let mut referred = vec![];
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import?.ty {
                        graph.imported += 1;
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    if let TableInit::Expr(expression) = table?.init {
                        references(&expression, &mut referred)?;
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    references(&global?.init_expr, &mut referred)?;
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                referred.push(function?);
                            }
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                references(&expression?, &mut referred)?;
                            }
                        }
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func && is_root(export.name) {
                        graph.waiting.push(export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => graph.waiting.push(func),
            Payload::CodeSectionEntry(body) => graph.bodies.push((body, false)),
            _ => {}
        }
    }
    graph.walk(&mut referred)?;
    let unreached = graph.bodies.iter().filter(|(_, reached)| !reached);
    Ok(unreached.map(|(body, _)| body.range()).collect())
}

/// The bodies of a module, each with whether it was reached, and the functions whose bodies are yet to be read.
#[derive(Default)]
struct Graph<'a> {
    imported: usize,
    bodies: Vec<(FunctionBody<'a>, bool)>,
    waiting: Vec<u32>,
}

impl Graph<'_> {
    /// Marks all that the waiting functions call; an indirect call reaches all of `referred`.
    fn walk(&mut self, referred: &mut Vec<u32>) -> Result<(), BinaryReaderError> {
        while let Some(function) = self.waiting.pop() {
            let at = (function as usize).checked_sub(self.imported);
            let Some((body, reached)) = at.and_then(|at| self.bodies.get_mut(at)) else {
                continue;
            };
            if std::mem::replace(reached, true) {
                continue;
            }
            for operator in body.get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index }
                    | Operator::ReturnCall { function_index }
                    | Operator::RefFunc { function_index } => self.waiting.push(function_index),
                    Operator::CallIndirect { .. }
                    | Operator::ReturnCallIndirect { .. }
                    | Operator::CallRef { .. }
                    | Operator::ReturnCallRef { .. } => self.waiting.append(referred),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Adds the functions to which a constant expression refers.
fn references(
    expression: &ConstExpr<'_>,
    referred: &mut Vec<u32>,
) -> Result<(), BinaryReaderError> {
    for operator in expression.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            referred.push(function_index);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposals::SERVED;

    /// The bodies that are left, by the constant that each of them holds.
    fn left(text: &str) -> Vec<i32> {
        let mut module = wat::parse_str(text).unwrap();
        let before = module.len();
        stub(&mut module, |name| name == "root");
        assert_eq!(module.len(), before);
        wasmparser::Validator::new_with_features(SERVED)
            .validate_all(&module)
            .unwrap();
        let mut left = vec![];
        for payload in Parser::new(0).parse_all(&module) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                for operator in body.get_operators_reader().unwrap() {
                    if let Operator::I32Const { value } = operator.unwrap() {
                        left.push(value);
                    }
                }
            }
        }
        left
    }

    #[test]
    fn what_roots_call_is_left() {
        let module = r#"(module (import "a" "b" (func $import))
            (func (export "root") i32.const 1 drop call $import call $second)
            (func $second i32.const 2 drop call $third)
            (func $third i32.const 3 drop call $second)
            (func (export "other") (local i64) i32.const 4 drop call $fifth)
            (func $fifth i32.const 5 drop))"#;
        assert_eq!(left(module), [1, 2, 3]);
    }

    #[test]
    fn an_indirect_call_leaves_whatever_a_table_or_a_reference_holds() {
        for (call, kept) in [
            ("(call_indirect (i32.const 0))", &[0, 1, 2, 3][..]),
            ("(return_call_indirect (i32.const 0))", &[0, 1, 2, 3]),
            ("(call_ref $type (ref.func $declared))", &[1, 2, 3, 4]),
            ("nop", &[]),
        ] {
            let module = format!(
                r#"(module (type $type (func))
                (table $table 4 funcref)
                (elem (table $table) (i32.const 0) func $one)
                (elem (table $table) (i32.const 1) funcref (ref.func $two))
                (global funcref (ref.func $three))
                (elem declare func $declared)
                (func (export "root") {call})
                (func $one i32.const 1 drop) (func $two i32.const 2 drop)
                (func $three i32.const 3 drop) (func $declared i32.const 4 drop)
                (func $five i32.const 5 drop))"#
            );
            let mut left = left(&module);
            left.sort_unstable();
            // The functions of a declared segment are referred to as well.
            left.retain(|constant| *constant != 4 || kept.contains(&4));
            assert_eq!(left, kept, "{call}");
        }
    }

    #[test]
    fn the_start_is_left() {
        let module =
            "(module (func $start i32.const 1 drop) (func i32.const 2 drop) (start $start))";
        assert_eq!(left(module), [1]);
    }
}
