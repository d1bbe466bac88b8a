//! TLS: HTTP/2 and HTTP/1.1, the name in the URL, and the trusted roots.

use bytes::Bytes;
use bytesize::ByteSize;
use futures::future::try_join_all;
use http::{Request, Version};
use iof_egress::{Config, ConfigError, Egress, Kind};

use crate::support::{Authority, Upstream, any_rule, get, quick, send, text};

async fn trusting(authority: &Authority, server: &Upstream) -> Egress {
    let pin = vec![server.pin("api.test"), server.pin("other.test")];
    Egress::new(Config {
        pin,
        ca_files: vec![authority.file().await],
        ..quick()
    })
    .unwrap()
}

fn url(server: &Upstream, host: &str, path: &str) -> String {
    format!("https://{host}:{}{path}", server.port())
}

#[tokio::test]
async fn the_best_common_protocol_is_used() {
    let authority = Authority::new();
    for (offered, spoken) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let tls = authority.server("api.test", offered);
        let server = Upstream::https(tls, |request, body| {
            let length = request
                .headers
                .get("content-length")
                .map_or("none", |v| v.to_str().unwrap());
            let host = request
                .uri
                .host()
                .or(request.headers.get("host").map(|h| h.to_str().unwrap()))
                .unwrap();
            let host = host.split(':').next().unwrap();
            text(
                200,
                format!(
                    "{:?} {host} {length} {}",
                    request.version,
                    String::from_utf8_lossy(&body)
                ),
            )
        })
        .await;
        let egress = trusting(&authority, &server).await;
        let request = Request::post(url(&server, "api.test", "/"))
            .body(Bytes::from_static(b"body"))
            .unwrap();
        let response = send(&egress, &any_rule(), request).await.unwrap();
        assert_eq!(response.version(), spoken);
        assert_eq!(response.body(), &format!("{spoken:?} api.test 4 body"));
        let (rules, url) = (any_rule(), url(&server, "api.test", "/"));
        try_join_all((0..10).map(|_| get(&egress, &rules, &url)))
            .await
            .unwrap();
        if spoken == Version::HTTP_2 {
            assert_eq!(server.connections(), 1, "HTTP/2 shares its connection");
        }
    }
}

#[tokio::test]
async fn the_name_in_the_url_is_verified_though_pinned() {
    let authority = Authority::new();
    let server = Upstream::https(authority.server("api.test", &["h2"]), |_, _| {
        text(200, "ok")
    })
    .await;
    let egress = trusting(&authority, &server).await;
    get(&egress, &any_rule(), &url(&server, "api.test", "/"))
        .await
        .unwrap();
    let error = get(&egress, &any_rule(), &url(&server, "other.test", "/"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "egress-tls");
    assert!(
        error
            .to_string()
            .starts_with("TLS with other.test failed: invalid peer certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn unknown_authorities_and_plain_servers_are_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Upstream::https(theirs.server("api.test", &["h2"]), |_, _| text(200, "ok")).await;
    let error = get(
        &trusting(&ours, &server).await,
        &any_rule(),
        &url(&server, "api.test", "/"),
    )
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "TLS with api.test failed: invalid peer certificate: UnknownIssuer"
    );

    let plain = Upstream::http(|_, _| text(200, "ok")).await;
    let error = get(
        &trusting(&ours, &plain).await,
        &any_rule(),
        &url(&plain, "api.test", "/"),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error:?}");
    let closing = Upstream::raw(|stream| async move { drop(stream) }).await;
    let error = get(
        &trusting(&ours, &closing).await,
        &any_rule(),
        &url(&closing, "api.test", "/"),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error:?}");
}

#[tokio::test]
async fn http2_has_the_same_limits() {
    let authority = Authority::new();
    let server = Upstream::https(authority.server("api.test", &["h2"]), |request, _| {
        let mut response = text(
            200,
            vec![
                0;
                if request.uri.path() == "/body" {
                    2000
                } else {
                    10
                }
            ],
        );
        for i in 0..(if request.uri.path() == "/headers" {
            700
        } else {
            1
        }) {
            let name = http::HeaderName::try_from(format!("x-{i}")).unwrap();
            response
                .headers_mut()
                .insert(name, "y".repeat(120).parse().unwrap());
        }
        response
    })
    .await;
    let config = Config {
        max_response: ByteSize::b(1000),
        ca_files: vec![authority.file().await],
        ..quick()
    };
    let egress = Egress::new(Config {
        pin: vec![server.pin("api.test")],
        ..config
    })
    .unwrap();
    get(&egress, &any_rule(), &url(&server, "api.test", "/"))
        .await
        .unwrap();
    for path in ["/body", "/headers"] {
        let error = get(&egress, &any_rule(), &url(&server, "api.test", path))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::ResponseTooLarge, "{path}: {error:?}");
    }
    get(&egress, &any_rule(), &url(&server, "api.test", "/"))
        .await
        .unwrap();
}

#[tokio::test]
async fn files_with_authorities_are_read_or_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.pem");
    let empty = directory.path().join("empty.pem");
    let broken = directory.path().join("broken.pem");
    tokio::fs::write(&empty, "no certificate").await.unwrap();
    tokio::fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .await
    .unwrap();
    for path in [missing, empty, broken] {
        let error = Egress::new(Config {
            ca_files: vec![path.clone()],
            ..quick()
        })
        .err()
        .unwrap();
        assert!(matches!(error, ConfigError::CaFile { .. }), "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}
