//! Masking: a response never contains a secret that its request carried.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response};
use http_body_util::Full;
use iof_egress::{Config, Egress, Kind, SecretInjections, SecretLocation};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::log::Lines;
use crate::secrets::{CREDENTIAL, TOKEN, TOKEN_ENCODED, header, one, send};
use crate::support::{Authority, Upstream, quick, redirect, text};

async fn trusting(authority: &Authority, server: &Upstream) -> Egress {
    Egress::new(Config {
        pin: vec![server.pin("api.test")],
        ca_files: vec![authority.file().await],
        ..quick()
    })
    .unwrap()
}

fn bearer() -> SecretInjections {
    one(
        "* https://api.test:*/v3",
        header("authorization"),
        "Bearer {T}",
    )
}

fn basic() -> SecretInjections {
    let place = SecretLocation::Basic { user: "me".into() };
    one("* https://api.test:*/v3", place, "{T}")
}

fn url(server: &Upstream, path: &str) -> String {
    format!("https://api.test:{}{path}", server.port())
}

/// Writes `pieces` with a pause between them, over TLS.
async fn in_pieces(authority: &Authority, pieces: Vec<Vec<u8>>, alpn: &[&str]) -> Upstream {
    let acceptor = TlsAcceptor::from(Arc::new(authority.server("api.test", alpn)));
    Upstream::raw(move |stream| {
        let (acceptor, pieces) = (acceptor.clone(), pieces.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            for piece in pieces {
                let _ = stream.write_all(&piece).await;
                let _ = stream.flush().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // A connection that is closed with unread bytes loses the last bytes that were written.
            let rest = stream.read(&mut request);
            let _ = tokio::time::timeout(Duration::from_millis(200), rest).await;
        }
    })
    .await
}

#[tokio::test]
async fn an_echo_is_masked_in_the_body_and_in_headers() {
    let authority = Authority::new();
    for alpn in [&["h2"][..], &[]] {
        let server = Upstream::https(authority.server("api.test", alpn), |request, _| {
            let echo = request.headers["x-say"].to_str().unwrap();
            let echo = match request.headers.get("authorization") {
                Some(credential) if echo == "credential" => credential.to_str().unwrap(),
                _ => echo,
            };
            let mut response = text(200, format!("<{echo}>"));
            let headers = response.headers_mut();
            headers.insert("x-echo", echo.parse().unwrap());
            headers.insert("x-other", "stays".parse().unwrap());
            headers.insert("digest", "of the body".parse().unwrap());
            response
        })
        .await;
        let egress = trusting(&authority, &server).await;
        let json = serde_json::to_string(TOKEN).unwrap().replace('/', "\\/");
        let base64 = STANDARD.encode(TOKEN);
        for (secrets, echo, expected) in [
            (bearer(), TOKEN, "***"),
            (bearer(), "credential", "Bearer ***"),
            (bearer(), TOKEN_ENCODED, "***"),
            (bearer(), &json, "\"***\""),
            (bearer(), &base64, "***"),
            (basic(), TOKEN, "***"),
            (basic(), "credential", "Basic ***"),
            (basic(), CREDENTIAL, "***"),
            (basic(), &base64, "***"),
            (basic(), "me", "me"),
            (bearer(), "s3cret", "s3cret"),
        ] {
            let request = Request::get(url(&server, "/v3")).header("x-say", echo);
            let response = send(&egress, &secrets, request).await.unwrap();
            let body = format!("<{expected}>");
            assert_eq!(response.body(), &body, "{echo}");
            let headers = response.headers();
            assert_eq!(headers["x-echo"], expected, "{echo}");
            assert_eq!(headers["x-other"], "stays");
            assert_eq!(headers["content-length"], body.len().to_string());
            let changed = expected.contains('*');
            assert_eq!(headers.contains_key("digest"), !changed, "{echo}");

            // The control: a response to a request without a secret is unchanged.
            let request = Request::get(url(&server, "/v2")).header("x-say", echo);
            let response = send(&egress, &secrets, request).await.unwrap();
            assert_eq!(response.body(), &format!("<{echo}>"));
            assert_eq!(response.headers()["x-echo"], echo);
        }
    }
}

#[tokio::test]
async fn an_echo_in_two_chunks_is_one() {
    let authority = Authority::new();
    for at in 1..TOKEN.len() {
        let (left, right) = TOKEN.split_at(at);
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len()).into_bytes();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let pieces = vec![
            [head, chunk(&format!("before {left}"))].concat(),
            chunk(&format!("{right} after")),
            b"0\r\n\r\n".to_vec(),
        ];
        let server = in_pieces(&authority, pieces, &[]).await;
        let egress = trusting(&authority, &server).await;
        let request = Request::get(url(&server, "/v3"));
        let response = send(&egress, &bearer(), request).await.unwrap();
        assert_eq!(response.body(), "before *** after", "{at}");
    }
}

/// A body larger than one search, with the token at its start, at its end and in between.
#[tokio::test]
async fn a_large_body_is_searched_to_its_end() {
    let authority = Authority::new();
    let filler = "x".repeat(300_000);
    let body = format!("{TOKEN}{filler}{TOKEN}{filler}{TOKEN}");
    let server = Upstream::https(authority.server("api.test", &["h2"]), move |_, _| {
        text(200, body.clone())
    })
    .await;
    let egress = trusting(&authority, &server).await;
    let request = Request::get(url(&server, "/v3"));
    let response = send(&egress, &bearer(), request).await.unwrap();
    assert_eq!(response.body(), &format!("***{filler}***{filler}***"));
    assert_eq!(response.headers()["content-length"], "600009");
}

#[tokio::test]
async fn a_response_that_cannot_be_searched_is_refused() {
    let authority = Authority::new();
    let server = Upstream::https(authority.server("api.test", &["h2"]), |request, _| {
        let mut response = match request.uri.path() {
            "/v3/empty" => Response::new(Full::default()),
            _ if request.method == Method::HEAD => Response::new(Full::default()),
            _ => text(200, "\x1f\u{8b}"),
        };
        for coding in request.headers.get_all("x-coding") {
            response
                .headers_mut()
                .append("content-encoding", coding.clone());
        }
        response
    })
    .await;
    let egress = trusting(&authority, &server).await;
    let ask = |method: Method, path: &str, codings: &[&'static str]| {
        let mut request = Request::builder().method(method).uri(url(&server, path));
        for coding in codings {
            request = request.header("x-coding", *coding);
        }
        request
    };
    for codings in [
        &["gzip"][..],
        &["br"],
        &["identity, gzip"],
        &["identity", "x"],
    ] {
        let request = ask(Method::GET, "/v3", codings);
        let error = send(&egress, &bearer(), request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Encoded, "{codings:?}");
        assert_eq!(error.code(), "egress-encoded");
        // Without a body, or without a secret, there is nothing to search.
        for (method, path) in [
            (Method::HEAD, "/v3"),
            (Method::GET, "/v3/empty"),
            (Method::GET, "/v2"),
        ] {
            let request = ask(method, path, codings);
            send(&egress, &bearer(), request).await.unwrap();
        }
    }
    for codings in [&[][..], &["identity"], &["Identity,"], &[""]] {
        let request = ask(Method::GET, "/v3", codings);
        send(&egress, &bearer(), request).await.unwrap();
    }

    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let server = in_pieces(&authority, vec![head.to_vec()], &[]).await;
    let egress = trusting(&authority, &server).await;
    let request = Request::get(url(&server, "/v3"));
    let error = send(&egress, &bearer(), request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Encoded);
}

fn log(filter: &str) -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(lines.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    (lines, guard)
}

fn quiet(text: &str) {
    for hidden in ["s3cret", "S3CRET", "czNjcmV0", CREDENTIAL, TOKEN_ENCODED] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

/// All logs on the way of a request, down to the libraries' traces, contain no secret.
#[tokio::test]
async fn no_log_and_no_error_contains_a_secret() {
    let (lines, _guard) = log("trace");
    let authority = Authority::new();
    let query = one(
        "* https://api.test:*/v3",
        SecretLocation::Query("key".into()),
        "{T}",
    );
    let server = Upstream::https(
        authority.server("api.test", &["h2"]),
        |request, _| match request.uri.path() {
            "/v3/name" => redirect(302, &format!("https://x.test:{TOKEN}/")),
            "/v3/denied" => redirect(302, &format!("ftp://{TOKEN}/")),
            "/v3/loop" => redirect(302, "/v3/loop"),
            _ => text(500, format!("{:?}", request.headers)),
        },
    )
    .await;
    let egress = trusting(&authority, &server).await;
    for secrets in [&bearer(), &basic(), &query] {
        for path in ["name", "denied", "loop", "ok"] {
            let request = Request::get(url(&server, &format!("/v3/{path}")));
            match send(&egress, secrets, request).await {
                Ok(response) => quiet(&format!("{response:?}")),
                Err(error) => quiet(&format!("{error} {error:?} {:?}", error.detail())),
            }
        }
    }
    let events = lines.take();
    assert!(
        events.iter().any(|e| e["fields"]["secrets"] == "T"),
        "{events:?}"
    );
    quiet(&format!("{events:?}"));
}

/// The last message of a server that aborts, as far as this crate repeats it, is masked. (The libraries log what they
/// receive at level `debug`.)
#[tokio::test]
async fn no_error_repeats_a_secret_in_the_last_message_of_a_server() {
    let (lines, _guard) = log("info");
    let authority = Authority::new();
    // An HTTP/2 connection that ends with a text (RFC 9113 section 6.8), which is the operator's detail.
    let words = format!("bad request: {TOKEN} {CREDENTIAL}");
    let length = 8 + words.len() as u8;
    let settings = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    let goaway = [
        &[0, 0, length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
        words.as_bytes(),
    ];
    let pieces = vec![settings, goaway.concat()];
    let server = in_pieces(&authority, pieces, &["h2"]).await;
    let egress = trusting(&authority, &server).await;
    let request = Request::get(url(&server, "/v3"));
    let error = send(&egress, &basic(), request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(
        error.detail().unwrap().contains("bad request: ***"),
        "{error:?}"
    );
    quiet(&format!("{error} {error:?}"));
    quiet(&format!("{:?}", lines.take()));

    // A response that is aborted, and one that is not HTTP.
    for piece in [
        format!("HTTP/1.1 200 {TOKEN}\r\ncontent-length: 99\r\n\r\n{TOKEN}"),
        format!("{TOKEN}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{TOKEN}\r\n\r\n"),
    ] {
        let server = in_pieces(&authority, vec![piece.into_bytes()], &[]).await;
        let egress = trusting(&authority, &server).await;
        let request = Request::get(url(&server, "/v3")).header("x-close", "1");
        let error = send(&egress, &bearer(), request).await.unwrap_err();
        quiet(&format!("{error} {error:?}"));
        quiet(&format!("{:?}", lines.take()));
    }
}

/// One part of a response, in one of its spellings.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        Just(TOKEN.to_owned()),
        Just(TOKEN_ENCODED.to_owned()),
        Just(TOKEN_ENCODED.replace('%', "%25")),
        Just(TOKEN.to_uppercase()),
        Just(TOKEN.bytes().map(|b| format!("%{b:02x}")).collect()),
        Just(
            TOKEN
                .chars()
                .map(|c| format!("\\u{:04X}", c as u32))
                .collect()
        ),
        Just(TOKEN.replace('/', "\\/")),
        Just(STANDARD.encode(TOKEN)),
        Just(CREDENTIAL.to_owned()),
        Just(STANDARD.encode(format!("x{TOKEN}y"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever the status, the headers and the body of the response are.
    #[test]
    fn no_response_contains_the_value(
        responses in proptest::collection::vec(
            (
                200..600u16,
                proptest::collection::vec(part(), 0..6),
                proptest::collection::vec(part(), 0..6),
            ),
            1..8,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let authority = Authority::new();
            let next = Arc::new(Mutex::new((200, String::new(), Vec::<String>::new())));
            let answer = next.clone();
            let tls = authority.server("api.test", &["h2"]);
            let server = Upstream::https(tls, move |_, _| {
                let (status, body, headers) = answer.lock().unwrap().clone();
                let mut response = text(status, body);
                for value in &headers {
                    response.headers_mut().append("x-echo", value.parse().unwrap());
                }
                response
            })
            .await;
            let egress = trusting(&authority, &server).await;
            for (status, body, headers) in responses {
                let body = body.concat();
                *next.lock().unwrap() = (status, body.clone(), headers);
                let request = Request::get(url(&server, "/v3"));
                let response = send(&egress, &basic(), request).await.unwrap();
                let length = response.headers().get("content-length");
                if let Some(length) = length {
                    prop_assert_eq!(length, &response.body().len().to_string());
                }
                let part = response.headers().values().map(|v| v.as_bytes().to_vec());
                for part in part.chain([response.body().to_vec()]) {
                    let part = String::from_utf8(part).unwrap();
                    let undone = part.replace("\\/", "/");
                    let decoded = percent_encoding::percent_decode_str(&part).decode_utf8_lossy();
                    let twice = percent_encoding::percent_decode_str(&decoded).decode_utf8_lossy();
                    for text in [&*part, &*undone, &*decoded, &*twice] {
                        let text = text.to_ascii_lowercase();
                        for hidden in [TOKEN, CREDENTIAL, "czNjcmV0L3QwaytuPTk"] {
                            let hidden = hidden.to_ascii_lowercase();
                            prop_assert!(
                                !text.contains(&hidden),
                                "{hidden} in {text}, of {body}"
                            );
                        }
                    }
                }
            }
            Ok(())
        });
        outcome?;
    }
}
