//! Rules that cannot be checked, and annotations that need no check.

use super::program;
use crate::schema::compile::Compiler;
use serde_json::json;

#[test]
fn what_cannot_be_checked_is_named() {
    let once = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]},
        "b": {"if": true, "else": {"not": {"$ref": "#/$defs/a"}}}}});
    for (schema, at, why) in [
        (json!(1), "#", "must be a schema"),
        (json!({"type": "whole"}), "#/type", "got \"whole\""),
        (json!({"minimum": "1"}), "#/minimum", "a number"),
        (
            json!({"multipleOf": 0}),
            "#/multipleOf",
            "greater than 0: got 0",
        ),
        (json!({"multipleOf": -1}), "#/multipleOf", "greater than 0"),
        (json!({"minLength": -1}), "#/minLength", "0 or more: got -1"),
        (
            json!({"contains": true, "minContains": "1"}),
            "#/minContains",
            "0 or more",
        ),
        (json!({"pattern": "("}), "#/pattern", "unclosed group"),
        (json!({"pattern": "(?=a)"}), "#/pattern", "look-ahead"),
        (json!({"pattern": "(a)\\1"}), "#/pattern", "backreferences"),
        (
            json!({"pattern": "(\\w{1000}){1000}"}),
            "#/pattern",
            "256 KiB",
        ),
        (
            json!({"patternProperties": {"(": true}}),
            "#/patternProperties",
            "got \"(\"",
        ),
        (json!({"properties": [1]}), "#/properties", "an object"),
        (json!({"prefixItems": {}}), "#/prefixItems", "a list"),
        (json!({"items": [true]}), "#/items", "must be a schema"),
        (json!({"$ref": "#/nowhere"}), "#/$ref", "leads nowhere"),
        (
            json!({"$ref": "other.json"}),
            "#/$ref",
            "in the schema itself",
        ),
        (json!({"$ref": "#name"}), "#/$ref", "in the schema itself"),
        (
            json!({"$ref": "https://example.com/x"}),
            "#/$ref",
            "in the schema itself",
        ),
        (json!({"$ref": "#"}), "#", "back to itself"),
        (
            json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
            "#",
            "back to itself",
        ),
        (json!({"not": {"$ref": "#"}}), "#", "back to itself"),
        (
            json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
            "#",
            "back to itself",
        ),
        (once, "#/$defs/a", "back to itself"),
        (
            json!({"$dynamicRef": "#a"}),
            "#/$dynamicRef",
            "not a keyword",
        ),
        (json!({"maxLenght": 3}), "#/maxLenght", "not a keyword"),
        (json!({"nullable": true}), "#/nullable", "not a keyword"),
        (
            json!({"properties": {"a": {"$id": "b"}}}),
            "#/properties/a/$id",
            "below the root",
        ),
        (
            json!({"$schema": "https://example.com/own"}),
            "#/$schema",
            "a dialect",
        ),
        (json!({"allOf": {"a": 1}}), "#/allOf", "a list"),
        (json!({"required": [1]}), "#/required", "a list of names"),
    ] {
        let flaw = Compiler::default()
            .compile(&schema)
            .unwrap_err()
            .to_string();
        assert!(
            flaw.starts_with(&format!("`{at}` ")) && flaw.contains(why),
            "{schema}: {flaw}"
        );
    }
    let patterns: Vec<_> = (0..101)
        .map(|n| json!({"pattern": format!("a{n}")}))
        .collect();
    let flaw = Compiler::default()
        .compile(&json!({"anyOf": patterns}))
        .unwrap_err();
    assert!(flaw.to_string().contains("a module may have 100"), "{flaw}");
}

/// Keywords that check nothing by their meaning are not flaws.
#[test]
fn annotations_and_own_keywords_are_taken() {
    program(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/a", "$comment": "c",
        "title": "T", "description": "D", "default": 1, "examples": [1], "deprecated": true, "readOnly": true,
        "format": "email", "contentEncoding": "base64", "x-order": 3, "definitions": {"a": {"type": "nonsense"}},
        "properties": {"next": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}},
    }));
}
