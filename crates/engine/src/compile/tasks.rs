//! The number of tasks of a component of WASI 0.3 that can hold a stack of the pool while they wait.
//!
//! A task that waits in the middle of its code keeps its stack, and an instance of a component runs one such task at a
//! time (the component model lets no other one in). So the number of instances of components with functions bounds the
//! stacks of a call. The pool has that many for each call, so no call can take those of others. Tasks that wait by
//! returning to the host's event loop, as those of current toolchains do, hold no stack; `limits.handles` bounds them.

use crate::capacity::WAITING_INSTANCES;
use iof_fault::{Fault, FaultKind};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Encoding, Parser, Payload,
};

/// The state of one component during parsing.
#[derive(Default)]
struct Frame {
    /// The number of instances in an instance of each component, by the component's index.
    components: Vec<u64>,
    /// True if the component has functions.
    lifts: bool,
    /// The number of instances in the instances that it makes.
    inner: u64,
    /// False for a core module.
    is_component: bool,
}

/// The count for a component that is imported: more than any limit.
const UNKNOWN: u64 = u64::MAX;

/// Checks that a component with asynchronous functions has at most [`WAITING_INSTANCES`] instances.
///
/// # Errors
/// `module-components`
pub(super) fn check(source: &[u8]) -> Result<(), Fault> {
    let count = count(source).map_err(super::refusals::invalid)?;
    if count <= WAITING_INSTANCES.into() {
        return Ok(());
    }
    let count = match count {
        UNKNOWN => "instances of imported components".to_owned(),
        count => format!("{count} instances of components with functions"),
    };
    Err(super::shape::refused(
        FaultKind::ModuleComponents,
        &count,
        &format!("one with asynchronous functions has at most {WAITING_INSTANCES}"),
    ))
}

/// The number of instances of components with functions in an instance of a component, itself included.
fn count(source: &[u8]) -> wasmparser::Result<u64> {
    let mut frames: Vec<Frame> = vec![];
    let mut parser = Parser::new(0);
    parser.set_features(crate::proposals::COMPONENTS);
    for payload in parser.parse_all(source) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = payload {
            frames.push(Frame {
                is_component: encoding == Encoding::Component,
                ..Frame::default()
            });
            continue;
        }
        if let Payload::End(_) = payload {
            let Some(ended) = frames.pop() else { break };
            let count = ended.inner.saturating_add(ended.lifts.into());
            match frames.last_mut() {
                Some(outer) if ended.is_component => outer.components.push(count),
                Some(_) => {}
                None => return Ok(count),
            }
            continue;
        }
        let known = known(&frames, &payload)?;
        let Some(frame) = frames.last_mut() else {
            continue;
        };
        frame.components.extend(known);
        match payload {
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance?
                    {
                        let made = frame.components.get(component_index as usize);
                        let made = made.copied().unwrap_or(UNKNOWN);
                        frame.inner = frame.inner.saturating_add(made);
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    frame.lifts |= matches!(function?, CanonicalFunction::Lift { .. });
                }
            }
            _ => {}
        }
    }
    Ok(UNKNOWN)
}

/// The components that a section adds to the innermost component, except for those that are defined inline.
fn known(frames: &[Frame], payload: &Payload<'_>) -> wasmparser::Result<Vec<u64>> {
    let of = |count: u32, index: u32| {
        let frame = frames.len().checked_sub(1 + count as usize);
        let components = frame.and_then(|frame| frames.get(frame));
        let known = components.and_then(|frame| frame.components.get(index as usize));
        known.copied().unwrap_or(UNKNOWN)
    };
    let mut added = vec![];
    match payload {
        Payload::ComponentImportSection(section) => {
            for import in section.clone() {
                if let ComponentTypeRef::Component(_) = import?.ty {
                    added.push(UNKNOWN);
                }
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section.clone() {
                match alias? {
                    ComponentAlias::Outer {
                        kind: ComponentOuterAliasKind::Component,
                        count,
                        index,
                    } => added.push(of(count, index)),
                    ComponentAlias::InstanceExport {
                        kind: ComponentExternalKind::Component,
                        ..
                    } => added.push(UNKNOWN),
                    _ => {}
                }
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section.clone() {
                let export = export?;
                if export.kind == ComponentExternalKind::Component {
                    added.push(of(0, export.index));
                }
            }
        }
        _ => {}
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_FUNCTION: &str = r#"(component $c (core module $m (func (export "f")))
        (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))"#;

    fn counted(text: &str) -> u64 {
        count(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn instances_with_functions_are_counted() {
        for (text, expected) in [
            ("(component)".to_owned(), 0),
            (WITH_FUNCTION.replace(" $c", ""), 1),
            (format!("(component {WITH_FUNCTION})"), 0),
            (
                format!("(component {WITH_FUNCTION} (instance (instantiate $c)) (instance (instantiate $c)))"),
                2,
            ),
            // Two instances of a component that has two.
            (
                format!(
                    "(component {WITH_FUNCTION}
                        (component $d (alias outer 1 $c (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))
                        (instance (instantiate $d)) (instance (instantiate $d)))"
                ),
                4,
            ),
            // A component that only wraps exports has no functions of its own.
            (
                "(component (component $c (import \"f\" (func $f)) (export \"f\" (func $f)))
                    (import \"f\" (func $f)) (instance (instantiate $c (with \"f\" (func $f)))))"
                    .to_owned(),
                0,
            ),
            (
                "(component (import \"c\" (component $c)) (instance (instantiate $c)))".to_owned(),
                UNKNOWN,
            ),
        ] {
            assert_eq!(counted(&text), expected, "{text}");
        }
    }
}
