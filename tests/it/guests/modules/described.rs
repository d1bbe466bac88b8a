//! The types that functions of wasm-bindgen declare, in versions that lay them out differently.

use super::v1;
use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;

/// The builds: since 0.2.120 `None` is another number, since 0.2.130 enums are floats, and since 0.2.96 optional
/// numbers of 32 bits are floats; 0.2.92 is older.
const BUILDS: [&str; 3] = ["bindgen-types", "bindgen-types-100", "bindgen-types-92"];

/// Export and argument: the answer is the argument.
const SAME: [(&str, &str); 44] = [
    ("bool", "true"),
    ("i8", "-128"),
    ("u8", "255"),
    ("i16", "-32768"),
    ("u16", "65535"),
    ("i32", "-2147483648"),
    ("u32", "4294967295"),
    ("i64", "-9223372036854775808"),
    ("u64", "18446744073709551615"),
    ("usize", "4294967295"),
    ("f32", "0.5"),
    ("f64", "-1.25e300"),
    ("char", "\u{1f4ac}"),
    ("string", "wörld"),
    ("string", ""),
    ("string", "null"),
    ("list_i8", "[-128,127]"),
    ("list_i16", "[-32768,0]"),
    ("list_u16", "[65535]"),
    ("list_i32", "[-2147483648,1]"),
    ("list_u32", "[4294967295]"),
    ("list_i64", "[-9223372036854775808]"),
    ("list_u64", "[18446744073709551615,0]"),
    ("list_f32", "[0.5,-2.0]"),
    ("list_f64", "[0.1]"),
    ("list_f64", "[]"),
    ("list_string", "[\"a\",\"\",\"\\\"ü\\\"\"]"),
    ("list_string", "[]"),
    ("colour", "7"),
    ("option_bool", "false"),
    ("option_i8", "-1"),
    ("option_u16", "0"),
    ("option_i32", "-1"),
    ("option_u32", "4294967295"),
    ("option_usize", "1"),
    ("option_i64", "-9223372036854775808"),
    ("option_u64", "18446744073709551615"),
    ("option_f32", "0.5"),
    ("option_f64", "0.1"),
    ("option_char", "x"),
    ("option_string", "text"),
    ("option_list_u32", "[1,2]"),
    ("option_list_string", "[\"a\"]"),
    ("option_colour", "3"),
];

#[tokio::test]
async fn every_type_round_trips() {
    let server = Server::start("").await;
    for build in BUILDS {
        let function = server.upload(guest(build)).await;
        let newer: &[(&str, &str)] = match build {
            "bindgen-types" => &[
                ("i128", "-170141183460469231731687303715884105728"),
                ("u128", "340282366920938463463374607431768211455"),
                ("option_u128", "5"),
                ("list_bool", "[true,false]"),
                ("list_char", "[\"ä\",\"\u{1f4ac}\"]"),
                ("option_list_bool", "[true]"),
            ],
            "bindgen-types-100" => &[("i128", "-1"), ("option_i128", "-1")],
            _ => &[],
        };
        for (export, value) in SAME.iter().chain(newer) {
            let answer = v1(&server, &function, export, value).await;
            assert_eq!(answer.fault(), "", "{build} {export}: {}", answer.text());
            let same = answer.text() == *value
                || answer.json() == serde_json::from_str::<serde_json::Value>(value).unwrap();
            assert!(same, "{build} {export}({value}) is {}", answer.text());
            // In a result, with a flag after it.
            if export.starts_with("option_") {
                continue;
            }
            let json = match *export {
                // JSON has no number of 128 bits.
                "string" | "char" | "i128" | "u128" => serde_json::to_string(value).unwrap(),
                _ => (*value).to_owned(),
            };
            let export = format!("result_{export}");
            let fine = v1(&server, &function, &export, &format!("[{json}, true]")).await;
            assert_eq!(fine.fault(), "", "{build} {export}: {}", fine.text());
            assert_eq!(fine.text(), answer.text(), "{build} {export}");
            let failed = v1(&server, &function, &export, &format!("[{json}, false]")).await;
            assert_eq!(failed.fault(), "guest-error", "{build} {export}");
            assert!(
                failed.text().contains("not fine"),
                "{build} {export}: {}",
                failed.text()
            );
        }
        let sum = v1(&server, &function, "sum", "[0.5, 1, 2]").await;
        assert_eq!(sum.text(), "3.5", "{build}");
        let path = format!("/v1/functions/{}/call/bytes", function.id);
        let bytes = server.request("POST", &path).body(vec![0, 255]);
        let bytes = bytes.header("content-type", "application/octet-stream");
        assert_eq!(server.answer(bytes).await.body, [0, 255], "{build}");
    }
}

#[tokio::test]
async fn a_missing_argument_is_null() {
    let server = Server::start("").await;
    for build in BUILDS {
        let function = server.upload(guest(build)).await;
        for export in [
            "option_bool",
            "option_i8",
            "option_u16",
            "option_i32",
            "option_u32",
            "option_f32",
            "option_i64",
            "option_f64",
            "option_list_u32",
            "option_list_string",
            "option_colour",
        ] {
            for body in ["null", ""] {
                let answer = v1(&server, &function, export, body).await;
                assert_eq!(answer.fault(), "", "{build} {export}: {}", answer.text());
                assert_eq!(answer.text(), "null", "{build} {export}({body})");
                assert!(
                    answer
                        .header("content-type")
                        .starts_with("application/json")
                );
            }
        }
        // Any text is a value; only a missing argument is `None`.
        for (export, body, result) in [
            ("option_string", "null", "null"),
            ("option_string", "", "null"),
            ("option_char", "", "null"),
        ] {
            let answer = v1(&server, &function, export, body).await;
            assert_eq!(answer.text(), result, "{build} {export}({body})");
        }
    }
}

/// The functions of `bindgen-results`, which once answered 200 with an empty text, for `Ok` and for `Err`.
#[tokio::test]
async fn results_are_values_or_the_guests_own_error() {
    let server = Server::start("").await;
    for build in BUILDS {
        let function = server.upload(guest(build)).await;
        for (export, body, result) in [
            ("perhaps", "0", "null"),
            ("perhaps", "1", "one"),
            ("perhaps_number", "0", "null"),
            ("perhaps_number", "1", "4000000000"),
            ("or_text", "true", "5"),
            ("or_value", "true", "0.5"),
        ] {
            let answer = v1(&server, &function, export, body).await;
            assert_eq!(answer.text(), result, "{build} {export}({body})");
        }
        let unit = v1(&server, &function, "unit", "true").await;
        assert_eq!((unit.http.as_u16(), unit.body.len()), (204, 0), "{build}");
        for (export, body, words) in [
            ("unit", "false", "The function returned an error: unit bad"),
            ("perhaps", "2", "bad number"),
            ("perhaps_number", "2", "bad number"),
            ("or_text", "false", "a text"),
            ("or_value", "false", "a value"),
            ("second_error", "the second", "the second"),
        ] {
            let answer = v1(&server, &function, export, body).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (502, "guest-error"),
                "{build} {export}: {}",
                answer.text()
            );
            assert!(
                answer.text().contains(words),
                "{build} {export}: {}",
                answer.text()
            );
            let old = server.run(function.id, export, body).await;
            assert_eq!(
                (old.status(), old.fault()),
                (502, "guest-error"),
                "{build} {export}"
            );
        }
        for (export, body, words) in [
            ("colour", "5", "invalid enum value"),
            ("u8", "256", "0 to 255"),
            ("char", "ab", "single character"),
            (
                "list_u16",
                "[65536]",
                "each element an integer from 0 to 65535",
            ),
            ("list_string", "[1]", "each element a text"),
        ] {
            let answer = v1(&server, &function, export, body).await;
            assert!(
                !answer.http.is_success(),
                "{build} {export}: {}",
                answer.text()
            );
            assert!(
                answer.text().contains(words),
                "{build} {export}: {}",
                answer.text()
            );
        }
    }
}

/// Shapes since 2021 after the tool, without descriptions: a result that is not a text is not taken for one.
#[tokio::test]
async fn a_result_of_unknown_type_is_not_guessed() {
    let server = Server::start("").await;
    let module = |export: &str| {
        wat(&format!(
            r#"(module
                 (import "./x_bg.js" "__wbindgen_error_new" (func $new (param i32 i32) (result i32)))
                 (memory (export "memory") 1) (data (i32.const 16) "why not")
                 (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 1024))
                 {export})"#
        ))
    };
    let three = r#"(func (export "f") (param i32 i32)
        (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (i32.const 0))
        (i32.store offset=8 (local.get 0) (i32.const 0)))"#;
    let three_error = r#"(func (export "f") (param i32 i32)
        (i32.store (local.get 0) (i32.const 0))
        (i32.store offset=4 (local.get 0) (call $new (i32.const 16) (i32.const 7)))
        (i32.store offset=8 (local.get 0) (i32.const 1)))"#;
    let unit_error = r#"(func (export "f") (param i32) (result i32 i32)
        (call $new (i32.const 16) (i32.const 7)) (i32.const 1))"#;
    let option = r#"(func (export "f") (param i32) (result i32 i32) (i32.const 1) (local.get 0))"#;
    let wide = r#"(func (export "f") (param i32 i32)
        (i64.store (local.get 0) (i64.extend_i32_u (local.get 1)))
        (i64.store offset=8 (local.get 0) (i64.const 0)))"#;
    for (export, fault, words, signature, result) in [
        (three, "bad-result", "iof-signature", "(u32) -> u32", "5"),
        (
            three_error,
            "guest-error",
            "why not",
            "(u32) -> u32",
            "why not",
        ),
        (
            unit_error,
            "guest-error",
            "why not",
            "(u32) -> ()",
            "why not",
        ),
        (option, "bad-result", "iof-signature", "(u32) -> u32?", "5"),
        (wide, "bad-result", "iof-signature", "(u32) -> u64", "5"),
    ] {
        let function = server.upload(module(export)).await;
        let untyped = v1(&server, &function, "f", "5").await;
        assert_eq!(untyped.fault(), fault, "{export}: {}", untyped.text());
        assert!(
            untyped.text().contains(words),
            "{export}: {}",
            untyped.text()
        );
        let path = format!("/v1/functions/{}/call/f", function.id);
        let request = server
            .request("POST", &path)
            .header("iof-signature", signature);
        let stated = request.header("content-type", "text/plain").body("5");
        let stated = server.answer(stated).await;
        assert!(
            stated.text().contains(result),
            "{export}: {}",
            stated.text()
        );
    }
}
