//! Client certificates: each is sent to its own host, and to no other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Version;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use iof_egress::{ClientCertificate, Config, Egress, Kind, Outbound, Pin, SecretInjections};
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use crate::support::{Authority, Upstream, any_rule, get, outbound, quick, redirect, serve, text};

/// Answers with the number of certificates that the client sent.
async fn asking(tls: ServerConfig) -> Upstream {
    remembering(TlsAcceptor::from(Arc::new(tls)), "keep-alive").await
}

/// The same, with the sessions of `acceptor`.
async fn remembering(acceptor: TlsAcceptor, connection: &'static str) -> Upstream {
    Upstream::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => stream,
                // The client gets the reason if the connection is not closed before it has sent something.
                Err((_, mut stream)) => {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    return;
                }
            };
            let certificates = stream.get_ref().1.peer_certificates();
            let certificates = certificates.map_or(0, <[_]>::len).to_string();
            let answer = move |request: &Parts, _| {
                let mut response = text(200, certificates.clone());
                if request.version == Version::HTTP_11 {
                    let value = HeaderValue::from_static(connection);
                    response.headers_mut().insert(CONNECTION, value);
                }
                response
            };
            serve(stream, Arc::new(answer)).await;
        }
    })
    .await
}

fn certificate(host: &str, files: &(PathBuf, PathBuf)) -> ClientCertificate {
    ClientCertificate {
        host: host.to_owned(),
        port: None,
        certificate: files.0.clone(),
        key: files.1.clone(),
    }
}

async fn egress(
    authority: &Authority,
    certificates: Vec<ClientCertificate>,
    pins: Vec<Pin>,
) -> Egress {
    Egress::new(Config {
        ca_files: vec![authority.file().await],
        client_certificate: certificates,
        pin: pins,
        ..quick()
    })
    .unwrap()
}

async fn certificate_count(egress: &Egress, url: String) -> String {
    let response = get(egress, &any_rule(), &url).await.unwrap();
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// One server requests certificates from every client, so only the name makes the difference, and connections and
/// sessions could be mixed up.
#[tokio::test]
async fn a_certificate_is_sent_only_to_its_host() {
    let authority = Authority::new();
    let files = authority.client("us").await;
    for alpn in [&["h2"][..], &["http/1.1"]] {
        let server = asking(authority.server_asking("*.bank.test", alpn, false)).await;
        let other = asking(authority.server_asking("*.bank.test", alpn, false)).await;
        let names = ["api.bank.test", "other.bank.test"];
        let pins = names.map(|name| server.pin(name)).into_iter();
        let pins = pins.chain([other.pin("api.bank.test")]).collect();
        let mut only = certificate("API.bank.test.", &files);
        only.port = Some(server.port());
        let egress = egress(&authority, vec![only], pins).await;
        for _ in 0..3 {
            for (host, server, expected) in [
                ("api.bank.test", &server, "1"),
                ("other.bank.test", &server, "0"),
                ("api.bank.test", &other, "0"),
            ] {
                let url = format!("https://{host}:{}/", server.port());
                assert_eq!(certificate_count(&egress, url).await, expected, "{host}");
            }
        }
    }
}

/// A session that is resumed for another port would bring the certificate along.
#[tokio::test]
async fn sessions_with_a_certificate_are_not_resumed_elsewhere() {
    let authority = Authority::new();
    let files = authority.client("us").await;
    // One server with one cache of sessions, which closes each connection, behind two ports.
    let tls = authority.server_asking("a.test", &[], false);
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let with = remembering(acceptor.clone(), "close").await;
    let without = remembering(acceptor, "close").await;
    let mut only = certificate("a.test", &files);
    only.port = Some(with.port());
    let pins = vec![with.pin("a.test"), without.pin("a.test")];
    let egress = egress(&authority, vec![only], pins).await;
    for _ in 0..5 {
        for (server, expected) in [(&with, "1"), (&without, "0")] {
            let url = format!("https://a.test:{}/", server.port());
            assert_eq!(certificate_count(&egress, url).await, expected);
        }
    }
    assert_eq!((with.connections(), without.connections()), (5, 5));
}

#[tokio::test]
async fn a_server_that_requires_one_is_reached_only_with_it() {
    let authority = Authority::new();
    let (ours, theirs) = (authority.client("us").await, Authority::new());
    let unknown = theirs.client("us").await;
    let server = asking(authority.server_asking("*.bank.test", &["h2"], true)).await;
    let names = ["a.bank.test", "b.bank.test", "c.bank.test"];
    let pins = names.map(|name| server.pin(name)).to_vec();
    let certificates = vec![
        certificate("a.bank.test", &ours),
        certificate("c.bank.test", &unknown),
    ];
    let egress = egress(&authority, certificates, pins).await;
    let url = |host: &str| format!("https://{host}:{}/", server.port());
    assert_eq!(certificate_count(&egress, url("a.bank.test")).await, "1");
    for (host, expected) in [
        ("b.bank.test", "CertificateRequired"),
        ("c.bank.test", "UnknownCA"),
    ] {
        let error = get(&egress, &any_rule(), &url(host)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Tls, "{error:?}");
        assert!(error.to_string().contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_wildcard_works_as_in_rules_and_the_first_match_is_sent() {
    let authority = Authority::new();
    let files = authority.client("us").await;
    let chain = authority.directory().join("chain.pem");
    let pem = tokio::fs::read_to_string(&files.0).await.unwrap();
    let root = tokio::fs::read_to_string(authority.file().await)
        .await
        .unwrap();
    tokio::fs::write(&chain, pem + &root).await.unwrap();
    let server = asking(authority.server_asking("*.bank.test", &["h2"], false)).await;
    let top = asking(authority.server_asking("bank.test", &["h2"], false)).await;
    let pins = vec![
        server.pin("a.bank.test"),
        server.pin("b.bank.test"),
        top.pin("bank.test"),
    ];
    let two = certificate("b.bank.test", &(chain, files.1.clone()));
    let certificates = vec![two, certificate("*.bank.test", &files)];
    let egress = egress(&authority, certificates, pins).await;
    for (host, port, expected) in [
        ("a.bank.test", server.port(), "1"),
        ("b.bank.test", server.port(), "2"),
        ("bank.test", top.port(), "0"),
    ] {
        let url = format!("https://{host}:{port}/");
        assert_eq!(certificate_count(&egress, url).await, expected, "{host}");
    }
}

#[tokio::test]
async fn wrong_certificates_are_named() {
    let authority = Authority::new();
    let (good, other) = (
        authority.client("good").await,
        authority.client("other").await,
    );
    let missing = authority.directory().join("missing.pem");
    let refused = |list: Vec<ClientCertificate>| {
        let config = Config {
            client_certificate: list,
            ..quick()
        };
        Egress::new(config).err().unwrap().to_string()
    };
    let name = |path: &Path| path.display().to_string();
    for (files, file, expected) in [
        ((&missing, &good.1), &missing, "No such file"),
        ((&good.0, &missing), &missing, "No such file"),
        (
            (&good.1, &good.1),
            &good.1,
            "contains no certificate in PEM form",
        ),
        (
            (&good.0, &good.0),
            &good.0,
            "contains no private key in PEM form",
        ),
        ((&good.0, &other.1), &other.1, "it is not the key of"),
    ] {
        let files = (files.0.clone(), files.1.clone());
        let error = refused(vec![certificate("a.test", &files)]);
        let start = format!("egress.client_certificate: {}: ", name(file));
        assert!(
            error.starts_with(&start) && error.contains(expected),
            "{error}"
        );
    }
    for (host, expected) in [
        ("*", "a certificate cannot be for every host"),
        ("a b", "the host is not valid: got \"a b\""),
        ("a.*.test", "or `*.example.com`"),
        ("", "the host is missing"),
    ] {
        let error = refused(vec![certificate(host, &good)]);
        let start = "egress.client_certificate: ";
        assert!(
            error.starts_with(start) && error.contains(expected),
            "{error}"
        );
    }
    let twice = vec![certificate("a.test", &good), certificate("A.test.", &other)];
    assert!(refused(twice).ends_with("\"A.test.\" is listed twice"));
}

/// A caller without credentials causes no request that carries a certificate, on any hop.
#[tokio::test]
async fn a_certificate_is_withheld_with_other_credentials() {
    let authority = Authority::new();
    let files = authority.client("us").await;
    let bank = asking(authority.server_asking("*.bank.test", &["h2"], false)).await;
    let target = format!("https://api.bank.test:{}/", bank.port());
    let away = Upstream::http(move |request, _| match request.uri.path() {
        "/away" => redirect(302, &target),
        _ => text(200, "there"),
    })
    .await;
    let pins = vec![
        bank.pin("api.bank.test"),
        bank.pin("open.bank.test"),
        away.pin("away.test"),
    ];
    let only = certificate("api.bank.test", &files);
    let egress = egress(&authority, vec![only], pins).await;
    let rules = any_rule();
    let withheld = Outbound {
        secrets: SecretInjections::WITHHELD,
        ..outbound(&rules)
    };
    for (url, denied) in [
        (format!("https://api.bank.test:{}/", bank.port()), true),
        (format!("https://API.bank.test.:{}/", bank.port()), true),
        (format!("http://away.test:{}/away", away.port()), true),
        (format!("https://open.bank.test:{}/", bank.port()), false),
        (format!("http://away.test:{}/", away.port()), false),
    ] {
        let target = iof_egress::parse_outbound_url(&url).unwrap();
        let answer = egress
            .send_to(&withheld, target, http::Request::new(bytes::Bytes::new()))
            .await;
        match answer {
            Ok(response) => {
                assert!(!denied, "{url}");
                assert_ne!(response.body(), "1", "{url}");
            }
            Err(error) => assert!(denied && error.kind() == Kind::Denied, "{url}: {error}"),
        }
    }
    // The function's own code still may.
    assert_eq!(
        certificate_count(&egress, format!("https://api.bank.test:{}/", bank.port())).await,
        "1"
    );
}
