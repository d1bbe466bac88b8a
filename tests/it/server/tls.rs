//! `[tls]`: HTTPS beside HTTP, as every client of 2020 spoke it.

use crate::second_state::modules;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use iof_tests::{
    joey::{Joey, client_config},
    server::Server,
};
use rustls::pki_types::ServerName;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

fn address(server: &Server) -> String {
    let url = server.tls_url.as_deref().unwrap();
    url.strip_prefix("https://").unwrap().to_owned()
}

async fn connect(server: &Server, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let config = client_config(server.ca_pem().unwrap(), protocols);
    let stream = TcpStream::connect(address(server)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.into()).unwrap()
}

fn run(server: &Server, id: u64, body: &str) -> Request<Full<Bytes>> {
    Request::post(format!("https://{}/api/run/{id}/say", address(server)))
        .header("content-type", "text/plain")
        .body(Full::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn http_1_and_2_work_over_tls() {
    let server = Server::builder().tls().start().await;
    let id = server.upload(modules::hello()).await.id;
    let mut tasks = JoinSet::new();

    let stream = connect(&server, &[b"h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tasks.spawn(async move { drop(connection.await) });
    // Many requests at once over one connection.
    let calls: Vec<_> = (0..20)
        .map(|n| sender.send_request(run(&server, id, &n.to_string())))
        .collect();
    for (n, response) in futures::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        let response = response.unwrap();
        assert_eq!(response.version(), hyper::Version::HTTP_2);
        assert_eq!(text(response).await, format!("hello {n}"));
    }

    // A client that accepts both gets HTTP/1.1, in which bare quotation marks of a URL can be corrected.
    for protocols in [
        &[&b"http/1.1"[..]][..],
        &[],
        &[&b"h2"[..], &b"http/1.1"[..]],
    ] {
        let stream = connect(&server, protocols).await;
        assert_ne!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tasks.spawn(async move { drop(connection.await) });
        // Several requests, one after the other, over one connection.
        for n in 0..3 {
            let mut request = run(&server, id, &n.to_string());
            request
                .headers_mut()
                .insert("host", "localhost".parse().unwrap());
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(text(response).await, format!("hello {n}"));
        }
    }
}

#[tokio::test]
async fn plain_http_stays_beside_it() {
    let server = Server::builder().tls().start().await;
    let id = server.upload(modules::hello()).await.id;
    assert_eq!(server.run(id, "say", "plain").await.text(), "hello plain");
    let secure = Joey::https(&server);
    assert_eq!(
        secure.run(id, "say", "text/plain", "sealed").await.text(),
        "hello sealed"
    );
    // Each port speaks its own protocol, and survives the other.
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut output = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut output)).await;
    assert!(end.is_ok(), "the connection is closed");
    assert!(!String::from_utf8_lossy(&output).contains("ok\n"));
    assert_eq!(secure.get("/healthz").await.text(), "ok\n");
}

#[tokio::test]
async fn without_the_table_nothing_listens() {
    let server = Server::start("").await;
    assert_eq!(server.tls_url, None);
    assert!(!server.log().contains("https://"), "{}", server.log());
}

#[tokio::test]
async fn a_large_body_passes_both_ways() {
    let server = Server::builder().tls().start().await;
    let id = server.upload(modules::hello()).await.id;
    let large = vec![0xfe; 6 << 20];
    let joey = Joey::https(&server);
    let call = joey.call("POST", format!("/api/run/{id}/echo/bytes"));
    let answer = call
        .header("Content-Type", "application/octet-stream")
        .body(&large)
        .send()
        .await;
    assert!(answer.body == large, "{} bytes", answer.body.len());
}

/// The start fails with the name of the setting, and never leaves a partial server.
#[tokio::test]
async fn an_unusable_certificate_is_reported_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let one = Server::builder().tls().start().await;
    let home = one.data().parent().unwrap().to_owned();
    let two = Server::builder().tls().start().await;
    let other_key = two.data().parent().unwrap().join("key.pem");
    let (chain, key) = (home.join("chain.pem"), home.join("key.pem"));
    let garbage = folder.path().join("garbage.pem");
    std::fs::write(&garbage, "no certificate").unwrap();
    let nowhere = folder.path().join("nowhere.pem");
    for (chain, key, named) in [
        (&nowhere, &key, "tls.certificate"),
        (&chain, &nowhere, "tls.key"),
        (&garbage, &key, "tls.certificate"),
        (&chain, &garbage, "tls.key"),
        // A key is not a certificate, and the key of another certificate does not match.
        (&key, &key, "tls.certificate"),
        (&chain, &other_key, "tls."),
    ] {
        let config =
            format!("[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {chain:?}\nkey = {key:?}\n");
        let refused = Server::builder().config(config).refused().await;
        assert!(
            refused.status.is_some_and(|status| !status.success()),
            "{refused:?}"
        );
        assert!(
            refused.log.contains(named),
            "{named} is not in {}",
            refused.log
        );
        assert!(!refused.log.contains("panicked"), "{}", refused.log);
        if named != "tls." {
            let file = if named == "tls.key" { key } else { chain };
            let file = file.file_name().unwrap().to_str().unwrap();
            assert!(
                refused.log.contains(file),
                "{file} is not in {}",
                refused.log
            );
        }
    }
    // Half of the table is refused.
    let refused = Server::builder()
        .config("[tls]\nlisten = \"127.0.0.1:0\"\n")
        .refused()
        .await;
    assert!(refused.log.contains("tls.certificate"), "{}", refused.log);
}

/// The same as for HTTP: every client that reaches the server could upload code.
#[tokio::test]
async fn a_public_address_needs_keys_over_tls_too() {
    let one = Server::builder().tls().start().await;
    let home = one.data().parent().unwrap().to_owned();
    let (chain, key) = (home.join("chain.pem"), home.join("key.pem"));
    let config = format!("[tls]\nlisten = \"0.0.0.0:0\"\ncertificate = {chain:?}\nkey = {key:?}\n");
    let refused = Server::builder().config(config).refused().await;
    assert!(refused.log.contains("auth.keys"), "{}", refused.log);
}

/// A handshake counts as part of the head, and shares its time limit.
#[tokio::test]
async fn a_handshake_that_never_ends_is_dropped() {
    let server = Server::builder()
        .config("[server]\nhead_wait = \"500ms\"\n")
        .tls()
        .start()
        .await;
    // No bytes; the start of a record; an incomplete record of a hello.
    for begun in [
        &b""[..],
        b"\x16\x03\x01",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut stream = TcpStream::connect(address(&server)).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let start = Instant::now();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{begun:?} is still open");
        assert!(
            start.elapsed() >= Duration::from_millis(400),
            "{:?}",
            start.elapsed()
        );
    }
    // A missing head after a complete handshake ends in the same way.
    let mut stream = connect(&server, &[]).await;
    stream
        .write_all(b"POST /api/run/1/say HTTP/1.1\r\nX-")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok());
}

#[tokio::test]
async fn handshakes_in_progress_delay_no_other_client() {
    let server = Server::builder().tls().start().await;
    let mut idle = vec![];
    for _ in 0..100 {
        idle.push(TcpStream::connect(address(&server)).await.unwrap());
    }
    let start = Instant::now();
    assert_eq!(Joey::https(&server).get("/healthz").await.text(), "ok\n");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_graceful_stop_finishes_calls_over_tls() {
    let mut server = Server::builder().tls().start().await;
    let id = server.upload(modules::version(7, 800)).await.id;
    let joey = Joey::https(&server);
    let mut calls = JoinSet::new();
    calls.spawn(async move { joey.run(id, "slow", "text/plain", "x").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.stop().await.success(), "{}", server.log());
    assert_eq!(calls.join_next().await.unwrap().unwrap().text(), "000007");
}

/// The certificate is read again at a restart, and the same client trusts it.
#[tokio::test]
async fn a_restart_shows_the_same_certificate() {
    let mut server = Server::builder().tls().start().await;
    let before = server.ca_pem().unwrap().to_owned();
    assert!(server.stop().await.success());
    let server = server.restart().await;
    assert_eq!(server.ca_pem(), Some(&*before));
    assert_eq!(Joey::https(&server).get("/healthz").await.text(), "ok\n");
}
