mod flaws;

use super::compile::Compiler;
use super::evaluate::check;
use super::mismatch::Mismatch;
use super::program::Program;
use crate::parsing::Budget;
use iof_fault::Fault;
use serde_json::{Value as Json, json};

/// The steps of a test, more than one value takes.
const STEPS: u64 = 10_000;

fn program(schema: &Json) -> Program {
    Compiler::default()
        .compile(schema)
        .unwrap_or_else(|flaw| panic!("{schema}: {flaw}"))
}

fn run(schema: &Json, value: &Json, steps: u64) -> Result<Option<Mismatch>, Fault> {
    check(&program(schema), value, steps, &mut Budget::default())
}

#[test]
fn each_keyword_takes_what_it_should() {
    // Schema, values that match, values that do not.
    let cases = [
        (json!(true), json!([1, null]), json!([])),
        (json!(false), json!([]), json!([1, null, {}])),
        (json!({}), json!([1, "a", {}]), json!([])),
        (
            json!({"type": "integer"}),
            json!([1, -1, 1.0, 1e300]),
            json!([1.5, "1", null, true]),
        ),
        (
            json!({"type": ["string", "null"]}),
            json!(["", null]),
            json!([1, [], {}]),
        ),
        (
            json!({"type": "number"}),
            json!([1, 1.5]),
            json!(["1", false]),
        ),
        (
            json!({"enum": [1, "a", {"b": [1]}]}),
            json!([1.0, "a", {"b": [1.0]}]),
            json!([2, "b", {"b": [1, 1]}]),
        ),
        (
            json!({"const": {"a": 1, "b": 2}}),
            json!([{"b": 2, "a": 1}]),
            json!([{"a": 1}, 1]),
        ),
        (
            json!({"const": 0}),
            json!([0, 0.0, -0.0]),
            json!([false, null, "", 1]),
        ),
        (
            json!({"minimum": 2}),
            json!([2, 3.5, "a"]),
            json!([1, 1.9999]),
        ),
        (
            json!({"maximum": 9_007_199_254_740_993_u64}),
            json!([9_007_199_254_740_993_u64]),
            json!([9_007_199_254_740_994_u64]),
        ),
        (
            json!({"exclusiveMinimum": 2}),
            json!([2.1]),
            json!([2, 2.0]),
        ),
        (json!({"exclusiveMaximum": 2}), json!([1.9]), json!([2, 3])),
        (
            json!({"multipleOf": 0.1}),
            json!([0.3, 1, 0]),
            json!([0.35]),
        ),
        (
            json!({"multipleOf": 3}),
            json!([9, -3, 9.0]),
            json!([10, 9.5]),
        ),
        (
            json!({"minLength": 2}),
            json!(["äö", "abc", 1]),
            json!(["ä", ""]),
        ),
        (json!({"maxLength": 2.0}), json!(["äö"]), json!(["abc"])),
        (
            json!({"pattern": "^a+$"}),
            json!(["aaa", 1]),
            json!(["b", ""]),
        ),
        (
            json!({"minItems": 1, "maxItems": 2}),
            json!([[1], [1, 2], {}]),
            json!([[], [1, 2, 3]]),
        ),
        (
            json!({"uniqueItems": true}),
            json!([[1, 2], [1, true], [[1], [2]]]),
            json!([[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
        ),
        (json!({"uniqueItems": false}), json!([[1, 1]]), json!([])),
        (
            json!({"items": {"type": "string"}}),
            json!([["a"], [], "b"]),
            json!([["a", 1]]),
        ),
        (
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            json!([["a"], []]),
            json!([["a", 1], [1]]),
        ),
        (
            json!({"contains": {"const": 1}}),
            json!([[2, 1]]),
            json!([[], [2]]),
        ),
        (
            json!({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}),
            json!([[1, 1]]),
            json!([[1], [1, 1, 1, 1]]),
        ),
        (
            json!({"minProperties": 1, "maxProperties": 1}),
            json!([{"a": 1}, 1]),
            json!([{}, {"a": 1, "b": 1}]),
        ),
        (
            json!({"required": ["a"]}),
            json!([{"a": null}, 1]),
            json!([{}, {"b": 1}]),
        ),
        (
            json!({"properties": {"a": {"type": "string"}}}),
            json!([{"a": "x", "b": 1}, {}]),
            json!([{"a": 1}]),
        ),
        (
            json!({"properties": {"a": true}, "additionalProperties": false}),
            json!([{"a": 1}]),
            json!([{"b": 1}]),
        ),
        (
            json!({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
            json!([{"x1": 1, "y": "s"}]),
            json!([{"x1": "s"}, {"y": 1}]),
        ),
        (
            json!({"propertyNames": {"maxLength": 1}}),
            json!([{"a": 1}]),
            json!([{"ab": 1}]),
        ),
        (
            json!({"dependentRequired": {"a": ["b"]}}),
            json!([{}, {"a": 1, "b": 1}]),
            json!([{"a": 1}]),
        ),
        (
            json!({"dependentSchemas": {"a": {"required": ["b"]}}}),
            json!([{}, {"a": 1, "b": 1}]),
            json!([{"a": 1}]),
        ),
        (
            json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}),
            json!([1, 2]),
            json!([0, 3]),
        ),
        (
            json!({"anyOf": [{"const": 1}, {"const": 2}]}),
            json!([1, 2]),
            json!([3]),
        ),
        (
            json!({"oneOf": [{"minimum": 1}, {"maximum": 2}]}),
            json!([0, 3]),
            json!([1, 2]),
        ),
        (json!({"not": {"type": "string"}}), json!([1]), json!(["a"])),
        (
            json!({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 1}}),
            json!(["a", 1, null]),
            json!(["", 0]),
        ),
        (
            json!({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "string"}}}),
            json!(["a"]),
            json!([1]),
        ),
        (
            json!({"properties": {"next": {"$ref": "#"}}, "required": ["n"]}),
            json!([{"n": 1, "next": {"n": 2}}]),
            json!([{"n": 1, "next": {}}]),
        ),
        (
            json!({"allOf": [{"properties": {"a": true}}], "properties": {"b": true}, "unevaluatedProperties": false}),
            json!([{"a": 1, "b": 1}]),
            json!([{"c": 1}]),
        ),
        (
            json!({"anyOf": [{"required": ["a"], "properties": {"a": true}}, {"properties": {"b": true}}], "unevaluatedProperties": false}),
            json!([{"a": 1, "b": 1}, {"b": 1}]),
            json!([{"b": 1, "c": 1}]),
        ),
        (
            json!({"prefixItems": [true], "contains": {"const": 7}, "unevaluatedItems": false}),
            json!([[1, 7], [7]]),
            json!([[7, 1]]),
        ),
    ];
    for (schema, good, bad) in &cases {
        for (values, wanted) in [(good, true), (bad, false)] {
            for value in values.as_array().unwrap() {
                let mismatch = run(schema, value, STEPS).unwrap();
                assert_eq!(mismatch.is_none(), wanted, "{schema} {value}: {mismatch:?}");
            }
        }
    }
}

#[test]
fn a_mismatch_says_where_and_why() {
    let schema = json!({"properties": {"a/b": {"items": {
        "type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}},
        "additionalProperties": false,
    }}}});
    let said = |value: Json| {
        let mismatch = run(&schema, &value, STEPS).unwrap().unwrap();
        format!("{}: {}", mismatch.path, mismatch.why)
    };
    assert_eq!(
        said(json!({"a/b": [{"n": "1"}]})),
        r#"/a~1b/0/n: "1" is not of type "integer""#
    );
    assert_eq!(
        said(json!({"a/b": [{"n": 1}, {}]})),
        r#"/a~1b/1: "n" is a required property"#
    );
    assert_eq!(
        said(json!({"a/b": [{"n": 1, "m": 1}]})),
        r#"/a~1b/0: the property "m" is not allowed"#
    );
    let long = said(json!({"a/b": ["x".repeat(10_000)]}));
    assert!(long.len() < 400, "{long}");
}

/// Many paths of a schema may lead to one location: each schema checks each value once.
#[test]
fn many_ways_to_one_place_are_one_check() {
    let nested = |depth: usize| (0..depth).fold(json!(0), |value, _| json!([value]));
    let both = json!([{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]);
    let doubling: serde_json::Map<_, _> = (0..60)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/{}", n + 1)});
            (n.to_string(), json!({"allOf": [next, next]}))
        })
        .chain([("60".into(), json!(true))])
        .collect();
    let branch = |kind| json!({"type": "object", "properties": {"arg": {"$ref": "#"}, "kind": {"const": kind}}, "required": ["kind", "arg"]});
    let tree = json!({"oneOf": [branch("not"), branch("neg"), branch("abs"), {"type": "number"}]});
    let expression = |leaf| (0..100).fold(leaf, |arg, _| json!({"kind": "neg", "arg": arg}));
    for (schema, value, matches) in [
        (json!({"allOf": both}), nested(100), true),
        (
            json!({"anyOf": both, "not": {"const": 1}}),
            nested(100),
            true,
        ),
        (json!({"oneOf": both}), nested(100), false),
        (json!({"not": {"anyOf": both}}), nested(100), false),
        (
            json!({"$ref": "#/$defs/0", "$defs": doubling}),
            json!(1),
            true,
        ),
        (tree.clone(), expression(json!(1)), true),
        (tree, expression(json!("x")), false),
    ] {
        let mismatch = run(&schema, &value, STEPS).unwrap();
        assert_eq!(mismatch.is_none(), matches, "{schema}: {mismatch:?}");
    }
}

/// Schemas whose authors can choose any running time or depth.
#[test]
fn steps_bound_what_a_schema_takes() {
    let nested = |depth: usize| (0..depth).fold(json!(0), |value, _| json!([value]));
    let many: Vec<_> = (0..2_000)
        .map(|n| json!({"a": n, "b": "c".repeat(50)}))
        .collect();
    let both = json!([{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]);
    for (schema, value) in [
        // Nesting deeper than the stack, with frames of each kind.
        (
            json!({"allOf": [{"oneOf": [{"anyOf": [{"items": {"$ref": "#"}}]}]}]}),
            nested(127),
        ),
        (
            json!({"anyOf": both, "unevaluatedItems": false}),
            nested(60),
        ),
        (
            json!({"items": {"enum": many}}),
            Json::Array(vec![many.last().unwrap().clone(); 2_000]),
        ),
        (
            json!({"items": {"pattern": "(a|aa)+$"}}),
            Json::Array(vec![json!("a".repeat(10_000)); 1_000]),
        ),
        (
            json!({"contains": {"contains": {"contains": {"const": 1}}}, "minContains": 0}),
            Json::Array(vec![Json::Array(vec![json!([2, 2, 2]); 300]); 400]),
        ),
        (
            json!({"allOf": vec![json!({"unevaluatedItems": {"type": "integer"}}); 200]}),
            Json::Array(vec![json!(1); 20_000]),
        ),
        (
            json!({"propertyNames": {"anyOf": vec![json!({"pattern": "^b"}); 90]}}),
            Json::Object((0..20_000).map(|n| (format!("b{n}"), json!(1))).collect()),
        ),
    ] {
        let start = std::time::Instant::now();
        let fault = run(&schema, &value, STEPS).unwrap_err();
        assert_eq!(fault.code(), "schema-steps", "{fault:?}");
        assert!(
            start.elapsed().as_secs() < 5,
            "{schema}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_large_value_of_a_plain_schema_fits() {
    let schema = json!({"items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}});
    let value = Json::Array((0..80_000).map(|n| json!({"a": n, "b": "x"})).collect());
    let mut budget = Budget::default();
    let outcome = check(&program(&schema), &value, 10_000_000, &mut budget);
    // Without a permit, the work is too much for a thread of connections.
    assert!(outcome.is_err() && budget.needs_turn());
}
