use super::*;

fn plain(params: &[Type], result: Type) -> Option<Signature> {
    Some(Signature {
        params: params.to_vec(),
        result,
        fallible: false,
        patch: None,
    })
}

fn decode(codes: &[u32], version: Option<Patch>) -> Option<Signature> {
    let mut signature = read(Some(codes), version).ok()?;
    signature.patch = None;
    Some(signature)
}

#[test]
fn today() {
    let of = |codes: &[u32]| decode(codes, Some(130));
    assert_eq!(
        of(&[15, 0, 1, 19, 18, 18, 18]),
        plain(&[Type::String], Type::String)
    );
    assert_eq!(
        of(&[15, 0, 1, 19, 22, 1, 23, 1, 23, 1]),
        plain(&[Type::Bytes], Type::Bytes)
    );
    assert_eq!(
        of(&[15, 0, 6, 19, 18, 5, 19, 22, 1, 6, 13, 14, 18, 18]),
        plain(
            &[
                Type::String,
                Type::U32,
                Type::Bytes,
                Type::I64,
                Type::F64,
                Type::Bool
            ],
            Type::String
        )
    );
    assert_eq!(of(&[15, 0, 0, 33, 33]), plain(&[], Type::Unit));
    assert_eq!(
        of(&[15, 0, 1, 19, 18, 32, 18, 32, 18]),
        Some(Signature {
            params: vec![Type::String],
            result: Type::String,
            fallible: true,
            patch: None,
        })
    );
}

#[test]
fn of_2020() {
    // 0.2.61: FUNCTION 11, STRING 14, REF 15, SLICE 17, VECTOR 18.
    assert_eq!(
        decode(&[11, 0, 1, 15, 14, 14], Some(61)),
        plain(&[Type::String], Type::String)
    );
    assert_eq!(
        decode(&[11, 0, 2, 15, 17, 1, 4, 18, 1], Some(61)),
        plain(&[Type::Bytes, Type::I32], Type::Bytes)
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    for codes in [
        &[][..],
        &[15],
        &[15, 0, u32::MAX],
        &[15, 0, 1, 32, 33, 33],
        &[15, 0, 1, 19, 19, 19, 19],
        &[15, 0, 0, 33, 33, 33],
        &[15, 0, 0, 99, 99],
        &[15, 0, 1].into_iter().chain([19; 9000]).collect::<Vec<_>>(),
    ] {
        assert_eq!(decode(codes, Some(130)), None, "{codes:?}");
    }
    assert!(read(None, Some(130)).is_err());
}

/// Options, characters, enums and lists, by the numbers of four versions.
#[test]
fn every_version_has_its_numbers() {
    let option = |ty: Type| Type::Option(Box::new(ty));
    let list = |ty: Type| Type::List(Box::new(ty));
    let text = |text: &str| {
        let codes = text.chars().map(u32::from);
        std::iter::once(codes.clone().count() as u32)
            .chain(codes)
            .collect::<Vec<_>>()
    };
    // (function, version, vector, named externref, enum, char, optional)
    for (function, version, vector, named, of_enum, char, optional) in [
        (11, 61, 18, 20, 21, 23, 24),
        (11, 83, 18, 20, 21, 23, 24),
        (11, 92, 19, 21, 22, 24, 25),
        (11, 95, 19, 21, 22, 25, 26),
        (13, 100, 21, 23, 24, 27, 28),
        (15, 120, 23, 25, 26, 29, 30),
        (15, 130, 23, 25, 26, 30, 31),
    ] {
        let mut codes = vec![function, 0, 5, vector, 4, char, optional, 5, vector, named];
        codes.extend(text("string"));
        codes.push(of_enum);
        let name = match version {
            88.. => {
                codes.extend(text("Colour"));
                "Colour"
            }
            _ => "of numbers",
        };
        codes.push(9);
        if version >= 130 {
            codes.extend(text("crate"));
            codes.push(77);
        }
        codes.extend([optional, 14 + function - 11]);
        assert_eq!(
            decode(&codes, Some(version)),
            plain(
                &[
                    list(Type::I32),
                    Type::Char,
                    option(Type::U32),
                    list(Type::String),
                    Type::Enum {
                        name: name.into(),
                        hole: 9
                    },
                ],
                option(Type::String)
            ),
            "0.2.{version}"
        );
    }
}

#[test]
fn what_cannot_cross_is_named() {
    for (codes, words) in [
        (vec![15, 0, 1, 24, 33, 33], "takes a JavaScript value"),
        (vec![15, 0, 0, 24, 24], "returns a JavaScript value"),
        (
            vec![15, 0, 0, 29, 1, 65, 1, 66, 29, 1, 65, 1, 66],
            "the struct A",
        ),
        (
            vec![15, 0, 1, 20, 22, 1, 33, 33],
            "takes a mutable reference",
        ),
        (
            vec![15, 0, 0, 25, 2, 79, 75, 25, 2, 79, 75],
            "the JavaScript value OK",
        ),
        (
            vec![15, 0, 0, 27, 1, 66, 3, 27, 1, 66, 3],
            "the enum B of strings",
        ),
        (vec![15, 0, 0, 38, 5, 38, 5], "returns a Nullable"),
    ] {
        let refusal = read(Some(&codes), Some(130)).unwrap_err();
        assert!(refusal.contains(words), "{codes:?}: {refusal}");
    }
}

#[test]
fn version_of_section() {
    assert_eq!(
        version(b"\x30\0\0\0{\"schema_version\":\"0.2.130\",\"version\":\"0.2.130 (abc)\"}"),
        Some(130)
    );
    assert_eq!(version(b""), None);
}

proptest::proptest! {
    #[test]
    fn any_codes_are_safe(codes in proptest::collection::vec(proptest::prelude::any::<u32>(), 0..64), version in 0..200u32) {
        let _ = read(Some(&codes), Some(version));
        let _ = read(Some(&codes), None);
    }
}
