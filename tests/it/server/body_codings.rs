//! Each header about the encoding of a body is respected, or refused by name; a body is never misread.

use crate::second_state::modules;
use crate::server::json_bodies::peak;
use iof_tests::{
    call::{Answer, Uploaded},
    server::Server,
};
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn hello(config: &str) -> (Server, Uploaded) {
    let server = Server::start(config).await;
    let function = server.upload(modules::hello()).await;
    (server, function)
}

async fn send(
    server: &Server,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> Answer {
    let mut request = server.request(method, path).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.answer(request).await
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const TEXT: (&str, &str) = ("Content-Type", "text/plain");
const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Headers, a body, and the result of the original's parsers: the argument that the function gets, or a status.
type Case<'a> = (&'a [(&'a str, &'a str)], Vec<u8>, Result<&'a str, u16>);
/// Method, path, headers, body and status.
type Route<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, Vec<u8>, u16);

#[tokio::test]
async fn a_body_is_read_as_the_original_read_it() {
    let (server, function) = hello("").await;
    let path = format!("/api/run/{}/echo", function.id);
    let gz = ("Content-Encoding", "gzip");
    let of = |charset: &'static str| ("Content-Type", charset);
    let utf16: Vec<u8> = "{\"a\":\"k\u{e4}se\"}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let cases: [Case; 22] = [
        (
            &[JSON],
            b"\xef\xbb\xbf{\"a\":1.0}".to_vec(),
            Ok("{\"a\":1}"),
        ),
        (&[TEXT], b"\xef\xbb\xbfAda".to_vec(), Ok("Ada")),
        (
            &[JSON],
            br#"{"t":"a \ud83d b"}"#.to_vec(),
            Ok(r#"{"t":"a \ud83d b"}"#),
        ),
        (
            &[JSON],
            b"{\"a\":\"\xff\"}".to_vec(),
            Ok("{\"a\":\"\u{fffd}\"}"),
        ),
        (&[JSON, gz], gzip(b"{\"a\":1.0}"), Ok("{\"a\":1}")),
        (
            &[TEXT, ("Content-Encoding", "GZip")],
            gzip(b"Ada"),
            Ok("Ada"),
        ),
        (
            &[TEXT, ("Content-Encoding", "deflate")],
            zlib(b"Ada"),
            Ok("Ada"),
        ),
        (
            &[TEXT, ("Content-Encoding", "identity")],
            b"Ada".to_vec(),
            Ok("Ada"),
        ),
        (&[OCTETS, gz], gzip(b"Ada"), Ok("Ada")),
        (&[FORM, gz], gzip(b"a[b]=1"), Ok("{\"a\":{\"b\":\"1\"}}")),
        (&[TEXT, gz], b"Ada".to_vec(), Err(400)),
        (&[TEXT, gz], gzip(b"Ada")[..20].to_vec(), Err(400)),
        (
            &[TEXT, ("Content-Encoding", "br")],
            b"xxx".to_vec(),
            Err(415),
        ),
        (
            &[TEXT, ("Content-Encoding", "gzip, gzip")],
            gzip(&gzip(b"Ada")),
            Err(415),
        ),
        (
            &[of("text/plain; charset=iso-8859-1")],
            b"k\xe4se".to_vec(),
            Ok("k\u{e4}se"),
        ),
        (
            &[of("text/plain; charset=x-unknown")],
            b"a".to_vec(),
            Err(415),
        ),
        (
            &[of("application/json; charset=utf-16le")],
            utf16,
            Ok("{\"a\":\"k\u{e4}se\"}"),
        ),
        (
            &[of("application/json; charset=latin1")],
            b"{}".to_vec(),
            Err(415),
        ),
        (
            &[FORM],
            b"a[b]=1&a[c]=2&d[]=x&d[]=y".to_vec(),
            Ok(r#"{"a":{"b":"1","c":"2"},"d":["x","y"]}"#),
        ),
        (
            &[FORM],
            b"text=100%&x=%ff".to_vec(),
            Ok(r#"{"text":"100%","x":"%ff"}"#),
        ),
        (
            &[of("application/x-www-form-urlencoded; charset=latin1")],
            b"a=%e4".to_vec(),
            Err(415),
        ),
        (
            &[TEXT, ("Content-Range", "bytes 0-1/9")],
            b"ab".to_vec(),
            Err(400),
        ),
    ];
    for (headers, body, expected) in cases {
        let answer = send(&server, ("POST", &path), headers, body).await;
        match expected {
            Ok(text) => assert_eq!(
                (answer.text().as_str(), answer.status()),
                (text, 200),
                "{headers:?}"
            ),
            Err(status) => assert_eq!(
                (answer.http.as_u16(), answer.status()),
                (status, status),
                "{headers:?}"
            ),
        }
    }
}

/// The same for every route that takes a body.
#[tokio::test]
async fn no_route_takes_a_coding_for_a_body() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("secrets.key");
    std::fs::write(&keys, "00".repeat(31) + "01").unwrap();
    let (server, function) = hello(&format!("[secrets]\nkey_file = {keys:?}\n")).await;
    let id = function.id;
    let admin = ("SSVM_Admin_Key", &*function.admin_key);
    let bearer = format!("Bearer {}", function.admin_key);
    let bearer = ("Authorization", &*bearer);
    let wasm = ("Content-Type", "application/wasm");
    let module = modules::hello();
    let part = "--b\r\nContent-Disposition: form-data; name=\"x_1\"\r\n\r\nAda\r\n--b--\r\n";
    let form = ("Content-Type", "multipart/form-data; boundary=b");
    let routes: Vec<Route> = vec![
        (
            "POST",
            "/api/executables".into(),
            vec![OCTETS],
            module.clone(),
            200,
        ),
        (
            "PUT",
            format!("/api/update_wasm_binary/{id}"),
            vec![OCTETS, admin],
            module.clone(),
            200,
        ),
        (
            "PUT",
            format!("/api/state/{id}"),
            vec![TEXT, admin],
            b"state".to_vec(),
            200,
        ),
        (
            "PUT",
            format!("/api/callback/{id}"),
            vec![JSON, admin],
            b"{}".to_vec(),
            200,
        ),
        (
            "POST",
            "/api/ephemeral_storage".into(),
            vec![JSON],
            b"{\"a\":1}".to_vec(),
            200,
        ),
        (
            "POST",
            format!("/api/run/{id}/echo"),
            vec![TEXT],
            b"Ada".to_vec(),
            200,
        ),
        (
            "POST",
            format!("/api/multipart/run/{id}/echo"),
            vec![form],
            part.into(),
            200,
        ),
        (
            "POST",
            "/v1/functions".into(),
            vec![wasm],
            module.clone(),
            201,
        ),
        (
            "POST",
            format!("/v1/functions/{id}/versions"),
            vec![wasm, bearer],
            module,
            201,
        ),
        (
            "PUT",
            format!("/v1/functions/{id}/active"),
            vec![JSON, bearer],
            b"{\"version\":1}".to_vec(),
            200,
        ),
        (
            "PUT",
            format!("/v1/functions/{id}/secrets/TOKEN"),
            vec![TEXT, bearer],
            b"value".to_vec(),
            204,
        ),
        (
            "POST",
            format!("/v1/functions/{id}/call/echo"),
            vec![TEXT],
            b"Ada".to_vec(),
            200,
        ),
    ];
    for (method, path, headers, body, status) in &routes {
        let send = async |more: (&str, &str), body: Vec<u8>| {
            let headers = [&headers[..], &[more]].concat();
            send(&server, (method, path), &headers, body).await
        };
        let decoded = send(("Content-Encoding", "gzip"), gzip(body)).await;
        assert_eq!(decoded.http.as_u16(), *status, "{path}: {}", decoded.text());
        for (header, value, status, fault) in [
            ("Content-Encoding", "br", 415, "content-encoding"),
            ("Content-Encoding", "gzip", 400, "content-encoding"),
            ("Content-Range", "bytes 0-2/9", 400, "content-range"),
        ] {
            let answer = send((header, value), body.clone()).await;
            let truth = (answer.http.as_u16(), answer.fault());
            assert_eq!(truth, (status, fault), "{path}: {}", answer.text());
        }
    }
    let state = server.get(&format!("/api/state/{id}")).await;
    assert_eq!(state.text(), "state");
    // Our own API accepts only UTF-8.
    let charset = [("Content-Type", "text/plain; charset=utf-16"), bearer];
    for (method, path) in [
        ("POST", format!("/v1/functions/{id}/call/echo")),
        ("PUT", format!("/v1/functions/{id}/secrets/TOKEN")),
    ] {
        let answer = send(&server, (method, &path), &charset, "Ada").await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (415, "charset"),
            "{path}"
        );
    }
    let latin1 = [("Content-Type", "text/plain; charset=latin1"), admin];
    let path = format!("/api/state/{id}");
    assert_eq!(
        send(&server, ("PUT", &path), &latin1, &b"k\xe4se"[..])
            .await
            .status(),
        200
    );
    assert_eq!(server.get(&path).await.text(), "k\u{e4}se");
}

#[tokio::test]
async fn a_decompression_bomb_is_limited() {
    let (server, function) = hello("[server]\nrequest_body = \"1MiB\"\n").await;
    let bomb = gzip(&vec![b'x'; 100 << 20]);
    assert!(bomb.len() < 200 << 10);
    let before = peak(&server);
    for path in [
        format!("/api/run/{}/echo", function.id),
        format!("/v1/functions/{}/call/echo", function.id),
    ] {
        let headers = [TEXT, ("Content-Encoding", "gzip")];
        let answer = send(&server, ("POST", &path), &headers, bomb.clone()).await;
        let truth = (answer.http.as_u16(), answer.fault());
        assert_eq!(truth, (413, "request-body"), "{}", answer.text());
    }
    let took = peak(&server) - before;
    assert!(took < 48 << 20, "{} MiB", took >> 20);
    // The decoded bytes count toward the memory of bodies.
    let (server, function) = hello("[server]\nbody_memory = \"1MiB\"\n").await;
    let path = format!("/api/run/{}/echo", function.id);
    let headers = [TEXT, ("Content-Encoding", "gzip")];
    let answer = send(&server, ("POST", &path), &headers, bomb).await;
    assert_eq!(
        (answer.status(), answer.fault()),
        (503, "body-memory"),
        "{}",
        answer.text()
    );
}

/// Such requests do not come from client libraries.
#[tokio::test]
async fn a_transfer_coding_is_chunked_or_refused() {
    let (server, function) = hello("").await;
    let address = server.url.trim_start_matches("http://");
    for (coding, status) in [
        ("chunked", "200"),
        ("Chunked", "200"),
        ("gzip, chunked", "501"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /api/run/{}/echo HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\n\
             Transfer-Encoding: {coding}\r\nConnection: close\r\n\r\n3\r\nAda\r\n0\r\n\r\n",
            function.id
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{coding}: {answer}");
    }
}
