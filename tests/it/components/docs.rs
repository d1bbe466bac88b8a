//! Doc comments of components, in the section `package-docs`: they are in the function's document and in `iof show`, and what
//! cannot be read of them harms nothing.

use super::{call, component, export};
use crate::cli::terminal::{ATTACK, assert_harmless};
use iof_tests::{server::Server, user::User};
use serde_json::{Value, json};

/// Functions of a type with a name, and of an interface of the world's own.
fn functions() -> Vec<u8> {
    let types = "(type $p (record (field \"north\" f64) (field \"label\" (option string))))
        (import \"point\" (type $point (eq $p)))
        (type $c (enum \"red\" \"green\"))
        (import \"colour\" (type $colour (eq $c)))\n";
    let points = export(
        "points",
        "(param \"points\" (list $point)) (result (list $point))",
        "echo",
    );
    let favourite = export("favourite", "(result $colour)", "zero");
    let api = "(func $add (param \"a\" s32) (param \"b\" s32) (result s32) (canon lift (core func $i \"add\")))
        (instance $api (export \"add\" (func $add)))
        (export \"sums\" (instance $api))";
    component(&format!("{types}{points}{favourite}{api}"))
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The functions with a section.
fn with(sections: &[&[u8]]) -> Vec<u8> {
    let mut component = functions();
    for data in sections {
        let content = [b"\x0cpackage-docs", *data].concat();
        component.extend([vec![0], leb(content.len()), content].concat());
    }
    component
}

/// A section of the version that wit-parser writes.
fn section(world: &Value) -> Vec<u8> {
    let all = json!({ "worlds": { "root": world } });
    [vec![1], all.to_string().into_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_in_the_document_and_shown() {
    let server = Server::start("").await;
    let docs = section(&json!({
        "types": {
            "point": { "docs": "A place on a map.", "items": { "north": "Degrees." } },
            "colour": { "items": { "red": "As a rose." } },
        },
        "funcs": {
            "points": { "docs": "Mirrors places.\n\nAll of them." },
            "favourite": { "docs": format!("One of two. {ATTACK}") },
        },
        "interfaces": { "sums": { "funcs": { "add": { "docs": "Adds numbers." } } } },
    }));
    let function = server.deploy(with(&[&docs]), "").await;
    let path = format!("/v1/functions/{}", function.id);
    let document = server
        .read_as(&function, &format!("{path}/openapi.json"))
        .await;
    let text = document.to_string();
    for words in ["A place on a map.", "Degrees.", "* `red`: As a rose."] {
        assert!(text.contains(words), "{words}: {document}");
    }
    let operations = document["paths"].as_object().unwrap();
    let of = |name: &str| {
        let mut operations = operations.values();
        operations
            .find_map(|of| of.get("post").filter(|of| of["operationId"] == name))
            .unwrap_or_else(|| panic!("{name}: {document}"))
    };
    assert_eq!(of("points")["summary"], "Mirrors places.", "{document}");
    assert_eq!(of("points")["description"], "All of them.", "{document}");
    assert_eq!(of("sums/add")["summary"], "Adds numbers.", "{document}");
    let shown = server.read_as(&function, &path).await;
    assert!(shown.get("warnings").is_none(), "{shown}");
    let points = json!([[{ "north": 1.5 }]]);
    let answer = call(&server, &function, "points", &points).await;
    assert_eq!(answer.json(), json!([{ "north": 1.5, "label": null }]));
    let user = User::new(&server.url);
    let id = function.id.to_string();
    let shown = user
        .types(&["show", &id, "--key", &function.admin_key])
        .await;
    for words in ["Mirrors places.", "Adds numbers.", "One of two."] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_harmless("iof show", shown.as_bytes());
}

/// They are words for readers: a component whose comments cannot be read is deployed, described by its types, and warned of.
#[tokio::test]
async fn comments_that_cannot_be_read_are_left_out() {
    let server = Server::start("").await;
    let docs = json!({ "funcs": { "points": { "docs": "Mirrors places." } } });
    let good = section(&docs);
    let large = json!({ "funcs": { "points": { "docs": "x".repeat(128 << 10) } } });
    let deep = "[".repeat(100_000);
    let nameless = json!({ "funcs": { "nowhere": { "docs": "x" } } });
    for (sections, words) in [
        (&[&b""[..]][..], "version"),
        (&[&b"\x09{}"[..]], "version"),
        (&[&b"\x01{\"worlds\":"[..]], "left out"),
        (&[&[b"\x01", deep.as_bytes()].concat()[..]], "left out"),
        (&[&[0xff; 64][..]], "version"),
        (&[&section(&nameless)[..]], "nowhere"),
        (&[&section(&large)[..]], "at most 131072"),
        (&[&good[..], &good], "multiple"),
    ] {
        let function = server.deploy(with(sections), "").await;
        let path = format!("/v1/functions/{}", function.id);
        let shown = server.read_as(&function, &path).await;
        let warnings = shown["warnings"].to_string();
        assert!(
            warnings.contains("doc comments") && warnings.contains(words),
            "{words}: {warnings}"
        );
        assert_eq!(
            call(&server, &function, "favourite", &json!([]))
                .await
                .json(),
            "red"
        );
    }
}

/// A comment stands wherever its type is used, and all of them together have a bound.
#[tokio::test]
async fn comments_that_are_repeated_are_bounded() {
    let server = Server::start("").await;
    let types = "(type $p (record (field \"north\" f64)))
        (import \"point\" (type $point (eq $p)))\n";
    let exports: String = (0..200)
        .map(|n| {
            export(
                &format!("f{n}"),
                "(param \"points\" (list $point)) (result (list $point))",
                "echo",
            )
        })
        .collect();
    let docs = json!({ "types": { "point": { "docs": "x".repeat(100_000) } } });
    let data = section(&docs);
    let content = [b"\x0cpackage-docs", &data[..]].concat();
    let mut source = component(&format!("{types}{exports}"));
    source.extend([vec![0], leb(content.len()), content].concat());
    let function = server.deploy(source, "").await;
    let path = format!("/v1/functions/{}/openapi.json", function.id);
    let document = server.read_as(&function, &path).await.to_string();
    let count = document.matches('x').count();
    assert!((100_000..200_000).contains(&count), "{count}");
}
