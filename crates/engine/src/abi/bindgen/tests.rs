//! Rules of binding. Calls themselves are tested from outside, with real modules.

use super::*;
use crate::manifest::Signature;

fn export(params: &[Core], results: &[Core], signature: Option<Signature>) -> Export {
    Export {
        name: "f".into(),
        symbol: "f".into(),
        core_params: params.to_vec(),
        core_results: results.to_vec(),
        signature,
    }
}

fn texts(texts: &[&str]) -> Vec<Arg> {
    texts
        .iter()
        .map(|text| Arg::Text(Bytes::copy_from_slice(text.as_bytes())))
        .collect()
}

fn bytes(text: &str) -> Slot {
    Slot::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

const I: Core = Core::I32;

#[test]
fn text_to_text_in_both_shapes() {
    let area = plan(&export(&[I, I, I], &[], None), &texts(&["22"])).unwrap();
    assert_eq!(
        area,
        Plan {
            slots: vec![bytes("22")],
            returns: Returns::Area(None)
        }
    );
    let pair = plan(&export(&[I, I], &[I, I], None), &texts(&["22"])).unwrap();
    assert_eq!(
        pair,
        Plan {
            slots: vec![bytes("22")],
            returns: Returns::Pair(None, false)
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
        Returns::Nothing
    );
}

#[test]
fn numbers_by_shape() {
    let add = export(&[I, I], &[I], None);
    assert_eq!(
        plan(&add, &texts(&["1", "4294967295"])).unwrap().slots,
        [Slot::I32(1), Slot::I32(-1)]
    );
    // The same core type as `length(&str) -> u32`: one text is one text, whatever it holds.
    assert_eq!(
        plan(&add, &texts(&["[1, 2]"])).unwrap().slots,
        [bytes("[1, 2]")]
    );
    let three = export(&[I, I, I], &[I], None);
    assert_eq!(
        plan(&three, &texts(&["[1, -2, 3]"])).unwrap().slots,
        [Slot::I32(1), Slot::I32(-2), Slot::I32(3)]
    );
    let float = export(&[Core::F64], &[Core::F64], None);
    assert_eq!(
        plan(&float, &texts(&["1.5"])).unwrap().slots,
        [Slot::F64(1.5)]
    );
    assert_eq!(plan(&float, &texts(&["x"])).unwrap_err().code, "arguments");
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
            Slot::I32(7),
            bytes("bc"),
            Slot::I64(-5),
            Slot::F64(2.5),
            Slot::I32(1)
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
        })
    };
    let byte = export(&[I], &[I], signature(&[Type::U8], Type::U8));
    assert_eq!(
        plan(&byte, &texts(&["255"])).unwrap().slots,
        [Slot::I32(255)]
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
            .code,
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
        fault.message.contains("(i32, i32)") && fault.message.contains("3 came"),
        "{}",
        fault.message
    );
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
            let mut flat: Vec<Core> = matches!(plan.returns, Returns::Area(_)).then_some(I).into_iter().collect();
            flat.extend(plan.slots.iter().flat_map(core_of));
            proptest::prop_assert_eq!(flat, export.core_params);
        }
    }
}
