//! Rules of this ABI. Calls themselves are tested from outside, with a real module.

use super::*;
use crate::manifest::{Abi, Core};
use iof_fault::{Fault, FaultKind};

fn export() -> Export {
    Export {
        name: "f".into(),
        symbol: "f".into(),
        core_params: vec![Core::I32; 2],
        core_results: vec![Core::I32],
        signature: None,
        described: None,
        unread: None,
        abi: Abi::Wasmedge,
    }
}

fn text(text: &str) -> Arg {
    Arg::Text(Bytes::copy_from_slice(text.as_bytes()))
}

fn argument(bytes: &[u8], elements: usize) -> Argument {
    Argument {
        bytes: Bytes::copy_from_slice(bytes),
        elements,
    }
}

fn untyped(args: &[Arg]) -> Result<Vec<Argument>, Fault> {
    Ok(plan(&export(), args, None)?.arguments)
}

fn stated(signature: &str, args: &[&str]) -> Result<Vec<Argument>, Fault> {
    let signature = StatedSignature::parse(signature)?;
    let args: Vec<_> = args.iter().map(|arg| text(arg)).collect();
    Ok(plan(&export(), &args, Some(&signature))?.arguments)
}

#[test]
fn without_types_what_cannot_be_misread_is_passed() {
    assert_eq!(untyped(&[]).unwrap(), []);
    assert_eq!(untyped(&[text("22")]).unwrap(), [argument(b"22", 2)]);
    assert_eq!(
        untyped(&[text("a"), Arg::Bytes(Bytes::from_static(&[1, 255]))]).unwrap(),
        [argument(b"a", 1), argument(&[1, 255], 2)]
    );
    assert_eq!(
        untyped(&[text(
            "[\"é\", -2, 18446744073709551615, 2.5, true, [1, 255], []]"
        )])
        .unwrap(),
        [
            argument("é".as_bytes(), 2),
            argument(&(-2i64).to_le_bytes(), 1),
            argument(&[255; 8], 1),
            argument(&2.5f64.to_le_bytes(), 1),
            argument(&[1], 1),
            argument(&[1, 255], 2),
            argument(&[], 0),
        ]
    );
    for unclear in [
        "[null]",
        "[{}]",
        "[[256]]",
        "[[1.5]]",
        "[1e30]",
        "[18446744073709551616]",
    ] {
        let fault = untyped(&[text(unclear)]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Arguments, "{unclear}");
        assert!(fault.message.contains("iof-signature"), "{}", fault.message);
    }
    let many = format!("[{}1]", "1,".repeat(1000));
    let fault = untyped(&[text(&many)]).unwrap_err();
    assert!(fault.message.contains("at most 1000"), "{}", fault.message);
}

#[test]
fn stated_types_give_exact_widths() {
    let given = "[1, -1, 2, -2, 3, -3, 4, -4, 1.5, 2, true, \"t\", \"b\"]";
    let signature = "(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, bool, string, bytes) -> ()";
    assert_eq!(
        stated(signature, &[given]).unwrap(),
        [
            argument(&[1], 1),
            argument(&[255], 1),
            argument(&2u16.to_le_bytes(), 1),
            argument(&(-2i16).to_le_bytes(), 1),
            argument(&3u32.to_le_bytes(), 1),
            argument(&(-3i32).to_le_bytes(), 1),
            argument(&4u64.to_le_bytes(), 1),
            argument(&(-4i64).to_le_bytes(), 1),
            argument(&1.5f32.to_le_bytes(), 1),
            argument(&2f64.to_le_bytes(), 1),
            argument(&[1], 1),
            argument(b"t", 1),
            argument(b"b", 1),
        ]
    );
    let arrays = stated(
        "([i8], [u16], [i16], [u32], [i32], [u64], [i64], [u8]) -> ()",
        &["[[-1,2], [3], [-4], [5], [-6,7,8], [9], [-10], [11,12]]"],
    )
    .unwrap();
    let elements: Vec<_> = arrays.iter().map(|a| (a.bytes.len(), a.elements)).collect();
    assert_eq!(
        elements,
        [
            (2, 2),
            (2, 1),
            (2, 1),
            (4, 1),
            (12, 3),
            (8, 1),
            (8, 1),
            (2, 2)
        ]
    );
    // One text that is an array: a text if a text is stated, its numbers if numbers are.
    for (signature, elements) in [
        ("(string) -> ()", 5),
        ("([i16]) -> ()", 2),
        ("(i32, i32) -> ()", 1),
    ] {
        assert_eq!(
            stated(signature, &["[1,2]"]).unwrap()[0].elements,
            elements,
            "{signature}"
        );
    }
    assert_eq!(
        stated("([i16]) -> ()", &["[[1,2]]"]).unwrap()[0].elements,
        2
    );
    // A missing argument is empty.
    assert_eq!(stated("(string, [i64]) -> ()", &[]).unwrap()[1].elements, 0);
    for (signature, given, words) in [
        ("(u8) -> ()", &["256"][..], "0 to 255"),
        (
            "([u16]) -> ()",
            &["[1, 65536]"],
            "a JSON array, each element an integer from 0 to 65535",
        ),
        (
            "(string) -> ()",
            &["a", "b"],
            "takes a text in UTF-8: got 2 arguments",
        ),
        ("(string, i32) -> ()", &["a"], "Argument 2"),
        ("() -> ()", &["a"], "takes no arguments"),
    ] {
        let fault = stated(signature, given).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Arguments);
        assert!(
            fault.message.contains(words),
            "{signature}: {}",
            fault.message
        );
    }
}

/// A memory with a table at its beginning and `data` behind it.
fn memory(entries: &[(u32, &[u8])]) -> Vec<u8> {
    let (mut table, mut data) = (vec![], vec![]);
    for (code, bytes) in entries {
        let at = u32::try_from(entries.len() * 12 + data.len()).unwrap();
        let length = u32::try_from(bytes.len()).unwrap();
        table.extend(
            [at, *code, length]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        data.extend_from_slice(bytes);
    }
    [table, data].concat()
}

fn read(entries: &[(u32, &[u8])], limit: u64) -> Result<Value, String> {
    let count = u32::try_from(entries.len()).unwrap();
    results::read(&memory(entries), 0, count, limit).map_err(|error| format!("{error:#}"))
}

#[test]
fn results_say_their_types() {
    let integer = |n: i128| Value::Integer(n);
    let json = |text: &'static str| Value::Text(Bytes::from_static(text.as_bytes()));
    for (code, bytes, value) in [
        (1, &[200][..], integer(200)),
        (2, &[200], integer(-56)),
        (3, &[255, 255], integer(65535)),
        (4, &[255, 255], integer(-1)),
        (5, &[255; 4], integer(u32::MAX.into())),
        (6, &[255; 4], integer(-1)),
        (7, &[255; 8], integer(u64::MAX.into())),
        (8, &[255; 8], integer(-1)),
        (9, &1.5f32.to_le_bytes(), Value::F32(1.5)),
        (10, &2.5f64.to_le_bytes(), Value::F64(2.5)),
        (11, &[1], Value::Bool(true)),
        (11, &[0], Value::Bool(false)),
        (12, &[0xac, 0x20, 0, 0], json("€")),
        (21, &[1, 255], Value::Bytes(Bytes::from_static(&[1, 255]))),
        (22, &[1, 255], json("[1,-1]")),
        (23, &[1, 0, 255, 255], json("[1,65535]")),
        (24, &[1, 0, 255, 255], json("[1,-1]")),
        (25, &[255; 4], json("[4294967295]")),
        (26, &[255; 8], json("[-1,-1]")),
        (27, &[255; 8], json("[18446744073709551615]")),
        (28, &[], json("[]")),
        (31, b"text", json("text")),
        (31, &[], json("")),
    ] {
        assert_eq!(read(&[(code, bytes)], 64), Ok(value), "{code}");
    }
    assert_eq!(read(&[], 64), Ok(Value::Unit));
    let several: [(u32, &[u8]); 7] = [
        (31, b"a\"\n"),
        (21, &[1, 255]),
        (11, &[1]),
        (12, &[34, 0, 0, 0]),
        (10, &f64::NAN.to_le_bytes()),
        (9, &0.1f32.to_le_bytes()),
        (26, &[255; 4]),
    ];
    assert_eq!(
        read(&several, 64),
        Ok(json("[\"a\\\"\\n\",[1,255],true,\"\\\"\",null,0.1,[-1]]"))
    );
}

#[test]
fn what_is_no_result_is_a_fault() {
    for (code, bytes) in [
        (0, &[1][..]),
        (13, &[1]),
        (20, &[1]),
        (29, &[1]),
        (u32::MAX, &[1]),
        (1, &[]),
        (1, &[1, 2]),
        (5, &[1, 2, 3, 4, 5]),
        (8, &[0; 9]),
        (12, &[0, 0xd8, 0, 0]),
        (23, &[1]),
        (28, &[0; 9]),
    ] {
        for entries in [&[(code, bytes)][..], &[(1, &[7]), (code, bytes)]] {
            let error = read(entries, 64).unwrap_err();
            assert!(error.starts_with("bad-result"), "{code} {bytes:?}: {error}");
        }
    }
    let at = |words: [u32; 3], count| {
        let table: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        format!("{:#}", results::read(&table, 0, count, 64).unwrap_err())
    };
    for (words, count) in [
        ([0, 31, 13], 1),
        ([u32::MAX, 31, 1], 1),
        ([0, 31, u32::MAX], 1),
        ([8, 26, u32::MAX], 1),
        ([12, 1, 1], 1),
        ([0, 1, u32::MAX], 1),
        ([0, 1, 1], 2),
        ([0, 1, 1], u32::MAX),
    ] {
        let error = at(words, count);
        assert!(
            error.contains("outside of its memory"),
            "{words:?}: {error}"
        );
    }
}

/// The output stays within the limit of a result, however many entries name the same bytes.
#[test]
fn what_is_written_is_bounded() {
    let control = [1u8; 64];
    for entries in [
        &[(31, &[b'a'; 65][..])][..],
        &[(31, &control), (1, &[1])],
        &[(26, &[255; 64]), (26, &[255; 64])],
        &[(1, &[100][..]); 20],
        &[(26, &[255; 128])],
    ] {
        let error = read(entries, 64).unwrap_err();
        assert!(error.contains("Output"), "{error}");
    }
    // One million entries over one megabyte that they all name.
    let table: Vec<u8> = (0..1_000_000u32)
        .flat_map(|_| [0, 31, 1_000_000u32])
        .flat_map(u32::to_le_bytes)
        .collect();
    let error = results::read(&table, 0, 1_000_000, 16 << 20).unwrap_err();
    assert!(format!("{error:#}").contains("Output"));
}

proptest::proptest! {
    /// Reading a result ends in a value of bounded size or in a fault, whatever the guest wrote.
    #[test]
    fn any_memory_is_safe(
        words in proptest::collection::vec(proptest::prelude::prop_oneof![
            0..40u32, 0..512u32, proptest::prelude::any::<u32>()
        ], 0..64),
        table in 0..300u32,
        count in proptest::prelude::prop_oneof![0..8u32, proptest::prelude::any::<u32>()],
        limit in 0..512u64,
    ) {
        let memory: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Ok(value) = results::read(&memory, table, count, limit) {
            let bounded = matches!(value, Value::Text(_) if limit < 4) || value.into_body().len() as u64 <= limit.max(32);
            proptest::prop_assert!(bounded);
        }
    }

    #[test]
    fn any_arguments_are_safe(given in proptest::collection::vec("[\\[\\]0-9,.\"a-]{0,12}|.{0,12}", 0..4), types in "\\((i8|u64|f32|string|bytes|\\[i16\\]|, ){0,5}\\) -> \\(\\)") {
        let args: Vec<Arg> = given.iter().map(|given| text(given)).collect();
        let signature = StatedSignature::parse(&types).ok();
        for signature in [None, signature.as_ref()] {
            if let Ok(plan) = plan(&export(), &args, signature) {
                proptest::prop_assert!(plan.arguments.iter().all(|a| a.elements <= a.bytes.len()));
            }
        }
    }
}
