//! Compilation of a JSON Schema to a program.
//!
//! No rule of a schema is ignored silently: a keyword that this server does not know, or whose value it cannot use, is
//! a flaw, and the deploy of its module is refused. Keywords that only annotate are known, and check nothing (JSON
//! Schema 2020-12, 6.5 of the core, and 7 to 9 of the validation vocabulary), and so are keywords that begin with `x-`.

use super::flaw::Flaw;
use super::program::{Check, Id, Node, Pattern, Program};
use super::{keywords, loops};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// The most patterns in all schemas of a module: each takes up to a millisecond to compile.
const PATTERNS: usize = 100;

/// Compiles the schemas of one module.
#[derive(Default)]
pub(super) struct Compiler {
    patterns: usize,
}

impl Compiler {
    /// The program of a schema.
    ///
    /// # Errors
    /// The first keyword that cannot be checked.
    pub(super) fn compile(&mut self, schema: &Json) -> Result<Program, Flaw> {
        let mut compiling = SchemaCompiler {
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
        if let Some(id) = loops::find(&nodes) {
            let at = compiling.todo.get(id).map_or("", String::as_str);
            return Err(Flaw::new(at, "", "leads back to itself for the same value"));
        }
        Ok(Program {
            nodes,
            tracks: compiling.tracks,
        })
    }
}

struct SchemaCompiler<'a> {
    root: &'a Json,
    /// The indices of nodes, compiled or to be compiled, by JSON Pointer.
    ids: HashMap<String, Id>,
    todo: Vec<String>,
    patterns: &'a mut usize,
    tracks: bool,
}

impl<'a> SchemaCompiler<'a> {
    fn node(&mut self, at: &str) -> Result<Node, Flaw> {
        match self.root.pointer(at) {
            Some(Json::Bool(true)) => Ok(Node::Always),
            Some(Json::Bool(false)) => Ok(Node::Never),
            Some(Json::Object(map)) => self.checks(at, map).map(Node::Checks),
            _ => Err(Flaw::new(
                at,
                "",
                "must be a schema: an object, true or false",
            )),
        }
    }

    fn checks(&mut self, at: &str, map: &'a Map<String, Json>) -> Result<Vec<Check>, Flaw> {
        let mut checks = vec![];
        for (keyword, value) in map {
            let check = self.simple(at, keyword, value);
            let check = check.map_err(|problem| Flaw::of(at, keyword, problem, value))?;
            checks.extend(check);
        }
        checks.extend(self.items(at, map)?);
        checks.extend(self.contains(at, map)?);
        checks.extend(self.properties(at, map)?);
        checks.extend(self.condition(at, map));
        // These keywords depend on what the others evaluated, so they come last.
        for (keyword, check) in [
            ("unevaluatedItems", Check::UnevaluatedItems as fn(Id) -> _),
            ("unevaluatedProperties", Check::UnevaluatedProperties),
        ] {
            if map.contains_key(keyword) {
                self.tracks = true;
                checks.push(check(self.child(at, &[keyword])));
            }
        }
        Ok(checks)
    }

    /// The check of a keyword that depends on no other; `None` for a keyword that only annotates or that is compiled
    /// with its neighbours.
    ///
    /// # Errors
    /// The problem of the keyword, in words that follow its name.
    fn simple(&mut self, at: &str, keyword: &str, value: &Json) -> Result<Option<Check>, String> {
        let check = match keyword {
            "$ref" => Check::Ref(self.reference(value)?),
            "type" => Check::Type(keywords::types(value)?),
            "enum" => Check::Enum(keywords::list(value)?.clone()),
            "const" => Check::Const(value.clone()),
            "minimum" => Check::Minimum(keywords::number(value)?),
            "maximum" => Check::Maximum(keywords::number(value)?),
            "exclusiveMinimum" => Check::ExclusiveMinimum(keywords::number(value)?),
            "exclusiveMaximum" => Check::ExclusiveMaximum(keywords::number(value)?),
            "multipleOf" => Check::MultipleOf(keywords::positive(value)?),
            "minLength" => Check::MinLength(keywords::count(value)?),
            "maxLength" => Check::MaxLength(keywords::count(value)?),
            "pattern" => Check::Pattern(self.pattern(keywords::text(value)?)?),
            "minItems" => Check::MinItems(keywords::count(value)?),
            "maxItems" => Check::MaxItems(keywords::count(value)?),
            "uniqueItems" => match keywords::flag(value)? {
                true => Check::UniqueItems,
                false => return Ok(None),
            },
            "minProperties" => Check::MinProperties(keywords::count(value)?),
            "maxProperties" => Check::MaxProperties(keywords::count(value)?),
            "required" => Check::Required(keywords::names(value)?),
            "propertyNames" => Check::PropertyNames(self.child(at, &[keyword])),
            "dependentRequired" => {
                let each = keywords::map(value)?.iter();
                let each = each.map(|(name, value)| Ok((name.clone(), keywords::names(value)?)));
                Check::DependentRequired(each.collect::<Result<_, String>>()?)
            }
            "dependentSchemas" => {
                let each = keywords::map(value)?.keys();
                let each = each.map(|name| (name.clone(), self.child(at, &[keyword, name])));
                Check::DependentSchemas(each.collect())
            }
            "allOf" => Check::AllOf(self.list(at, keyword, value)?),
            "anyOf" => Check::AnyOf(self.list(at, keyword, value)?),
            "oneOf" => Check::OneOf(self.list(at, keyword, value)?),
            "not" => Check::Not(self.child(at, &[keyword])),
            "$schema" => return keywords::dialect(value).map(|()| None),
            "$id" if !at.is_empty() => return Err("is not supported below the root".into()),
            _ if keywords::is_known(keyword) => return Ok(None),
            _ => return Err("is not a keyword that this server knows".into()),
        };
        Ok(Some(check))
    }

    fn items(&mut self, at: &str, map: &Map<String, Json>) -> Result<Option<Check>, Flaw> {
        let prefix = "prefixItems";
        let prefix = match map.get(prefix) {
            Some(value) => {
                let list = self.list(at, prefix, value);
                list.map_err(|problem| Flaw::of(at, prefix, problem, value))?
            }
            None => vec![],
        };
        let rest = map
            .contains_key("items")
            .then(|| self.child(at, &["items"]));
        let any = !prefix.is_empty() || rest.is_some();
        Ok(any.then_some(Check::Items { prefix, rest }))
    }

    fn contains(&mut self, at: &str, map: &Map<String, Json>) -> Result<Option<Check>, Flaw> {
        let bound = |keyword| {
            let bound = map.get(keyword).map(|value| {
                keywords::count(value).map_err(|problem| Flaw::of(at, keyword, problem, value))
            });
            bound.transpose()
        };
        let (min, max) = (bound("minContains")?.unwrap_or(1), bound("maxContains")?);
        Ok(map.contains_key("contains").then(|| Check::Contains {
            id: self.child(at, &["contains"]),
            min,
            max,
        }))
    }

    fn properties(&mut self, at: &str, map: &Map<String, Json>) -> Result<Option<Check>, Flaw> {
        let names = |keyword| {
            let names = map.get(keyword).map(|value| {
                keywords::map(value).map_err(|problem| Flaw::of(at, keyword, problem, value))
            });
            let names = names.transpose()?;
            Ok::<_, Flaw>(names.into_iter().flat_map(|map| map.keys()))
        };
        let mut named = HashMap::new();
        for name in names("properties")? {
            named.insert(name.clone(), self.child(at, &["properties", name]));
        }
        let mut patterns = vec![];
        let keyword = "patternProperties";
        for name in names(keyword)? {
            let id = self.child(at, &[keyword, name]);
            let pattern = self.pattern(name);
            let pattern =
                pattern.map_err(|problem| Flaw::of(at, keyword, problem, &name.as_str().into()))?;
            patterns.push((pattern, id));
        }
        let rest = "additionalProperties";
        let rest = map.contains_key(rest).then(|| self.child(at, &[rest]));
        let any = !named.is_empty() || !patterns.is_empty() || rest.is_some();
        Ok(any.then_some(Check::Properties {
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
    fn list(&mut self, at: &str, keyword: &str, value: &Json) -> Result<Vec<Id>, String> {
        let places = 0..keywords::list(value)?.len();
        let child = |place: usize| self.child(at, &[keyword, &place.to_string()]);
        Ok(places.map(child).collect())
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
    fn reference(&mut self, to: &Json) -> Result<Id, String> {
        let fragment = keywords::text(to)?.strip_prefix('#');
        let pointer = fragment.and_then(|part| percent_decode_str(part).decode_utf8().ok());
        let pointer = pointer.filter(|part| part.is_empty() || part.starts_with('/'));
        let pointer = pointer
            .ok_or("must lead to a place in the schema itself, as `#` and `#/$defs/name` do")?;
        match self.root.pointer(&pointer) {
            Some(_) => Ok(self.id(pointer.into_owned())),
            None => Err("leads nowhere".into()),
        }
    }

    fn id(&mut self, pointer: String) -> Id {
        let next = self.todo.len();
        let id = *self.ids.entry(pointer.clone()).or_insert(next);
        if id == next {
            self.todo.push(pointer);
        }
        id
    }

    fn pattern(&mut self, pattern: &str) -> Result<Pattern, String> {
        *self.patterns += 1;
        match *self.patterns > PATTERNS {
            true => Err(format!(
                "is one pattern too many: a module may have {PATTERNS}"
            )),
            false => keywords::pattern(pattern),
        }
    }
}
