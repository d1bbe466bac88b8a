//! Descriptions of functions: each is checked, or its version is refused; none is silently left unchecked.

use super::schemas::{describing, module};
use iof_tests::guests::wat;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

async fn refusal(server: &Server, module: Vec<u8>) -> String {
    let answer = server.try_deploy(module, "").await;
    let text = answer.text();
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (422, "description"),
        "{text}"
    );
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_rule_that_cannot_be_checked_is_refused_by_name() {
    let server = Server::start("").await;
    for (rule, at, why) in [
        (json!({"pattern": "^(?=.*x)"}), "/pattern", "look-ahead"),
        (json!({"pattern": "(a)\\1"}), "/pattern", "backreferences"),
        (json!({"pattern": "a{1000}{1000}"}), "/pattern", "256 KiB"),
        (json!({"$ref": "#/$defs/no"}), "/$ref", "leads nowhere"),
        (
            json!({"$ref": "https://example.com/s.json"}),
            "/$ref",
            "in the schema itself",
        ),
        (
            json!({"multipleOf": 0}),
            "/multipleOf",
            "greater than 0: got 0",
        ),
        (json!({"type": "strnig"}), "/type", "got \"strnig\""),
        (json!({"type": null}), "/type", "got null"),
        (
            json!({"minimum": "1"}),
            "/minimum",
            "must be a number: got \"1\"",
        ),
        (json!({"maxLenght": 3}), "/maxLenght", "not a keyword"),
        (json!({"enum": 1}), "/enum", "a list: got 1"),
        (json!({"items": [true]}), "/items", "must be a schema"),
    ] {
        let schema = json!({"type": "object", "properties": {"x": rule}});
        let message = refusal(&server, module(&schema)).await;
        let place = format!("argument `a` of `f` cannot be checked: `#/properties/x{at}`");
        assert!(
            message.contains(&place) && message.contains(why),
            "{schema}: {message}"
        );
    }
    // References in a circle that never descends into the value.
    for schema in [
        json!({"$ref": "#"}),
        json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
    ] {
        let message = refusal(&server, module(&schema)).await;
        assert!(message.contains("leads back to itself"), "{message}");
    }
    // A recursive tree is not such a circle.
    let tree = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "format": "own", "x-order": 1});
    server.deploy(module(&tree), "").await;
    // The API of 2020 refuses such modules as well.
    let answer = server.try_upload(module(&json!({"multipleOf": 0}))).await;
    assert_eq!(answer.fault(), "description", "{}", answer.text());
    // The next version of a valid function is refused in the same way.
    let function = server.deploy(module(&json!(true)), "").await;
    let bad = module(&json!({"pattern": "("}));
    let answer = server.try_deploy_version(&function, bad, "").await;
    assert_eq!((answer.http.as_u16(), answer.fault()), (422, "description"));
    let shown = server
        .read_as(&function, &format!("/v1/functions/{}", function.id))
        .await;
    assert_eq!(
        (&shown["version"], &shown["warnings"]),
        (&json!(1), &Json::Null)
    );
}

#[tokio::test]
async fn a_description_that_cannot_be_read_is_refused() {
    let server = Server::start("").await;
    let good = |change: &dyn Fn(&mut Json)| {
        let mut body = json!({"iof": 1, "name": "f", "result": {"type": "unit"},
            "params": [{"name": "a", "type": "json"}]});
        change(&mut body);
        body.to_string()
    };
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    let deep = good(&|_| ()).replace("\"iof\"", &format!("\"x\":{deep},\"iof\""));
    for (text, before, why) in [
        ("", "", "ends early"),
        ("{\"iof\":1,}", "", "not JSON"),
        (&deep, "", "127 levels"),
        (
            &good(&|body| body["x"] = "x".repeat(70_000).into()),
            "",
            "longer than 64 KiB",
        ),
        (&good(&|body| body["iof"] = 2.into()), "", "`iof` must be 1"),
        (
            &good(&|body| body["name"] = "g".into()),
            "",
            "`name` must be",
        ),
        (
            &good(&|body| body["params"] = 1.into()),
            "",
            "`params` must be a list",
        ),
        (
            &good(&|body| body["params"][0]["type"] = "object".into()),
            "",
            "got `object`",
        ),
        (
            &good(&|body| body["result"] = Json::Null),
            "",
            "the result has no `type`",
        ),
        (&good(&|body| body["params"] = json!([])), "", "core type"),
        (&good(&|_| ()), "unreachable", "failed"),
        (&good(&|_| ()), "(loop (br 0))", "two seconds"),
    ] {
        let body = refusal(&server, describing(text, before)).await;
        let begins = "The description of `f` cannot be read: ";
        assert!(
            body.starts_with(begins) && body.contains(why),
            "{why}: {body}"
        );
        for word in ["invalid type", "expected", "EOF while", "trailing comma"] {
            assert!(!body.contains(word), "{body}");
        }
    }
    let missing = r#"(module (func (export "__iof_describe_f") (param i32)) (func (export "f")))"#;
    let body = refusal(&server, wat(missing)).await;
    assert!(body.contains("no allocator"), "{body}");
    // A function without a description is called by its core type.
    server
        .deploy(
            wat(r#"(module (func (export "f") (result i32) i32.const 1))"#),
            "",
        )
        .await;
}

/// Replaces the stored module of a version by another one, as if an earlier release had stored it.
fn forge(data: &Path, stored: &[u8], instead: &[u8]) {
    let hex = |digest: &[u8]| {
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (old, new) = (Sha256::digest(stored), Sha256::digest(instead));
    let name = hex(&new);
    let source = data.join("objects/source").join(&name[..2]);
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join(&name), instead).unwrap();
    let database = data.join("iof.db");
    let mut bytes = fs::read(&database).unwrap();
    let mut replace = |from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let places = bytes.windows(from.len()).enumerate();
        let places: Vec<_> = places
            .filter(|(_, part)| *part == from)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    };
    replace(&old, &new);
    replace(b"descriptions_checked", b"descriptions_ch_cked");
    fs::write(&database, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_accepted_by_an_earlier_release_is_called_with_a_warning() {
    let (good, bad) = (
        module(&json!({"minimum": 1})),
        module(&json!({"multipleOf": 0})),
    );
    let mut server = Server::start("").await;
    let function = server.deploy(good.clone(), "").await;
    server.stop().await;
    forge(&server.data(), &good, &bad);
    let server = server.restart().await;
    for _ in 0..2 {
        let path = format!("/v1/functions/{}/call/f", function.id);
        let request = server
            .request("POST", &path)
            .json(&json!({"a": "anything"}));
        assert_eq!(server.answer(request).await.http, 204);
    }
    let log = server.log();
    assert_eq!(log.matches("`#/multipleOf` must be").count(), 1, "{log}");
    let shown = server
        .read_as(&function, &format!("/v1/functions/{}", function.id))
        .await;
    let warning = shown["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("argument `a` of `f` cannot be checked"),
        "{warning}"
    );
    let user = User::new(&server.url);
    let id = function.id.to_string();
    let line = ["show", &id, "--key", &function.admin_key];
    let output = tokio::task::block_in_place(|| user.run(&line, ""));
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains(&format!("warning: {warning}")), "{output}");
}
