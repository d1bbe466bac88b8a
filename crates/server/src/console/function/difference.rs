//! The difference of two versions in what they may do, how much of it, and what can be called.

use iof_engine::{Manifest, Type};
use iof_store::Version;
use serde_json::Value;
use std::collections::BTreeMap;

/// The facts of a version, as texts by name.
pub(super) struct Facts(BTreeMap<String, String>);

/// A fact that differs.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) name: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// The beginning of the name of a fact that is an export.
const EXPORT: &str = "export ";

impl Facts {
    pub(super) fn of(version: &Version) -> Self {
        let mut facts = BTreeMap::new();
        facts.insert("kind".to_owned(), version.kind.clone());
        let declared = version.declaration.as_deref();
        match declared.and_then(|text| serde_json::from_str(text).ok()) {
            None => {
                let none = "none: the server's defaults".to_owned();
                facts.insert("function.toml".into(), none);
            }
            Some(Value::Object(fields)) => {
                for (name, value) in fields {
                    add(&mut facts, &name, &value);
                }
            }
            Some(_) => {}
        }
        let manifest: Option<Manifest> = serde_json::from_str(&version.manifest).ok();
        for export in manifest.into_iter().flat_map(|manifest| manifest.exports) {
            let types = export
                .signature
                .map_or("not stated".to_owned(), |signature| {
                    let params: Vec<_> = signature.params.iter().map(word).collect();
                    format!("({}) -> {}", params.join(", "), word(&signature.result))
                });
            facts.insert(format!("{EXPORT}{}", export.name), types);
        }
        Self(facts)
    }

    /// The number of its exports.
    pub(super) fn count(&self) -> usize {
        self.names().count()
    }

    /// The names of its exports, as far as a reader takes them in.
    pub(super) fn exports(&self) -> String {
        let names: Vec<_> = self.names().take(20).collect();
        names.join(", ")
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|name| name.strip_prefix(EXPORT))
    }
}

fn word(of: &Type) -> String {
    format!("{of:?}").to_lowercase()
}

/// Adds a field of a declaration: each entry of a list is a fact of its own, so that one more rule is one difference.
fn add(facts: &mut BTreeMap<String, String>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(entries) => {
            for entry in entries {
                let text = plain(entry);
                facts.insert(format!("{name}: {text}"), "yes".to_owned());
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                add(facts, &format!("{name}.{field}"), value);
            }
        }
        other => drop(facts.insert(name.to_owned(), plain(other))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The facts that differ, by name.
pub(super) fn between(before: &Facts, after: &Facts) -> Vec<Difference> {
    let mut names: Vec<_> = before.0.keys().chain(after.0.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differences = names.into_iter().map(|name| Difference {
        name: name.clone(),
        before: before.0.get(name).cloned(),
        after: after.0.get(name).cloned(),
    });
    differences.filter(|of| of.before != of.after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_more_rule_is_one_difference() {
        let facts = |declaration: Value| {
            let mut facts = BTreeMap::new();
            for (name, value) in declaration.as_object().unwrap() {
                add(&mut facts, name, value);
            }
            Facts(facts)
        };
        let before =
            facts(json!({"outbound": ["GET a"], "storage": false, "limits": {"memory": "1MiB"}}));
        let after = facts(
            json!({"outbound": ["GET a", "POST b"], "storage": true, "limits": {"memory": "1MiB"}}),
        );
        let names: Vec<_> = between(&before, &after)
            .into_iter()
            .map(|of| (of.name, of.before, of.after))
            .collect();
        let yes = |text: &str| Some(text.to_owned());
        assert_eq!(
            names,
            [
                ("outbound: POST b".into(), None, yes("yes")),
                ("storage".into(), yes("false"), yes("true")),
            ]
        );
    }
}
