//! Exports whose module declares their types, and the same with types that the caller states.

use super::*;

/// Each type that wasm-bindgen describes, in the core types of the versions that had it.
#[test]
fn described_types_have_the_layout_of_their_version() {
    const L: Core = Core::I64;
    const D: Core = Core::F64;
    let option = |ty: Type| Type::Option(Box::new(ty));
    let list = |ty: Type| Type::List(Box::new(ty));
    let of_enum = Type::Enum {
        name: "E".into(),
        hole: 9,
    };
    let raw = |text: &[u8], width| CoreArg::List {
        bytes: Bytes::copy_from_slice(text),
        width,
    };
    let none = 9_007_199_254_740_991.0;
    for (ty, cores, given, slots) in [
        (Type::Char, &[I][..], "\u{e9}", vec![CoreArg::I32(0xe9)]),
        (Type::I128, &[L, L], "-1", vec![CoreArg::I128(u128::MAX)]),
        (
            list(Type::I16),
            &[I, I],
            "[[1,-1]]",
            vec![raw(&[1, 0, 255, 255], 2)],
        ),
        (
            list(Type::Bool),
            &[I, I],
            "[[true]]",
            vec![raw(&[1, 0, 0, 0], 4)],
        ),
        (
            list(Type::String),
            &[I, I],
            "[[\"a\"]]",
            vec![CoreArg::Texts(vec!["a".into()])],
        ),
        (option(Type::U8), &[I], "7", vec![CoreArg::I32(7)]),
        (
            option(Type::U8),
            &[I],
            "null",
            vec![CoreArg::I32(0xff_ffff)],
        ),
        (
            option(Type::U32),
            &[I, I],
            "7",
            vec![CoreArg::I32(1), CoreArg::I32(7)],
        ),
        (
            option(Type::U32),
            &[I, I],
            "null",
            vec![CoreArg::I32(0), CoreArg::I32(0)],
        ),
        (
            option(Type::U32),
            &[D],
            "4294967295",
            vec![CoreArg::F64(4_294_967_295.0)],
        ),
        (option(Type::I32), &[D], "-1", vec![CoreArg::F64(-1.0)]),
        (option(Type::F32), &[D], "null", vec![CoreArg::F64(none)]),
        (
            option(Type::F64),
            &[I, D],
            "0.5",
            vec![CoreArg::I32(1), CoreArg::F64(0.5)],
        ),
        (
            option(Type::U64),
            &[I, L],
            "5",
            vec![CoreArg::I32(1), CoreArg::I64(5)],
        ),
        (
            option(Type::U64),
            &[I, I, I],
            "5",
            vec![CoreArg::I32(1), CoreArg::SplitI64(5)],
        ),
        (option(Type::String), &[I, I], "null", vec![bytes("null")]),
        (
            option(list(Type::U32)),
            &[I, I],
            "null",
            vec![CoreArg::Null],
        ),
        (of_enum.clone(), &[I], "3", vec![CoreArg::I32(3)]),
        (of_enum.clone(), &[D], "3", vec![CoreArg::F64(3.0)]),
        (option(of_enum.clone()), &[I], "null", vec![CoreArg::I32(9)]),
        (
            option(of_enum.clone()),
            &[D],
            "null",
            vec![CoreArg::F64(9.0)],
        ),
    ] {
        // Only the version determines which number is `None`.
        let by_version = matches!(slots[..], [CoreArg::F64(n)] if n == none);
        let signature = Signature {
            params: vec![ty.clone()],
            result: Type::Unit,
            fallible: false,
            patch: by_version.then_some(130),
        };
        let takes = export(cores, &[], Some(signature));
        let plan = plan(&takes, &texts(&[given])).unwrap();
        assert_eq!(plan.slots, slots, "{ty} of {given} in {cores:?}");
    }
    // An absent text is `None`.
    let signature = Signature {
        params: vec![option(Type::String), option(Type::String)],
        result: Type::Unit,
        fallible: false,
        patch: Some(130),
    };
    let takes = export(&[I, I, I, I], &[], Some(signature));
    let planned = plan(&takes, &texts(&["[null, \"null\"]"])).unwrap();
    assert_eq!(planned.slots, [CoreArg::Null, bytes("null")]);
    let planned = plan(&takes, &texts(&["a"])).unwrap();
    assert_eq!(planned.slots, [bytes("a"), CoreArg::Null]);
    // The number of `None` is not one of the enum's.
    let signature = Signature {
        params: vec![of_enum],
        result: Type::Unit,
        fallible: false,
        patch: None,
    };
    let takes = export(&[I], &[], Some(signature));
    assert_eq!(
        plan(&takes, &texts(&["9"])).unwrap_err().code(),
        "arguments"
    );
}

#[test]
fn a_core_type_that_contradicts_is_refused() {
    let says = |params: &[Type], result| Signature {
        params: params.to_vec(),
        result,
        fallible: false,
        patch: Some(130),
    };
    let method = export(&[I], &[I], None);
    let refusal = agrees(&method, says(&[], Type::U32)).unwrap_err();
    assert!(
        refusal.contains("() -> u32") && refusal.contains("(i32) -> (i32)"),
        "{refusal}"
    );
    assert!(agrees(&method, says(&[Type::U32], Type::U32)).is_ok());
    let result = Signature {
        fallible: true,
        ..says(&[Type::U32], Type::Unit)
    };
    for (params, results, fits) in [
        (&[I, I][..], &[][..], true),
        (&[I], &[I, I], true),
        (&[I], &[], false),
        (&[I, I], &[I], false),
    ] {
        let export = export(params, results, None);
        assert_eq!(agrees(&export, result.clone()).is_ok(), fits, "{params:?}");
    }
}

/// A return area is laid out by the version of wasm-bindgen; without a version, its layout is not guessed.
#[test]
fn a_version_decides_what_no_core_type_shows() {
    let perhaps = |patch| Signature {
        params: vec![],
        result: Type::Option(Box::new(Type::U32)),
        fallible: true,
        patch,
    };
    let area = export(&[I], &[], None);
    for (patch, float_options) in [(92, false), (95, false), (96, true), (130, true)] {
        let export = export(&[I], &[], Some(perhaps(Some(patch))));
        let ResultLayout::Known { era, .. } = plan(&export, &[]).unwrap().returns else {
            panic!("0.2.{patch}");
        };
        assert_eq!(era.float_options, float_options, "0.2.{patch}");
    }
    assert!(agrees(&area, perhaps(None)).is_err());
    assert_eq!(
        stated(&area, "() -> u32?", &[]).unwrap_err().code(),
        "arguments"
    );
}

/// 64 bits in the shapes of 2020 (halves, return area) and of later compilers, stated or described.
#[test]
fn numbers_of_64_bits_in_every_shape() {
    const L: Core = Core::I64;
    let big = -0x0123_4567_89ab_cdef_i64;
    let given = big.to_string();
    for (params, results, slot, returns) in [
        (
            &[I, I, I][..],
            &[][..],
            CoreArg::SplitI64(big),
            known(Type::I64, false, true),
        ),
        (&[I, I], &[L], CoreArg::SplitI64(big), scalar(Type::I64)),
        (
            &[I, I],
            &[I, I],
            CoreArg::SplitI64(big),
            known(Type::I64, true, false),
        ),
        (
            &[I, L],
            &[],
            CoreArg::I64(big),
            known(Type::I64, false, true),
        ),
        (&[L], &[L], CoreArg::I64(big), scalar(Type::I64)),
    ] {
        let plain = export(params, results, None);
        let described = Some(Signature {
            params: vec![Type::I64],
            result: Type::I64,
            fallible: false,
            patch: None,
        });
        let expected = CallPlan {
            slots: vec![slot],
            returns,
        };
        let mut by_header = stated(&plain, "(i64) -> i64", &[&given]).unwrap();
        // A signature stated by a caller leaves open whether the function may fail; the return area shows it.
        if let ResultLayout::Known { fallible, .. } = &mut by_header.returns
            && *fallible == ErrorLayout::Perhaps
        {
            *fallible = ErrorLayout::No;
        }
        let by_itself = plan(&export(params, results, described), &texts(&[&given])).unwrap();
        assert_eq!(
            (&by_header, &by_itself),
            (&expected, &expected),
            "{params:?}"
        );
    }
    let [low, high] = halves(big);
    assert_eq!(whole(low, high), big);
    assert_eq!(halves(1 << 32 | 2), [2, 1]);
    let mixed = export(&[I, I, I, I, I, I], &[], None);
    let planned = stated(
        &mixed,
        "(string, u64, i32) -> u64",
        &["[\"a\", 18446744073709551615, 3]"],
    );
    assert_eq!(
        planned.unwrap().slots,
        [bytes("a"), CoreArg::SplitI64(-1), CoreArg::I32(3)]
    );
    // Without a signature or a description, halves are not guessed: two numbers stay two numbers.
    let two = export(&[I, I, I], &[], None);
    assert_eq!(
        plan(&two, &texts(&["[1, 2]"])).unwrap().slots,
        [bytes("[1, 2]")]
    );
}
