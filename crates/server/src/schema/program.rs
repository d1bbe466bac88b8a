//! A JSON Schema as a program: numbered nodes, each a list of checks.

use regex::Regex;
use serde_json::{Number, Value as Json};
use std::collections::HashMap;

/// The index of a node.
pub(super) type Id = usize;

/// A compiled schema. Its first node is the whole schema.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    /// True if a check depends on what other checks evaluated, so that evaluations are tracked.
    pub(super) tracks: bool,
}

/// A schema or subschema.
#[derive(Debug)]
pub(super) enum Node {
    Always,
    Never,
    /// Checks that must all hold. Those that depend on what others evaluated come last.
    Checks(Vec<Check>),
}

/// The check of one keyword, or of several that belong together.
#[derive(Debug)]
pub(super) enum Check {
    Ref(Id),
    Type(Types),
    Enum(Vec<Json>),
    Const(Json),
    Minimum(Number),
    Maximum(Number),
    ExclusiveMinimum(Number),
    ExclusiveMaximum(Number),
    MultipleOf(Number),
    MinLength(u64),
    MaxLength(u64),
    Pattern(Pattern),
    MinItems(u64),
    MaxItems(u64),
    UniqueItems,
    Items {
        prefix: Vec<Id>,
        rest: Option<Id>,
    },
    Contains {
        id: Id,
        min: u64,
        max: Option<u64>,
    },
    MinProperties(u64),
    MaxProperties(u64),
    Required(Vec<String>),
    Properties {
        named: HashMap<String, Id>,
        patterns: Vec<(Pattern, Id)>,
        rest: Option<Id>,
    },
    PropertyNames(Id),
    DependentRequired(Vec<(String, Vec<String>)>),
    DependentSchemas(Vec<(String, Id)>),
    AllOf(Vec<Id>),
    AnyOf(Vec<Id>),
    OneOf(Vec<Id>),
    Not(Id),
    If {
        condition: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    UnevaluatedItems(Id),
    UnevaluatedProperties(Id),
}

impl Check {
    /// The schemas that the check applies to the same value.
    pub(super) fn combined(&self) -> Vec<Id> {
        match self {
            Self::Ref(id) | Self::Not(id) => vec![*id],
            Self::AllOf(ids) | Self::AnyOf(ids) | Self::OneOf(ids) => ids.clone(),
            Self::If {
                condition,
                then,
                otherwise,
            } => {
                let branches = [Some(*condition), *then, *otherwise];
                branches.into_iter().flatten().collect()
            }
            Self::DependentSchemas(each) => each.iter().map(|(_, id)| *id).collect(),
            _ => vec![],
        }
    }

    /// Returns whether the check applies other schemas to the same value.
    pub(super) fn combines(&self) -> bool {
        matches!(
            self,
            Self::Ref(_)
                | Self::AllOf(_)
                | Self::AnyOf(_)
                | Self::OneOf(_)
                | Self::Not(_)
                | Self::If { .. }
                | Self::DependentSchemas(_)
        )
    }
}

/// A pattern, and the steps that it costs for each byte of text.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    pub(super) steps: u64,
}

/// The type names of a `type` keyword.
#[derive(Debug)]
pub(super) struct Types(pub(super) Vec<&'static str>);
