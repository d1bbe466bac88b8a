//! Compressed responses, for a function that asks for them.

use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytesize::ByteSize;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::{Method, Request, Response};
use http_body_util::Full;
use iof_egress::{Config, Egress, Error, Kind, Outbound};

use crate::limits::pinned;
use crate::records::EntryList;
use crate::secrets::{header, one};
use crate::support::{Upstream, any_rule, outbound, quick};

const TEXT: &[u8] = b"hello, hello, hello brotli";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn cut(body: Vec<u8>) -> Vec<u8> {
    body[..body.len() - 3].to_vec()
}

/// [`TEXT`] in the format of Brotli.
fn brotli() -> Vec<u8> {
    STANDARD
        .decode("iwyAaGVsbG8sIGhlbGxvLCBoZWxsbyBicm90bGkD")
        .unwrap()
}

/// 64 MiB of zeros.
fn brotli_zeros() -> Vec<u8> {
    let text = "y///PwAkAOKxQHLv//j//weABEAcFoDu/R////8AkACIwwLQvf/j//8fABIAcVgAuvd//P//A0ACIA4LQPf+\
                j///fwBIAMRhAeje//H//w8ACYA4LADd+z/+//8BIAEQhwWge/83";
    STANDARD.decode(text).unwrap()
}

/// 64 MiB of zeros in the variant with windows of a gigabyte, which is not a coding of HTTP.
fn brotli_large_window() -> Vec<u8> {
    let text = "ER7///8BkACIxwIh9/6f////AEgAxGEBoHv/z///fwAkAOKwANC9/+f//z8AEgBxWADo3v8P";
    STANDARD.decode(text).unwrap()
}

/// A server that answers every request with `body`, and names `codings`.
async fn encoded(codings: &'static str, body: impl Into<Bytes>) -> Upstream {
    answering(200, codings, body).await
}

async fn answering(status: u16, codings: &'static str, body: impl Into<Bytes>) -> Upstream {
    let body = body.into();
    Upstream::http(move |request, _| {
        let accepted = request.headers.get("accept-encoding");
        let mut response = Response::builder()
            .status(status)
            .header("content-encoding", codings)
            .header("digest", "of the body")
            .header("etag", "\"x\"");
        if let Some(accepted) = accepted {
            response = response.header("x-accepted", accepted);
        }
        response.body(Full::new(body.clone())).unwrap()
    })
    .await
}

async fn send(
    server: &Upstream,
    egress: &Egress,
    decode: bool,
    header: Option<(&str, &str)>,
) -> Result<Response<Bytes>, Error> {
    let rules = any_rule();
    let context = Outbound {
        decode,
        ..outbound(&rules)
    };
    let mut request = Request::get(server.url("a.test", "/"));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let request = request.body(Bytes::new()).unwrap();
    egress.send(&context, request).await
}

async fn get(server: &Upstream) -> Result<Response<Bytes>, Error> {
    send(server, &pinned(server, quick()), true, None).await
}

#[tokio::test]
async fn each_coding_is_decoded() {
    for (codings, body) in [
        ("gzip", gzip(TEXT)),
        ("x-gzip", gzip(TEXT)),
        ("GZip", [gzip(&TEXT[..9]), gzip(&TEXT[9..])].concat()),
        ("deflate", zlib(TEXT)),
        ("deflate", deflate(TEXT)),
        ("br", brotli()),
        ("identity, gzip,", gzip(TEXT)),
    ] {
        let (server, length) = (encoded(codings, body.clone()).await, body.len() as u64);
        let (egress, kept) = EntryList::client(Config {
            pin: vec![server.pin("a.test")],
            ..quick()
        });
        let response = send(&server, &egress, true, None).await.unwrap();
        assert_eq!(response.body(), TEXT, "{codings}");
        let headers = response.headers();
        assert_eq!(headers["x-accepted"], "gzip, deflate, br");
        assert_eq!(headers["content-length"], TEXT.len().to_string());
        assert_eq!(headers["etag"], "\"x\"");
        for header in ["content-encoding", "digest"] {
            assert!(!headers.contains_key(header), "{header}");
        }
        assert_eq!(kept.take()[0].bytes_in, length, "as it came");
    }
}

#[tokio::test]
async fn nothing_is_compressed_or_decoded_without_a_request() {
    let server = encoded("gzip", gzip(TEXT)).await;
    let egress = pinned(&server, quick());
    let response = send(&server, &egress, false, None).await.unwrap();
    assert_eq!(response.body(), &gzip(TEXT));
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["digest"], "of the body");
    assert!(!response.headers().contains_key("x-accepted"));
}

#[tokio::test]
async fn a_header_of_the_function_itself_stays() {
    let server = encoded("gzip", gzip(TEXT)).await;
    let egress = pinned(&server, quick());
    let own = Some(("accept-encoding", "gzip;q=0.1"));
    let response = send(&server, &egress, true, own).await.unwrap();
    assert_eq!(response.headers()["x-accepted"], "gzip;q=0.1");
    assert_eq!(response.body(), TEXT);
    // A range is requested without a coding.
    let range = Some(("range", "bytes=0-9"));
    let response = send(&server, &egress, true, range).await.unwrap();
    assert!(!response.headers().contains_key("x-accepted"));
}

#[tokio::test]
async fn partial_bodies_and_unknown_codings_are_passed_on() {
    let body = gzip(TEXT);
    for (status, codings, body) in [
        (200, "zstd", &body[..]),
        (200, "gzip, zstd", &body),
        (200, "zstd, zstd, gzip", &body),
        (206, "gzip", &body[..12]),
        (200, "gzip", &[]),
        (200, "identity", &body),
    ] {
        let server = answering(status, codings, body.to_vec()).await;
        let response = get(&server).await.unwrap();
        assert_eq!(response.body(), body, "{codings}");
        assert_eq!(response.headers()["content-encoding"], codings);
    }
    let server = encoded("gzip", gzip(TEXT)).await;
    let egress = pinned(&server, quick());
    let rules = any_rule();
    let context = Outbound {
        decode: true,
        ..outbound(&rules)
    };
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::HEAD;
    *request.uri_mut() = server.url("a.test", "/").parse().unwrap();
    let response = egress.send(&context, request).await.unwrap();
    let length = gzip(TEXT).len().to_string();
    assert_eq!(response.headers()["content-length"], length);
    assert_eq!(response.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn broken_bodies_are_errors() {
    let mut wrong_sum = gzip(TEXT);
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let mut wrong_zlib = zlib(TEXT);
    *wrong_zlib.last_mut().unwrap() ^= 1;
    for (codings, body) in [
        ("gzip", b"plain text".to_vec()),
        ("gzip", cut(gzip(TEXT))),
        ("gzip", gzip(TEXT)[..15].to_vec()),
        ("gzip", [gzip(TEXT), b"more".to_vec()].concat()),
        ("gzip", wrong_sum),
        ("deflate", b"plain text".to_vec()),
        ("deflate", b"x".to_vec()),
        ("deflate", cut(zlib(TEXT))),
        ("deflate", cut(deflate(TEXT))),
        ("deflate", wrong_zlib),
        ("br", b"plain text".to_vec()),
        ("br", cut(brotli())),
        ("br", brotli_large_window()),
        ("gzip", gzip(b"").repeat(1025)),
    ] {
        let server = encoded(codings, body).await;
        let error = get(&server).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{codings}: {error:?}");
        let message = format!("a.test:{} is not in the encoding", server.port());
        assert!(error.to_string().contains(&message), "{error}");
    }
}

#[tokio::test]
async fn several_codings_are_refused() {
    for (codings, count) in [
        ("gzip, gzip", 2),
        ("br,gzip", 2),
        ("gzip, deflate, gzip", 3),
    ] {
        let server = encoded(codings, gzip(&gzip(TEXT))).await;
        let error = get(&server).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
        let expected = format!("is encoded {count} times over");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

/// A gigabyte of zeros in a megabyte, and its relatives.
#[tokio::test]
async fn bombs_stop_at_the_limit() {
    let zeros = gzip(&vec![0; 1 << 20]).repeat(1024);
    assert!(zeros.len() < 1 << 21);
    for (codings, body) in [
        ("gzip", zeros),
        ("deflate", zlib(&vec![0; 64 << 20])),
        ("br", brotli_zeros()),
        // An error after the limit is not reached.
        (
            "gzip",
            [gzip(&vec![0; 17 << 20]), b"broken".to_vec()].concat(),
        ),
        ("deflate", cut(zlib(&vec![0; 64 << 20]))),
        ("br", cut(brotli_zeros())),
    ] {
        let server = encoded(codings, body).await;
        let started = Instant::now();
        let error = get(&server).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(10), "{codings}");
        assert_eq!(error.kind(), Kind::ResponseTooLarge, "{codings}: {error:?}");
        let limit = "has more than 16777216 bytes when decoded (limit max_response)";
        assert!(error.to_string().contains(limit), "{error}");
    }
}

#[tokio::test]
async fn the_limit_is_exact() {
    for (codings, body) in [("gzip", gzip(&[0; 1000])), ("deflate", zlib(&[0; 1000]))] {
        let server = encoded(codings, body).await;
        for (max, fits) in [(1000, true), (999, false)] {
            let config = Config {
                max_response: ByteSize::b(max),
                ..quick()
            };
            let egress = pinned(&server, config);
            let response = send(&server, &egress, true, None).await;
            assert_eq!(response.is_ok(), fits, "{max}: {response:?}");
        }
    }
}

/// A compressed body cannot be searched, so a request with a secret never requests one.
#[tokio::test]
async fn a_request_with_a_secret_always_requests_plain_text() {
    let secrets = one("* http://a.test:*", header("x-key"), "{TOKEN}");
    let rules = any_rule();
    let context = Outbound {
        decode: true,
        secrets: &secrets,
        ..outbound(&rules)
    };
    for (codings, body, fails) in [("gzip", gzip(TEXT), true), ("identity", TEXT.into(), false)] {
        let server = encoded(codings, body).await;
        let egress = pinned(&server, quick());
        let request = Request::get(server.url("a.test", "/")).body(Bytes::new());
        let response = egress.send(&context, request.unwrap()).await;
        match fails {
            true => assert_eq!(response.unwrap_err().kind(), Kind::Encoded),
            false => assert_eq!(response.unwrap().headers()["x-accepted"], "identity"),
        }
    }
}
