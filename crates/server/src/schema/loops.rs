//! Schemas that lead back to themselves for the same value, whose check would never end (JSON Schema 2020-12, core,
//! 9.4.1). A schema that descends into a part of the value on its way ends with the value.

use super::program::{Id, Node};

/// A node from which references and combinations lead back to it for the same value.
pub(super) fn find(nodes: &[Node]) -> Option<Id> {
    let mut state = vec![State::New; nodes.len()];
    for start in 0..nodes.len() {
        // A path of nodes, each with its unvisited successors.
        let mut path: Vec<(Id, Vec<Id>)> = vec![];
        let mut next = Some(start);
        loop {
            if let Some(id) = next.take() {
                match state.get_mut(id) {
                    Some(State::OnPath) => return Some(id),
                    Some(state @ State::New) => {
                        *state = State::OnPath;
                        path.push((id, nodes.get(id).map(successors).unwrap_or_default()));
                    }
                    _ => {}
                }
            }
            let Some((id, left)) = path.last_mut() else {
                break;
            };
            next = left.pop();
            if next.is_none() {
                if let Some(state) = state.get_mut(*id) {
                    *state = State::Done;
                }
                path.pop();
            }
        }
    }
    None
}

#[derive(Clone, Copy)]
enum State {
    New,
    OnPath,
    Done,
}

/// The nodes that a node applies to the same value.
fn successors(node: &Node) -> Vec<Id> {
    match node {
        Node::Checks(checks) => checks.iter().flat_map(|check| check.combined()).collect(),
        Node::Always | Node::Never => vec![],
    }
}
