//! Rules for planning a call. Calls themselves are tested from outside, with real modules.

use super::*;
use crate::abi::layout::{Era, ErrorLayout, ResultLayout, whole};
use crate::manifest::{Abi, Core, Type};
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};

mod described;

fn export(params: &[Core], results: &[Core], signature: Option<Signature>) -> Export {
    Export {
        name: "f".into(),
        symbol: "f".into(),
        core_params: params.to_vec(),
        core_results: results.to_vec(),
        signature,
        described: None,
        unread: None,
        abi: Abi::Bindgen,
    }
}

fn plan(export: &Export, args: &[Arg]) -> Result<CallPlan, Fault> {
    super::plan(export, args, None, true)
}

fn stated(export: &Export, signature: &str, args: &[&str]) -> Result<CallPlan, Fault> {
    let signature = StatedSignature::parse(signature)?;
    super::plan(export, &texts(args), Some(&signature), true)
}

fn texts(texts: &[&str]) -> Vec<Arg> {
    texts
        .iter()
        .map(|text| Arg::Text(Bytes::copy_from_slice(text.as_bytes())))
        .collect()
}

fn bytes(text: &str) -> CoreArg {
    CoreArg::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

const I: Core = Core::I32;

/// The layout of a result of one value, returned directly.
fn scalar(ty: Type) -> ResultLayout {
    known(ty, false, false)
}

fn known(ty: Type, halves: bool, area: bool) -> ResultLayout {
    ResultLayout::Known {
        ty,
        era: Era {
            halves,
            ..Era::default()
        },
        area,
        fallible: ErrorLayout::No,
    }
}

#[test]
fn text_to_text_in_both_shapes() {
    let area = plan(&export(&[I, I, I], &[], None), &texts(&["22"])).unwrap();
    assert_eq!(
        area,
        CallPlan {
            slots: vec![bytes("22")],
            returns: ResultLayout::Area
        }
    );
    let pair = plan(&export(&[I, I], &[I, I], None), &texts(&["22"])).unwrap();
    assert_eq!(
        pair,
        CallPlan {
            slots: vec![bytes("22")],
            returns: ResultLayout::Pair(false)
        }
    );
}

#[test]
fn no_body_is_an_empty_text() {
    assert_eq!(
        plan(&export(&[I, I, I], &[], None), &[]).unwrap().slots,
        [bytes("")]
    );
    assert_eq!(plan(&export(&[I], &[], None), &[]).unwrap().slots, []);
    assert_eq!(
        plan(&export(&[], &[], None), &[]).unwrap().returns,
        ResultLayout::Nothing
    );
}

#[test]
fn numbers_by_shape() {
    let add = export(&[I, I], &[I], None);
    assert_eq!(
        plan(&add, &texts(&["1", "4294967295"])).unwrap().slots,
        [CoreArg::I32(1), CoreArg::I32(-1)]
    );
    // The same core type as `length(&str) -> u32`: an array of as many numbers as there are core parameters holds the
    // arguments, and any other text is a text.
    assert_eq!(
        plan(&add, &texts(&["[1, 2]"])).unwrap().slots,
        [CoreArg::I32(1), CoreArg::I32(2)]
    );
    for text in ["[1, 2, 3]", "[\"1\", 2]", "[1]", "[1, true]", "12"] {
        assert_eq!(plan(&add, &texts(&[text])).unwrap().slots, [bytes(text)]);
    }
    for many in ["[1, 2.5]", "[1, 4294967296]"] {
        assert_eq!(plan(&add, &texts(&[many])).unwrap_err().code(), "arguments");
    }
    // A function that returns a text takes the array as a text.
    let text = export(&[I, I], &[I, I], None);
    assert_eq!(
        plan(&text, &texts(&["[1, 2]"])).unwrap().slots,
        [bytes("[1, 2]")]
    );
    let three = export(&[I, I, I], &[I], None);
    assert_eq!(
        plan(&three, &texts(&["[1, -2, 3]"])).unwrap().slots,
        [CoreArg::I32(1), CoreArg::I32(-2), CoreArg::I32(3)]
    );
    let float = export(&[Core::F64], &[Core::F64], None);
    assert_eq!(
        plan(&float, &texts(&["1.5"])).unwrap().slots,
        [CoreArg::F64(1.5)]
    );
    assert_eq!(
        plan(&float, &texts(&["x"])).unwrap_err().code(),
        "arguments"
    );
}

#[test]
fn mixed_by_shape() {
    let mixed = export(&[I, I, I, I, I, I, Core::I64, Core::F64, I], &[], None);
    let slots = plan(&mixed, &texts(&["[\"a\", 7, \"bc\", -5, 2.5, true]"]))
        .unwrap()
        .slots;
    assert_eq!(
        slots,
        [
            bytes("a"),
            CoreArg::I32(7),
            bytes("bc"),
            CoreArg::I64(-5),
            CoreArg::F64(2.5),
            CoreArg::I32(1)
        ]
    );
}

#[test]
fn typed_arguments_are_checked() {
    let signature = |params: &[Type], result| {
        Some(Signature {
            params: params.to_vec(),
            result,
            fallible: false,
            patch: None,
        })
    };
    let byte = export(&[I], &[I], signature(&[Type::U8], Type::U8));
    assert_eq!(
        plan(&byte, &texts(&["255"])).unwrap().slots,
        [CoreArg::I32(255)]
    );
    let fault = plan(&byte, &texts(&["256"])).unwrap_err();
    assert!(
        fault.message.contains("integer from 0 to 255") && fault.message.contains("256"),
        "{}",
        fault.message
    );
    let text = export(&[I, I], &[I], signature(&[Type::String], Type::U32));
    assert_eq!(
        plan(&text, &[Arg::Bytes(Bytes::from_static(&[0xff]))])
            .unwrap_err()
            .code(),
        "arguments"
    );
    let list = export(&[I, I, I], &[], signature(&[Type::Bytes], Type::Bytes));
    assert_eq!(
        plan(&list, &texts(&["[1,2]"])).unwrap().slots,
        [bytes("[1,2]")]
    );
}

#[test]
fn what_does_not_fit_says_what_would() {
    let add = export(&[I, I], &[I], None);
    let fault = plan(&add, &texts(&["1", "2", "3"])).unwrap_err();
    assert!(
        fault.message.contains("(i32, i32)") && fault.message.contains("got 3 arguments"),
        "{}",
        fault.message
    );
}

#[test]
fn fewer_arguments_than_a_function_takes_are_empty_texts() {
    let three = export(&[I, I, I, I, I, I, I], &[], None);
    for (given, slots) in [
        (&["a", "b", "c"][..], ["a", "b", "c"]),
        (&["a", "b"], ["a", "b", ""]),
        (&["a"], ["a", "", ""]),
        (&[], ["", "", ""]),
    ] {
        let plan = plan(&three, &texts(given)).unwrap();
        assert_eq!(plan.slots, slots.map(bytes), "{given:?}");
        assert_eq!(plan.returns, ResultLayout::Area);
    }
    // A missing number is refused, and so is one text too many.
    for (params, given) in [(&[I, I, I][..], &["a", "b"][..]), (&[Core::I64], &[])] {
        let fault = plan(&export(params, &[I], None), &texts(given)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Arguments, "{params:?}");
    }
    assert!(plan(&three, &texts(&["a", "b", "c", "d"])).is_err());
    // An array of arguments is never padded.
    assert!(plan(&three, &texts(&["[\"a\"]"])).is_err());
    let described = Some(Signature {
        params: vec![Type::String, Type::I32, Type::Bytes],
        result: Type::String,
        fallible: false,
        patch: None,
    });
    let described = export(&[I, I, I, I, I, I], &[], described);
    let plan_of = |given: &[&str]| plan(&described, &texts(given));
    assert_eq!(
        plan_of(&["a", "7"]).unwrap().slots,
        [bytes("a"), CoreArg::I32(7), bytes("")]
    );
    assert!(plan_of(&["a"]).unwrap_err().message.contains("Argument 2"));
    assert!(plan_of(&["[\"a\", 7]"]).is_err());
}

#[test]
fn stated_types_are_believed_where_the_core_type_agrees() {
    let add = export(&[I, I], &[I], None);
    for given in [&["1", "-2"][..], &["[1, -2]"]] {
        let plan = stated(&add, "(i32, i32) -> i32", given).unwrap();
        assert_eq!(plan.slots, [CoreArg::I32(1), CoreArg::I32(-2)]);
        assert_eq!(plan.returns, scalar(Type::I32));
    }
    let length = stated(&add, "(string) -> u32", &["[1, -2]"]).unwrap();
    assert_eq!(length.slots, [bytes("[1, -2]")]);
    assert_eq!(length.returns, scalar(Type::U32));
    // A single element may be in an array, too.
    let one = export(&[Core::I64], &[Core::I64], None);
    for given in ["-1", "[-1]"] {
        let plan = stated(&one, "(i64) -> u64", &[given]).unwrap();
        assert_eq!(plan.slots, [CoreArg::I64(-1)]);
        assert_eq!(plan.returns, scalar(Type::U64));
    }
    let text = export(&[I, I], &[I, I], None);
    for (signature, returns) in [
        ("(bytes) -> bytes", known(Type::Bytes, false, false)),
        ("(i32, bool) -> string", known(Type::String, false, false)),
    ] {
        let given = if signature.contains("bool") {
            "[1, true]"
        } else {
            "x"
        };
        assert_eq!(stated(&text, signature, &[given]).unwrap().returns, returns);
    }
    for (signature, words) in [
        ("(i64) -> i32", "its core type is (i32, i32) -> (i32, i32)"),
        ("(i32, i32) -> i32", "carries other types"),
        ("([i32], i32) -> string", "carries other types"),
    ] {
        let fault = stated(&text, signature, &["1"]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Arguments);
        assert!(
            fault.message.contains(words),
            "{signature}: {}",
            fault.message
        );
    }
    let described = Some(Signature {
        params: vec![Type::String],
        result: Type::U32,
        fallible: false,
        patch: None,
    });
    let described = export(&[I, I], &[I], described);
    assert!(stated(&described, "(string) -> u32", &["x"]).is_ok());
    let fault = stated(&described, "(string) -> i32", &["x"]).unwrap_err();
    assert!(
        fault.message.contains("the module says `(string) -> u32`"),
        "{}",
        fault.message
    );
}

#[test]
fn without_an_allocator_words_of_a_text_are_numbers() {
    let bare = |export: &Export, args: &[&str]| super::plan(export, &texts(args), None, false);
    let add = export(&[I, I], &[I], None);
    for given in [&["1", "-2"][..], &["[1, -2]"]] {
        let plan = bare(&add, given).unwrap();
        assert_eq!(plan.slots, [CoreArg::I32(1), CoreArg::I32(-2)]);
    }
    assert_eq!(bare(&add, &["text"]).unwrap_err().code(), "no-allocator");
    for (given, count) in [
        (&[][..], 0),
        (&["1"], 1),
        (&["[1]"], 1),
        (&["[1, 2, 3]"], 3),
    ] {
        let fault = bare(&add, given).unwrap_err();
        assert_eq!(fault.code(), "arguments", "{given:?}");
        let says = format!("takes 2 numbers (i32, i32): got {count}.");
        assert!(fault.message.contains(&says), "{}", fault.message);
    }
    assert_eq!(
        bare(&add, &["1", "2", "3"]).unwrap_err().code(),
        "arguments"
    );
    // A first word is an argument, not a return area.
    let set = export(&[I, I], &[], None);
    let plan = bare(&set, &["[7, 8]"]).unwrap();
    assert_eq!(plan.slots, [CoreArg::I32(7), CoreArg::I32(8)]);
    assert_eq!(plan.returns, ResultLayout::Nothing);
}

proptest::proptest! {
    /// Any core type meets any arguments without a panic, and a plan always has the parameters of the type.
    #[test]
    fn plans_have_the_type_of_their_export(
        params in proptest::collection::vec(0..5u8, 0..9),
        results in proptest::collection::vec(0..5u8, 0..5),
        given in proptest::collection::vec(".{0,12}", 0..6),
    ) {
        let core = |n: &u8| [I, Core::I64, Core::F32, Core::F64, Core::Other][usize::from(*n)];
        let export = export(&params.iter().map(core).collect::<Vec<_>>(), &results.iter().map(core).collect::<Vec<_>>(), None);
        let args: Vec<Arg> = given.iter().map(|text| Arg::Text(text.clone().into())).collect();
        if let Ok(plan) = plan(&export, &args) {
            let mut flat: Vec<Core> = matches!(plan.returns, ResultLayout::Area).then_some(I).into_iter().collect();
            flat.extend(plan.slots.iter().flat_map(CoreArg::cores));
            proptest::prop_assert_eq!(flat, export.core_params);
        }
    }
}

#[test]
fn json_crosses_as_its_text() {
    let takes = |params: &[Type], cores: &[Core]| {
        let signature = Signature {
            params: params.to_vec(),
            result: Type::Unit,
            fallible: false,
            patch: None,
        };
        export(cores, &[], Some(signature))
    };
    let [one, two] = [&[Core::I32; 2][..], &[Core::I32; 4]];
    let slots = |texts: &[&str]| {
        let bytes = |text: &&str| CoreArg::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        texts.iter().map(bytes).collect::<Vec<_>>()
    };
    let one = takes(&[Type::Json], one);
    for whole in ["{\"a\": 1}", "[1]", "[1, 2]", "\"text\"", "null", "7"] {
        assert_eq!(
            plan(&one, &texts(&[whole])).unwrap().slots,
            slots(&[whole]),
            "{whole}"
        );
    }
    assert_eq!(
        plan(&one, &[]).unwrap().slots,
        slots(&["null"]),
        "what did not come is null"
    );
    assert_eq!(plan(&one, &texts(&["{"])).unwrap_err().code(), "arguments");
    // In an array of arguments, a string keeps its quotes for one and loses them for the other.
    let both = takes(&[Type::Json, Type::String], two);
    let given = texts(&["[\"a\", \"b\"]"]);
    assert_eq!(plan(&both, &given).unwrap().slots, slots(&["\"a\"", "b"]));
}
