//! The description of a large module is generated while it is sent.

use crate::second_state::modules;
use crate::server::json_bodies::peak;
use iof_tests::server::Server;
use std::time::Duration;

/// A module with a section of this many bytes.
fn padded(size: usize) -> Vec<u8> {
    let mut module = modules::hello();
    let mut section = b"\x03pad".to_vec();
    section.extend((0..size).map(|at| (at * 7 + at / 251) as u8));
    module.push(0);
    let mut length = section.len();
    while length >= 0x80 {
        module.push(length as u8 | 0x80);
        length >>= 7;
    }
    module.push(length as u8);
    module.extend(section);
    module
}

/// The form in which the original stored a module.
fn told(module: &[u8]) -> String {
    let decimal: Vec<_> = module.iter().map(u8::to_string).collect();
    let codes: Vec<_> = decimal
        .join(",")
        .bytes()
        .map(|code| code.to_string())
        .collect();
    format!(r#"{{"type":"Buffer","data":[{}]}}"#, codes.join(","))
}

#[tokio::test]
async fn a_large_module_is_described_in_little_memory() {
    let server = Server::start("").await;
    let module = padded(1 << 20);
    let id = server.upload(module.clone()).await.id;
    let path = format!("/api/executables/{id}");
    let buffer = told(&module);
    let before = peak(&server);
    let whole = server.get(&path).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    assert_eq!(whole.header("content-type"), "text/html; charset=utf-8");
    let text = whole.text();
    let start = text.find(r#","wasm_as_buffer":{"#).unwrap();
    assert!(text[start..].starts_with(&format!(r#","wasm_as_buffer":{buffer},"wasm_state":"#)));
    let other = text.replace(&buffer, "null");
    let names: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&other).unwrap();
    let names: Vec<_> = names.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "wasm_id",
            "wasm_sha256",
            "wasm_description",
            "wasm_as_buffer",
            "wasm_state",
            "wasm_callback_object"
        ]
    );
    for (filter, expected) in [
        (
            r#"["wasm_as_buffer"]"#,
            format!(r#"{{"wasm_as_buffer":{buffer}}}"#),
        ),
        (
            r#"["wasm_as_buffer","wasm_id","wasm_as_buffer"]"#,
            format!(r#"{{"wasm_as_buffer":{buffer},"wasm_id":{id}}}"#),
        ),
        (
            r#"["wasm_id","wasm_as_buffer"]"#,
            format!(r#"{{"wasm_id":{id},"wasm_as_buffer":{buffer}}}"#),
        ),
    ] {
        let answer = server.get(&format!("{path}?filterBy={filter}")).await;
        assert!(
            answer.text() == expected,
            "{filter}: {:?}",
            answer.text().get(..200)
        );
    }
    let took = peak(&server).saturating_sub(before);
    assert!(took < 24 << 20, "{} MiB", took >> 20);
}

/// Clients that go away or read nothing hold only their own share of memory.
#[tokio::test]
async fn clients_that_do_not_read_hold_only_the_module() {
    let server = Server::start("[server]\nbody_memory = \"8MiB\"\n").await;
    let id = server.upload(padded(3 << 20)).await.id;
    let path = format!("/api/executables/{id}");
    let get = || server.request("GET", &path).send();
    let (first, second) = (get().await.unwrap(), get().await.unwrap());
    assert_eq!(
        (first.status(), second.status()),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    let third = server.get(&path).await;
    assert_eq!(
        (third.http.as_u16(), third.fault()),
        (503, "body-memory"),
        "{:?}",
        third.headers
    );
    drop((first, second));
    for _ in 0..50 {
        let again = get().await.unwrap();
        if again.status() == 200 {
            assert!(again.bytes().await.unwrap().len() > 30 << 20);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("their memory did not come back\n{}", server.log());
}
