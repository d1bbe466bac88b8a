//! The ABI of the successor: a module of the crate `wasmedge-bindgen` with every type, and hostile modules by hand.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};

#[tokio::test]
async fn a_module_of_the_successor_works_unchanged() {
    let server = Server::start("").await;
    let id = server.upload(guest("wasmedge-bindgen")).await.id;
    for (export, body, result) in [
        ("say", "wörld", "hello wörld"),
        // A text is one argument; an array is all arguments.
        ("say", "22", "hello 22"),
        ("say", "[\"22\"]", "hello 22"),
        ("zero", "", "nothing needed"),
        ("silent", "", ""),
        ("join", "[\"ab\", \"cd\"]", "abcd"),
        (
            "mixed",
            "[\"a\", 7, [98, 99], -5, 2.5, true, 8364]",
            "a|7|[98, 99]|-5|2.5|true|€",
        ),
        (
            "widths",
            "[255, -128, 65535, -32768, 4294967295, -2147483648, 9007199254740991, -9007199254740991]",
            "255 -128 65535 -32768 4294967295 -2147483648 9007199254740991 -9007199254740991",
        ),
        (
            "several",
            "aé",
            "[\"aé\",3,[97,195,169],[-1,9223372036854775807],0.5]",
        ),
        ("fails", "ok", "fine"),
        ("fails_twice", "ok", "[-7,\"fine\"]"),
        ("negate", "[true]", "false"),
        ("same_char", "[8364]", "€"),
        ("same_u8", "[255]", "255"),
        ("same_i8", "[-128]", "-128"),
        ("same_u16", "[65535]", "65535"),
        ("same_i16", "[-32768]", "-32768"),
        ("same_u32", "[4294967295]", "4294967295"),
        ("same_i32", "[-2147483648]", "-2147483648"),
        ("same_i64", "[-9007199254740991]", "-9007199254740991"),
        ("same_f64", "[-0.1]", "-0.1"),
        // An export with another core type is called by that type.
        ("add", "[1, -3]", "-2"),
    ] {
        let answer = server.run(id, export, body).await;
        assert_eq!(answer.fault(), "", "{export}({body}): {answer:?}");
        assert_eq!(answer.text(), result, "{export}({body})");
    }
    let bytes = server.run_bytes(id, "same_u8s", vec![1, 0, 255]).await;
    assert_eq!(bytes.body, [1, 0, 255], "{bytes:?}");
    for (export, message) in [("fails", "no milk"), ("fails_twice", "no milk")] {
        let failed = server.run(id, export, message).await;
        assert_eq!(
            (failed.fault(), failed.status()),
            ("guest-error", 502),
            "{failed:?}"
        );
        assert!(failed.header("iof-message").contains(message), "{failed:?}");
    }
    let miscounted = server.run(id, "join", "one").await;
    assert_eq!(miscounted.fault(), "guest-error", "{miscounted:?}");
    assert!(
        miscounted.header("iof-message").contains("expect 2, got 1"),
        "{miscounted:?}"
    );
    assert_eq!(server.run(id, "panics", "boom").await.fault(), "trap");
    for hidden in ["allocate", "deallocate"] {
        let answer = server.run(id, hidden, "[8]").await;
        assert_eq!(answer.fault(), "no-such-export", "{answer:?}");
    }
    for unclear in ["[null]", "[{\"a\": 1}]", "[[1, 256]]"] {
        let answer = server.run(id, "say", unclear).await;
        assert_eq!(
            (answer.fault(), answer.status()),
            ("arguments", 400),
            "{unclear}"
        );
        assert!(
            answer.header("iof-message").contains("iof-signature"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn stated_types_reach_the_successor_exactly() {
    let server = Server::start("").await;
    let id = server.upload(guest("wasmedge-bindgen")).await.id;
    for (export, signature, body, result) in [
        (
            "same_u64",
            "(u64) -> u64",
            "18446744073709551615",
            "18446744073709551615",
        ),
        (
            "same_i64",
            "(i64) -> i64",
            "-9223372036854775808",
            "-9223372036854775808",
        ),
        ("same_u8", "(u8) -> u8", "255", "255"),
        ("same_f32", "(f32) -> f32", "1.5", "1.5"),
        ("same_f64", "(f64) -> f64", "25.0", "25"),
        ("negate", "(bool) -> bool", "false", "true"),
        // An array is the argument, or the list that contains it.
        ("same_i8s", "([i8]) -> [i8]", "[-1,2]", "[-1,2]"),
        ("same_u16s", "([u16]) -> [u16]", "[[1,65535]]", "[1,65535]"),
        ("same_i16s", "([i16]) -> [i16]", "[]", "[]"),
        (
            "same_u32s",
            "([u32]) -> [u32]",
            "[4294967295]",
            "[4294967295]",
        ),
        ("same_i32s", "([i32]) -> [i32]", "[-1,0,1]", "[-1,0,1]"),
        (
            "same_u64s",
            "([u64]) -> [u64]",
            "[18446744073709551615]",
            "[18446744073709551615]",
        ),
        (
            "same_i64s",
            "([i64]) -> [i64]",
            "[-9223372036854775808]",
            "[-9223372036854775808]",
        ),
        ("say", "(string) -> string", "[1]", "hello [1]"),
        ("join", "(string, string) -> string", "one", "one"),
        (
            "arrays",
            "([i8], [u16], [i16], [u32], [i32], [u64], [i64]) -> string",
            "[[-1],[2],[-3],[4],[-5],[6],[-7,-8]]",
            "[-1][2][-3][4][-5][6][-7, -8]",
        ),
        (
            "widths",
            "(u8, i8, u16, i16, u32, i32, u64, i64) -> string",
            "[1,-1,1,-1,1,-1,18446744073709551615,-9223372036854775808]",
            "1 -1 1 -1 1 -1 18446744073709551615 -9223372036854775808",
        ),
    ] {
        let answer = server.run_as(id, export, signature, body).await;
        assert_eq!(
            answer.fault(),
            "",
            "{export} as {signature} of {body}: {answer:?}"
        );
        assert_eq!(answer.text(), result, "{export} as {signature} of {body}");
    }
    for (signature, body, fault, words) in [
        ("(u8) -> u8", "256", "arguments", "0 to 255"),
        ("(u8, u8) -> u8", "[1]", "arguments", "got one argument"),
        ("(word) -> u8", "1", "signature", "`word`"),
    ] {
        let answer = server.run_as(id, "same_u8", signature, body).await;
        assert_eq!(
            (answer.fault(), answer.status()),
            (fault, 400),
            "{answer:?}"
        );
        assert!(answer.header("iof-message").contains(words), "{answer:?}");
    }
}

#[tokio::test]
async fn results_of_such_a_module_are_limited() {
    let server = Server::start("[limits]\noutput = \"1KiB\"").await;
    let id = server.upload(guest("wasmedge-bindgen")).await.id;
    let whole = server.run(id, "bytes", "[1024]").await;
    assert_eq!(whole.body.len(), 1024, "{whole:?}");
    let answer = server.run(id, "bytes", "[1025]").await;
    assert_eq!(answer.fault(), "output", "{answer:?}");
}

#[tokio::test]
async fn every_result_word_of_such_a_module_is_checked() {
    let server = Server::start("").await;
    // The answer is at 16, its table at 32.
    let module =
        |allocate: &str, answer: &str, flag: u8, pointer: u32, length: u32, entry: [u32; 3]| {
            let bytes = |words: &[u32]| -> String {
                let bytes = words.iter().flat_map(|word| word.to_le_bytes());
                bytes.map(|byte| format!("\\{byte:02x}")).collect()
            };
            let (head, entry) = (bytes(&[pointer, length]), bytes(&entry));
            wat(&format!(
                r#"(module (memory (export "memory") 1)
                 (data (i32.const 16) "\{flag:02x}{head}") (data (i32.const 32) "{entry}")
                 (func (export "allocate") (param i32) (result i32) (i32.const {allocate}))
                 (func (export "deallocate") (param i32 i32))
                 (func (export "f") (param i32 i32) (result i32) (i32.const {answer})))"#
            ))
        };
    let text = [44, 31, 2];
    for (module, fault) in [
        (module("64", "16", 0, 32, 1, text), ""),
        (module("64", "16", 0, 32, 0, text), ""),
        (module("64", "16", 9, 32, 2, text), "guest-error"),
        (module("-1", "16", 0, 32, 1, text), "bad-pointer"),
        (module("65535", "16", 0, 32, 1, text), "bad-pointer"),
        (module("64", "-1", 0, 32, 1, text), "bad-pointer"),
        (module("64", "65530", 0, 32, 1, text), "bad-pointer"),
        (module("64", "16", 0, u32::MAX, 1, text), "bad-pointer"),
        (module("64", "16", 0, 32, u32::MAX, text), "bad-pointer"),
        (module("64", "16", 1, 32, u32::MAX, text), "guest-error"),
        (module("64", "16", 1, 65535, 2, text), "bad-pointer"),
        (
            module("64", "16", 0, 32, 1, [u32::MAX, 31, 1]),
            "bad-pointer",
        ),
        (
            module("64", "16", 0, 32, 1, [0, 26, u32::MAX]),
            "bad-pointer",
        ),
        (module("64", "16", 0, 32, 1, [0, 29, 4]), "bad-result"),
        (module("64", "16", 0, 32, 1, [0, 6, 3]), "bad-result"),
        (module("64", "16", 0, 32, 1, [0, 28, 9]), "bad-result"),
    ] {
        let id = server.upload(module).await.id;
        let answer = server.run(id, "f", "hello").await;
        // The text of an error is truncated.
        assert_eq!(answer.fault(), fault, "{answer:?}");
    }
}

/// The names of its allocator do not by themselves make a module one of the successor.
#[tokio::test]
async fn other_modules_keep_their_abi() {
    let server = Server::start("").await;
    let id = server
        .upload(wat(
            r#"(module (memory (export "memory") 1)
                 (func (export "__wbindgen_malloc") (param i32) (result i32) (i32.const 1024))
                 (func (export "allocate") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
                 (func (export "deallocate") (param i32 i32))
                 (func (export "length") (param i32 i32) (result i32) (local.get 1)))"#,
        ))
        .await
        .id;
    assert_eq!(server.run(id, "length", "four").await.text(), "4");
    assert_eq!(server.run(id, "allocate", "7").await.text(), "8");
}
