//! Pages of other origins: those that a version declares may only call it.

use super::addresses;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
};

const PAGE: &str = "https://app.example.com";
const OTHER: &str = "https://other.example.com";
const CORS: &str = "cors = [\"https://app.example.com\", \"http://localhost:3000\"]\n";

async fn ask(server: &Server, method: &str, path: &str, origin: &str) -> Answer {
    let request = server.request(method, path).header("origin", origin);
    server
        .answer(request.header("content-type", "text/plain").body("x"))
        .await
}

async fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let request = server
        .request("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    server.answer(request).await
}

async fn functions(server: &Server) -> (Uploaded, Uploaded) {
    let open = server.deploy(guest("typed"), CORS).await;
    (open, server.deploy(guest("typed"), "").await)
}

#[tokio::test]
async fn a_declared_page_may_call_and_read_the_answer() {
    let server = Server::start("").await;
    let (open, closed) = functions(&server).await;
    for (path, methods) in addresses(&open, "show")
        .into_iter()
        .zip(["HEAD, GET, POST, PUT, DELETE", "POST"])
    {
        for origin in [PAGE, "http://localhost:3000"] {
            let preflight = preflight(&server, &path, origin).await;
            assert_eq!(preflight.http, 204, "{}", preflight.text());
            for (name, value) in [
                ("access-control-allow-origin", origin),
                ("access-control-allow-methods", methods),
                ("access-control-allow-headers", "authorization,content-type"),
                ("access-control-allow-credentials", ""),
            ] {
                assert_eq!(preflight.header(name), value, "{path}");
            }
            let called = ask(&server, "POST", &path, origin).await;
            assert_eq!(called.http, 200, "{}", called.text());
            assert_eq!(called.header("access-control-allow-origin"), origin);
            assert!(
                called
                    .header("access-control-expose-headers")
                    .contains("iof-call")
            );
            assert_eq!(called.header("vary"), "origin");
        }
        for origin in [
            OTHER,
            "null",
            "",
            "https://app.example.com.evil.test",
            "http://app.example.com",
        ] {
            for answer in [
                ask(&server, "POST", &path, origin).await,
                preflight(&server, &path, origin).await,
            ] {
                assert_eq!(
                    (answer.http.as_u16(), answer.fault()),
                    (403, "origin"),
                    "{origin}"
                );
                assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
            }
        }
    }
    // Pages can read failures, too.
    let failed = ask(&server, "POST", &addresses(&open, "half")[0], PAGE).await;
    assert!(!failed.http.is_success());
    assert_eq!(failed.header("access-control-allow-origin"), PAGE);
    for path in addresses(&closed, "show") {
        let refused = ask(&server, "POST", &path, PAGE).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (403, "origin"),
            "{path}"
        );
    }
    // A missing function answers like one that is closed to pages.
    let refused = ask(&server, "POST", "/fn/nobody/show", PAGE).await;
    assert_eq!((refused.http.as_u16(), refused.fault()), (403, "origin"));
}

#[tokio::test]
async fn a_page_may_only_call() {
    let server = Server::start("").await;
    let (open, _) = functions(&server).await;
    let id = open.id;
    for (method, path) in [
        ("GET", format!("/v1/functions/{id}")),
        ("DELETE", format!("/v1/functions/{id}")),
        ("GET", format!("/v1/functions/{id}/openapi.json")),
        ("GET", format!("/v1/functions/{id}/logs")),
        ("POST", format!("/v1/functions/{id}/versions")),
        ("POST", "/v1/functions".to_owned()),
        ("GET", "/v1/keys".to_owned()),
        ("OPTIONS", format!("/v1/functions/{id}")),
    ] {
        let answer = ask(&server, method, &path, PAGE).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (403, "origin"),
            "{method} {path}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn an_origin_is_declared_in_the_form_of_browsers() {
    let server = Server::start("").await;
    for origin in [
        "*",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://*.example.com",
    ] {
        let answer = server
            .try_deploy(guest("typed"), &format!("cors = [{origin:?}]\n"))
            .await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (422, "declaration"),
            "{origin}"
        );
        assert!(answer.text().contains("cors"), "{}", answer.text());
    }
}

/// Behind a proxy that rewrites `Host`, the origin of `public_url` is the server's own.
#[tokio::test]
async fn the_origin_of_public_url_is_the_servers_own_for_pages() {
    let server = Server::start("public_url = \"https://f.example.com\"\n").await;
    let (_, closed) = functions(&server).await;
    for path in addresses(&closed, "show") {
        let own = ask(&server, "POST", &path, "https://f.example.com").await;
        assert_eq!(own.http, 200, "{}", own.text());
        let foreign = ask(&server, "POST", &path, "https://g.example.com").await;
        assert_eq!((foreign.http.as_u16(), foreign.fault()), (403, "origin"));
    }
    let own = ask(
        &server,
        "GET",
        &format!("/v1/functions/{}/try", closed.id),
        "https://f.example.com",
    )
    .await;
    assert_eq!(own.http, 200);
}
