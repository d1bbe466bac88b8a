//! Every type goes in and comes out, through a component that echoes it.
//!
//! More than 400 lines: every type, made at random, with its values.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

#[derive(Clone, Debug)]
enum Made {
    Plain(&'static str),
    List(Box<Made>),
    Option(Box<Made>),
    Tuple(Vec<Made>),
    Record(Vec<Made>),
    Variant(Vec<Option<Made>>),
    Result(Option<Box<Made>>, Option<Box<Made>>),
    Enum(usize),
    Flags(usize),
    Map(&'static str, Box<Made>),
}

/// The types of keys of maps.
const KEYS: [&str; 11] = [
    "bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "char", "string",
];

const PLAIN: [&str; 13] = [
    "bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string",
];

/// The text of types: those with names are declared and exported first.
#[derive(Default)]
struct Text {
    declared: String,
    count: usize,
}

impl Text {
    fn of(&mut self, ty: &Made) -> String {
        let named = match ty {
            Made::Plain(name) => return (*name).to_owned(),
            Made::List(of) => return format!("(list {})", self.of(of)),
            Made::Option(of) => return format!("(option {})", self.of(of)),
            Made::Map(key, of) => return format!("(map {key} {})", self.of(of)),
            Made::Tuple(of) => {
                let of: Vec<_> = of.iter().map(|ty| self.of(ty)).collect();
                return format!("(tuple {})", of.join(" "));
            }
            Made::Result(ok, err) => {
                let mut text = "(result".to_owned();
                if let Some(ok) = ok {
                    let _ = write!(text, " {}", self.of(ok));
                }
                if let Some(err) = err {
                    let _ = write!(text, " (error {})", self.of(err));
                }
                return text + ")";
            }
            Made::Record(of) => {
                let fields = of.iter().enumerate();
                let fields: Vec<_> = fields
                    .map(|(at, ty)| format!("(field \"f{at}-x\" {})", self.of(ty)))
                    .collect();
                format!("(record {})", fields.join(" "))
            }
            Made::Variant(of) => {
                let cases = of.iter().enumerate();
                let cases: Vec<_> = cases
                    .map(|(at, ty)| match ty {
                        Some(ty) => format!("(case \"c{at}\" {})", self.of(ty)),
                        None => format!("(case \"c{at}\")"),
                    })
                    .collect();
                format!("(variant {})", cases.join(" "))
            }
            Made::Enum(count) => format!("(enum {})", names(*count)),
            Made::Flags(count) => format!("(flags {})", names(*count)),
        };
        let at = self.count;
        self.count += 1;
        let _ = writeln!(
            self.declared,
            "(type $d{at} {named}) (export $t{at} \"t{at}\" (type $d{at}))"
        );
        format!("$t{at}")
    }
}

fn names(count: usize) -> String {
    let names: Vec<_> = (0..count).map(|at| format!("\"n{at}\"")).collect();
    names.join(" ")
}

fn engine() -> Engine {
    Engine::new(wasmtime::Config::new().wasm_component_model_map(true)).unwrap()
}

/// A component whose `echo` returns its list, and whose `reject` returns it as an error.
fn component(engine: &Engine, ty: &Made) -> Component {
    let mut text = Text::default();
    let of = text.of(ty);
    let source = format!(
        r#"(component
        {}
        (core module $m
            (memory (export "memory") 64)
            (global $top (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "echo") (param i32 i32) (result i32)
                (i32.store (i32.const 16) (local.get 0))
                (i32.store (i32.const 20) (local.get 1))
                (i32.const 16))
            (func (export "reject") (param i32 i32) (result i32)
                (i32.store (i32.const 16) (i32.const 1))
                (i32.store (i32.const 20) (local.get 0))
                (i32.store (i32.const 24) (local.get 1))
                (i32.const 16)))
        (core instance $i (instantiate $m))
        (alias core export $i "memory" (core memory $memory))
        (func (export "echo") (param "x" (list {of})) (result (list {of}))
            (canon lift (core func $i "echo") (memory $memory) (realloc (core func $i "realloc"))))
        (func (export "reject") (param "x" (list {of})) (result (result (error (list {of}))))
            (canon lift (core func $i "reject") (memory $memory) (realloc (core func $i "realloc")))))"#,
        text.declared
    );
    let bytes = wat::parse_str(&source).unwrap_or_else(|error| panic!("{source}\n{error}"));
    Component::new(engine, bytes).unwrap_or_else(|error| panic!("{source}\n{error:?}"))
}

fn call(component: &Component, name: &str, argument: &str) -> Result<Value, String> {
    let engine = component.engine();
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine)
        .instantiate(&mut store, component)
        .unwrap();
    let function = instance.get_func(&mut store, name).unwrap();
    let ty = function.ty(&store);
    let signature = TypedSignature::new(name.into(), &ty);
    let (_, described) = describe::signature(&ty, &mut 10_000).unwrap();
    assert_eq!(described.params[0].name, "x");
    let args = [Arg::Text(Bytes::copy_from_slice(argument.as_bytes()))];
    let values = signature.plan(&args, None, 1 << 24);
    let values = values.map_err(|fault| fault.message)?;
    let mut results = signature.results();
    function.call(&mut store, &values, &mut results).unwrap();
    let result = signature.result(results, 1 << 24);
    result.map_err(|error| {
        let fault: Fault = error.downcast().unwrap();
        assert_eq!(fault.kind, FaultKind::FunctionError);
        fault.ending.unwrap().value.unwrap()
    })
}

fn made() -> impl Strategy<Value = Made> {
    let leaf = prop_oneof![
        proptest::sample::select(PLAIN.to_vec()).prop_map(Made::Plain),
        (1..5usize).prop_map(Made::Enum),
        (1..33usize).prop_map(Made::Flags),
    ];
    leaf.prop_recursive(4, 12, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Made::List),
            boxed().prop_map(Made::Option),
            (proptest::sample::select(KEYS.to_vec()), boxed())
                .prop_map(|(key, of)| Made::Map(key, of)),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Made::Tuple),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Made::Record),
            proptest::collection::vec(proptest::option::of(inner.clone()), 1..4)
                .prop_map(Made::Variant),
            (proptest::option::of(boxed()), proptest::option::of(boxed()))
                .prop_map(|(ok, err)| Made::Result(ok, err)),
        ]
    })
}

fn value(ty: &Made, draw: &mut impl FnMut() -> u64) -> Json {
    let number = draw();
    let pick = |count: usize| usize::try_from(number).unwrap_or_default() % count;
    match ty {
        Made::Plain("bool") => json!(number.is_multiple_of(2)),
        Made::Plain("u8") => json!(number as u8),
        Made::Plain("s8") => json!(number as i8),
        Made::Plain("u16") => json!(number as u16),
        Made::Plain("s16") => json!(number as i16),
        Made::Plain("u32") => json!(number as u32),
        Made::Plain("s32") => json!(number as i32),
        Made::Plain("u64") => json!(number),
        Made::Plain("s64") => json!(number as i64),
        Made::Plain("f32") => float(f32::from_bits(number as u32).to_string()),
        Made::Plain("f64") => float(f64::from_bits(number).to_string()),
        Made::Plain("char") => {
            json!(char::from_u32(number as u32 % 0x11_0000).unwrap_or('\u{1f4ac}'))
        }
        Made::Plain(_) => json!(format!("{number}\u{0}\"\u{1f600}")),
        Made::List(of) if matches!(**of, Made::Plain("u8")) => {
            use base64::Engine as _;
            let bytes: Vec<u8> = (0..number % 5).map(|at| (number >> at) as u8).collect();
            json!(base64::prelude::BASE64_STANDARD.encode(bytes))
        }
        Made::List(of) => (0..number % 4).map(|_| value(of, draw)).collect(),
        Made::Option(of) => match (number % 3, &**of) {
            (0, _) => Json::Null,
            (_, Made::Option(_)) => json!({ "some": value(of, draw) }),
            _ => value(of, draw),
        },
        Made::Map(key, of) => (0..number % 4)
            .map(|_| {
                let name = match value(&Made::Plain(key), draw) {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                (name, value(of, draw))
            })
            .collect(),
        Made::Tuple(of) => of.iter().map(|ty| value(ty, draw)).collect(),
        Made::Record(of) => {
            let fields = of.iter().enumerate();
            fields
                .map(|(at, ty)| (format!("f{at}-x"), value(ty, draw)))
                .collect()
        }
        Made::Variant(of) => {
            let at = pick(of.len());
            match &of[at] {
                None => json!(format!("c{at}")),
                Some(ty) => json!({ format!("c{at}"): value(ty, draw) }),
            }
        }
        Made::Result(ok, err) => {
            let (name, ty) = if number.is_multiple_of(2) {
                ("ok", ok)
            } else {
                ("err", err)
            };
            let value = ty.as_ref().map_or(Json::Null, |ty| value(ty, draw));
            json!({ name: value })
        }
        Made::Enum(count) => json!(format!("n{}", pick(*count))),
        Made::Flags(count) => (0..*count)
            .filter(|at| number >> at & 1 == 1)
            .map(|at| format!("n{at}"))
            .collect(),
    }
}

fn float(text: String) -> Json {
    match &*text {
        "NaN" => json!("NaN"),
        "inf" => json!("Infinity"),
        "-inf" => json!("-Infinity"),
        text => json!(text.parse::<f64>().unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_type_round_trips(ty in made(), seed in any::<u64>()) {
        // A list of bare `u8` would be bytes.
        let ty = match ty {
            Made::Plain("u8") => Made::Tuple(vec![ty]),
            ty => ty,
        };
        let mut state = seed | 1;
        let mut draw = || {
            // Numbers of Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let sent: Json = (0..3).map(|_| value(&ty, &mut draw)).collect();
        let component = component(&engine(), &ty);
        let back = match call(&component, "echo", &sent.to_string()) {
            Ok(Value::Json(json)) => serde_json::from_slice::<Json>(&json).unwrap(),
            other => panic!("{ty:?} {sent}: {other:?}"),
        };
        prop_assert_eq!(&back, &sent, "{:?}", ty);
        let error = call(&component, "reject", &sent.to_string()).unwrap_err();
        prop_assert_eq!(serde_json::from_str::<Json>(&error).unwrap(), sent);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let engine = engine();
    let boxed = |name| Box::new(Made::Plain(name));
    for (ty, sent, words) in [
        (Made::Plain("u16"), "[65536]", "wanted u16, got 65536"),
        (Made::Plain("u16"), "[-1]", "got -1"),
        (Made::Plain("u16"), "[1.5]", "got 1.5"),
        (Made::Plain("u16"), "[\"1\"]", "got \"1\""),
        (
            Made::Plain("s64"),
            "[\"9223372036854775808\"]",
            "wanted s64",
        ),
        (Made::Plain("u64"), "[\"-1\"]", "wanted u64"),
        (Made::Plain("u64"), "[18446744073709551616]", "wanted u64"),
        (Made::Plain("f32"), "[1e39]", "wanted f32"),
        (Made::Plain("f64"), "[\"inf\"]", "wanted f64"),
        (Made::Plain("char"), "[\"ab\"]", "wanted char"),
        (Made::Plain("char"), "[\"\"]", "wanted char"),
        (Made::Plain("bool"), "[1]", "wanted bool"),
        (Made::Plain("string"), "[null]", "got null"),
        (Made::Enum(2), "[\"n2\"]", "enum { n0, n1 }"),
        (Made::Flags(2), "[[\"n0\", \"n0\"]]", "`n0` twice"),
        (Made::Flags(2), "[[\"n2\"]]", "`n2`"),
        (
            Made::Record(vec![Made::Plain("bool")]),
            "[{}]",
            "no field `f0-x`",
        ),
        (
            Made::Record(vec![Made::Plain("bool")]),
            "[{\"f0\": true}]",
            "a field `f0`",
        ),
        (
            Made::Record(vec![Made::Plain("bool")]),
            "[{\"f0-x\": true, \"f0-x\": true}]",
            "twice",
        ),
        (
            Made::Tuple(vec![Made::Plain("bool")]),
            "[[]]",
            "got 0 values",
        ),
        (
            Made::Tuple(vec![Made::Plain("bool")]),
            "[[true, true]]",
            "more than 1",
        ),
        (
            Made::Variant(vec![None]),
            "[{\"c0\": null}]",
            "an object of `c0`",
        ),
        (
            Made::Variant(vec![Some(Made::Plain("bool"))]),
            "[\"c0\"]",
            "wanted variant",
        ),
        (
            Made::Variant(vec![Some(Made::Plain("bool"))]),
            "[{\"c0\": true, \"c1\": true}]",
            "several names",
        ),
        (Made::Result(None, None), "[{\"no\": null}]", "another name"),
        (
            Made::Option(Box::new(Made::Option(boxed("bool")))),
            "[true]",
            "wanted option",
        ),
        (Made::List(boxed("u8")), "[\"%\"]", "wanted list<u8>"),
        (
            Made::Map("u8", boxed("bool")),
            "[{\"256\": true}]",
            "a key `256`",
        ),
        (
            Made::Map("u8", boxed("bool")),
            "[{\"07\": true}]",
            "a key `07`",
        ),
        (
            Made::Map("char", boxed("bool")),
            "[{\"\": true}]",
            "a key ``",
        ),
        (
            Made::Map("string", boxed("bool")),
            "[{\"a\": true, \"a\": true}]",
            "`a` twice",
        ),
        (
            Made::Map("string", boxed("bool")),
            "[[[\"a\", true]]]",
            "got an array",
        ),
        (Made::Plain("bool"), "[true", "EOF"),
        (Made::Plain("bool"), "[true] 1", "trailing"),
    ] {
        let refused = call(&component(&engine, &ty), "echo", sent).expect_err(sent);
        assert!(
            refused.starts_with("`echo` takes (x: list<") && refused.contains(words),
            "{sent}: {refused}"
        );
    }
}

#[test]
fn integers_of_64_bits_keep_every_digit() {
    let component = component(&engine(), &Made::Plain("u64"));
    let same = "[18446744073709551615,9007199254740993,0]";
    for sent in [same, "[\"18446744073709551615\",\"9007199254740993\",0.0]"] {
        let back = call(&component, "echo", sent).unwrap();
        assert_eq!(back, Value::Json(Bytes::from_static(same.as_bytes())));
    }
}

#[test]
fn the_hosts_room_is_bounded_in_both_directions() {
    let engine = engine();
    let component = component(&engine, &Made::Plain("bool"));
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let function = instance.get_func(&mut store, "echo").unwrap();
    let signature = TypedSignature::new("echo".into(), &function.ty(&store));
    let sent = [Arg::Text(format!("[{}true]", "true,".repeat(999)).into())];
    let refused = signature.plan(&sent, None, 1000).unwrap_err();
    assert!(refused.message.contains("limits.memory"), "{refused}");
    let values = signature.plan(&sent, None, 1 << 20).unwrap();
    let mut results = signature.results();
    store.set_hostcall_fuel(1000);
    let error = function
        .call(&mut store, &values, &mut results)
        .unwrap_err();
    let error = crate::interfaces::missing::classify(error);
    assert!(matches!(
        error.downcast_ref(),
        Some(crate::limits::LimitExceeded::Memory)
    ));
    store.set_hostcall_fuel(1 << 20);
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let function = instance.get_func(&mut store, "echo").unwrap();
    function.call(&mut store, &values, &mut results).unwrap();
    let error = signature.result(results, 100).unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(crate::limits::LimitExceeded::Output)
    ));
}
