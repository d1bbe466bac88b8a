//! A JSON Schema as a program: numbered nodes, each a list of checks.

use percent_encoding::percent_decode_str;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value as Json};
use std::collections::HashMap;

/// The most patterns in all schemas of a module: each takes up to a millisecond to compile.
const PATTERNS: usize = 100;
/// The compiled size of a pattern in bytes: of one that costs about one step for each byte of text, and of the largest.
const SMALL_PATTERN: usize = 16 << 10;
const LARGE_PATTERN: usize = 256 << 10;
/// Steps that a large pattern costs for each byte.
const LARGE_PATTERN_STEPS: u64 = 16;

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
    /// Checks that must all hold. Those that depend on what others evaluated are last.
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

/// All type names.
const TYPES: [&str; 7] = [
    "null", "boolean", "object", "array", "number", "string", "integer",
];
/// Keywords that are not supported and would change what others mean.
const UNSERVED: [&str; 7] = [
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
    "additionalItems",
    "dependencies",
];

/// Compiles the schemas of one module.
#[derive(Default)]
pub(super) struct Compiler {
    patterns: usize,
}

impl Compiler {
    /// The program of a schema; `None` if it has a keyword that is not supported or not well formed.
    pub(super) fn compile(&mut self, schema: &Json) -> Option<Program> {
        let mut compiling = Compiling {
            root: schema,
            ids: HashMap::from([(String::new(), 0)]),
            todo: vec![String::new()],
            patterns: &mut self.patterns,
            tracks: false,
        };
        let mut nodes = vec![];
        // Nodes are compiled in the order of their indices.
        while let Some(pointer) = compiling.todo.get(nodes.len()).cloned() {
            nodes.push(compiling.node(&pointer)?);
        }
        Some(Program {
            nodes,
            tracks: compiling.tracks,
        })
    }
}

struct Compiling<'a> {
    root: &'a Json,
    /// The indices of nodes, compiled or to be compiled, by JSON Pointer.
    ids: HashMap<String, Id>,
    todo: Vec<String>,
    patterns: &'a mut usize,
    tracks: bool,
}

impl<'a> Compiling<'a> {
    fn node(&mut self, at: &str) -> Option<Node> {
        match self.root.pointer(at)? {
            Json::Bool(true) => Some(Node::Always),
            Json::Bool(false) => Some(Node::Never),
            Json::Object(map) => {
                let foreign = |name: &str| map.contains_key(name);
                if UNSERVED.into_iter().any(foreign) || !at.is_empty() && foreign("$id") {
                    return None;
                }
                self.checks(at, map).map(Node::Checks)
            }
            _ => None,
        }
    }

    fn checks(&mut self, at: &str, map: &'a Map<String, Json>) -> Option<Vec<Check>> {
        let mut checks = vec![];
        for (keyword, value) in map {
            if let Some(check) = self.simple(at, keyword, value)? {
                checks.push(check);
            }
        }
        checks.extend(self.items(at, map)?);
        checks.extend(self.contains(at, map)?);
        checks.extend(self.properties(at, map)?);
        checks.extend(self.condition(at, map));
        // What others evaluated is known only when they are done.
        for (keyword, check) in [
            ("unevaluatedItems", Check::UnevaluatedItems as fn(Id) -> _),
            ("unevaluatedProperties", Check::UnevaluatedProperties),
        ] {
            if map.contains_key(keyword) {
                self.tracks = true;
                checks.push(check(self.child(at, &[keyword])));
            }
        }
        Some(checks)
    }

    /// The check of a keyword that depends on no other; the inner `None` for every other keyword.
    #[expect(clippy::option_option, reason = "no check, and no program")]
    fn simple(&mut self, at: &str, keyword: &str, value: &Json) -> Option<Option<Check>> {
        let check = match keyword {
            "$ref" => Check::Ref(self.reference(value.as_str()?)?),
            "type" => Check::Type(types(value)?),
            "enum" => Check::Enum(value.as_array()?.clone()),
            "const" => Check::Const(value.clone()),
            "minimum" => Check::Minimum(number(value)?),
            "maximum" => Check::Maximum(number(value)?),
            "exclusiveMinimum" => Check::ExclusiveMinimum(number(value)?),
            "exclusiveMaximum" => Check::ExclusiveMaximum(number(value)?),
            "multipleOf" => Check::MultipleOf(number(value).filter(is_positive)?),
            "minLength" => Check::MinLength(count(value)?),
            "maxLength" => Check::MaxLength(count(value)?),
            "pattern" => Check::Pattern(self.pattern(value.as_str()?)?),
            "minItems" => Check::MinItems(count(value)?),
            "maxItems" => Check::MaxItems(count(value)?),
            "uniqueItems" => match value.as_bool()? {
                true => Check::UniqueItems,
                false => return Some(None),
            },
            "minProperties" => Check::MinProperties(count(value)?),
            "maxProperties" => Check::MaxProperties(count(value)?),
            "required" => Check::Required(names(value)?),
            "propertyNames" => Check::PropertyNames(self.child(at, &[keyword])),
            "dependentRequired" => {
                let each = value.as_object()?.iter();
                let each = each.map(|(name, value)| Some((name.clone(), names(value)?)));
                Check::DependentRequired(each.collect::<Option<_>>()?)
            }
            "dependentSchemas" => {
                let each = value.as_object()?.keys();
                let each = each.map(|name| (name.clone(), self.child(at, &[keyword, name])));
                Check::DependentSchemas(each.collect())
            }
            "allOf" => Check::AllOf(self.list(at, keyword, value)?),
            "anyOf" => Check::AnyOf(self.list(at, keyword, value)?),
            "oneOf" => Check::OneOf(self.list(at, keyword, value)?),
            "not" => Check::Not(self.child(at, &[keyword])),
            // Comments, names of locations, and keywords that are compiled with their neighbours.
            _ => return Some(None),
        };
        Some(Some(check))
    }

    fn items(&mut self, at: &str, map: &Map<String, Json>) -> Option<Option<Check>> {
        let prefix = match map.get("prefixItems") {
            Some(value) => self.list(at, "prefixItems", value)?,
            None => vec![],
        };
        let rest = map
            .contains_key("items")
            .then(|| self.child(at, &["items"]));
        let any = !prefix.is_empty() || rest.is_some();
        Some(any.then_some(Check::Items { prefix, rest }))
    }

    fn contains(&mut self, at: &str, map: &Map<String, Json>) -> Option<Option<Check>> {
        if !map.contains_key("contains") {
            return Some(None);
        }
        let min = map.get("minContains").map_or(Some(1), count)?;
        let max = match map.get("maxContains") {
            Some(max) => Some(count(max)?),
            None => None,
        };
        let id = self.child(at, &["contains"]);
        Some(Some(Check::Contains { id, min, max }))
    }

    fn properties(&mut self, at: &str, map: &Map<String, Json>) -> Option<Option<Check>> {
        let mut named = HashMap::new();
        if let Some(properties) = map.get("properties") {
            for name in properties.as_object()?.keys() {
                named.insert(name.clone(), self.child(at, &["properties", name]));
            }
        }
        let mut patterns = vec![];
        if let Some(properties) = map.get("patternProperties") {
            for name in properties.as_object()?.keys() {
                let id = self.child(at, &["patternProperties", name]);
                patterns.push((self.pattern(name)?, id));
            }
        }
        let rest = "additionalProperties";
        let rest = map.contains_key(rest).then(|| self.child(at, &[rest]));
        let any = !named.is_empty() || !patterns.is_empty() || rest.is_some();
        Some(any.then_some(Check::Properties {
            named,
            patterns,
            rest,
        }))
    }

    fn condition(&mut self, at: &str, map: &Map<String, Json>) -> Option<Check> {
        let mut branch = |name| map.contains_key(name).then(|| self.child(at, &[name]));
        Some(Check::If {
            condition: branch("if")?,
            then: branch("then"),
            otherwise: branch("else"),
        })
    }

    /// The nodes of a list of subschemas.
    fn list(&mut self, at: &str, keyword: &str, value: &Json) -> Option<Vec<Id>> {
        let places = 0..value.as_array()?.len();
        let child = |place: usize| self.child(at, &[keyword, &place.to_string()]);
        Some(places.map(child).collect())
    }

    /// The node at a location below this one.
    fn child(&mut self, at: &str, names: &[&str]) -> Id {
        let mut pointer = at.to_owned();
        for name in names {
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
        self.id(pointer)
    }

    /// The node that a reference names: `#`, or `#` and a JSON Pointer.
    fn reference(&mut self, to: &str) -> Option<Id> {
        let fragment = to.strip_prefix('#')?;
        let pointer = percent_decode_str(fragment).decode_utf8().ok()?;
        (pointer.is_empty() || pointer.starts_with('/')).then(|| self.id(pointer.into_owned()))
    }

    fn id(&mut self, pointer: String) -> Id {
        let next = self.todo.len();
        let id = *self.ids.entry(pointer.clone()).or_insert(next);
        if id == next {
            self.todo.push(pointer);
        }
        id
    }

    fn pattern(&mut self, pattern: &str) -> Option<Pattern> {
        *self.patterns += 1;
        if *self.patterns > PATTERNS {
            return None;
        }
        let sized = |size| RegexBuilder::new(pattern).size_limit(size).build().ok();
        let small = sized(SMALL_PATTERN).map(|regex| Pattern { regex, steps: 1 });
        small.or_else(|| {
            let regex = sized(LARGE_PATTERN)?;
            Some(Pattern {
                regex,
                steps: LARGE_PATTERN_STEPS,
            })
        })
    }
}

fn types(value: &Json) -> Option<Types> {
    let known = |value: &Json| {
        let name = value.as_str()?;
        TYPES.into_iter().find(|known| *known == name)
    };
    let names = match value {
        Json::Array(names) => names.iter().map(known).collect::<Option<_>>()?,
        name => vec![known(name)?],
    };
    Some(Types(names))
}

fn number(value: &Json) -> Option<Number> {
    match value {
        Json::Number(number) => Some(number.clone()),
        _ => None,
    }
}

fn is_positive(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number > 0.0)
}

/// A number as a count; one with only zeros behind the point is a whole number, too.
fn count(value: &Json) -> Option<u64> {
    let whole = |number: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and not negative, and a larger one counts as the largest"
        )]
        (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
    };
    value.as_u64().or_else(|| value.as_f64().and_then(whole))
}

fn names(value: &Json) -> Option<Vec<String>> {
    let names = value.as_array()?.iter();
    names.map(|name| Some(name.as_str()?.to_owned())).collect()
}
