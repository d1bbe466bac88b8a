//! Pages: the requests that pages of any origin can make to this server through a browser.
//!
//! Every route of both APIs gets the requests of browsers, with and without keys: raw ones here, and those of Chromium
//! in `tests/browser/pages.mjs`.

use super::browser::{browse, calls_from_pages};
use super::hosts::raw;
use crate::second_state::modules;
use iof_tests::{
    call::Answer,
    pages::{Pages, Proxy},
    server::Server,
};
use serde_json::json;

pub(super) const KEY: &str = "a key of the server's";
pub(super) const KEYS: &str = "[auth]\nkeys = [\"a key of the server's\"]\n";
const FOREIGN: &str = "https://pages.example";
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
];
/// Routes of 2020, and paths beside them.
const OF_2020: [&str; 18] = [
    "/",
    "/api",
    "/api/",
    "/api/executables",
    "/api/executables/1",
    "/api/executables/%3Cscript%3E",
    "/api/update_wasm_binary/1",
    "/api/keys/1/usage_key",
    "/api/state/1",
    "/api/state/%3Cscript%3E",
    "/api/callback/1",
    "/api/log/1",
    "/api/ephemeral_storage",
    "/api/ephemeral_storage/key",
    "/api/run/1/echo",
    "/api/multipart/run/1/echo/bytes",
    "/nowhere",
    "/api/%ff",
];

struct Expected {
    keys: bool,
    is_2020: bool,
    runs: bool,
}

/// The properties of every answer, whatever its content.
fn check(case: &str, answer: &Answer, expected: &Expected) {
    let case = format!("{case}: {answer:?} {}", answer.text());
    let all = |name: &str| answer.headers.get_all(name).iter().count();
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{case}");
    assert_eq!(all("content-security-policy"), 1, "{case}");
    let policy = answer.header("content-security-policy");
    if !case.contains("/try") {
        assert_eq!(
            policy, "sandbox; default-src 'none'; frame-ancestors 'none'",
            "{case}"
        );
    }
    assert!(policy.contains("frame-ancestors 'none'"), "{case}");
    let kind = answer.header("content-type");
    if !answer.body.is_empty() {
        let known = [
            "text/html; charset=utf-8",
            "text/plain; charset=utf-8",
            "application/json; charset=utf-8",
            "application/octet-stream",
        ];
        assert!(known.contains(&kind), "{case}");
        if !expected.is_2020 && !case.contains("/try") {
            assert!(!kind.starts_with("text/html"), "{case}");
        }
    }
    assert_eq!(all("iof-call") + all("iof-request"), 1, "{case}");
    let cors = expected.is_2020 && (expected.keys || expected.runs);
    let allowed = if cors { "*" } else { "" };
    assert_eq!(
        answer.header("access-control-allow-origin"),
        allowed,
        "{case}"
    );
    assert_eq!(all("access-control-expose-headers") == 1, cors, "{case}");
    if answer.http == 405 {
        assert!(!answer.header("allow").is_empty(), "{case}");
        assert_eq!(answer.fault(), "method", "{case}");
    }
}

async fn paths_of_v1(server: &Server) -> Vec<String> {
    let document = server.get("/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let mut paths: Vec<_> = paths
        .keys()
        .map(|path| {
            path.replace("{function}", "1")
                .replace("{export}", "echo")
                .replace(['{', '}'], "")
        })
        .collect();
    assert!(paths.len() > 10, "{paths:?}");
    for more in [
        "/v1",
        "/v1/",
        "/v1/functions/",
        "/v1/nowhere",
        "/v1/openapi.json",
        "/v1/functions/1/try",
        "/v1/functions/x/call/%zz",
        "/healthz",
        "/readyz",
        "/healthz/",
        "/readyz/x",
        "/fn/",
        "/fn/1",
        "/fn/1/echo",
        "/fn/1/echo/below",
        "/fn/nobody/echo",
    ] {
        paths.push(more.to_owned());
    }
    paths
}

#[tokio::test]
async fn every_answer_has_the_headers_for_browsers() {
    for keys in [false, true] {
        let server = Server::start(if keys { KEYS } else { "" }).await;
        let upload = server
            .request("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .bearer_auth(KEY)
            .body(modules::hello());
        assert_eq!(server.answer(upload).await.json()["wasm_id"], 1);
        let of_v1 = paths_of_v1(&server).await;
        for method in METHODS {
            for origin in [None, Some(FOREIGN), Some("null")] {
                let paths = OF_2020.iter().map(|path| (true, *path));
                for (is_2020, path) in paths.chain(of_v1.iter().map(|path| (false, path.as_str())))
                {
                    let mut request = server.request(method, path);
                    if let Some(origin) = origin {
                        request = request.header("Origin", origin);
                    }
                    let answer = server.answer(request).await;
                    let case = format!("{method} {path} {origin:?} keys: {keys}");
                    let expected = Expected {
                        keys,
                        is_2020,
                        runs: path.starts_with("/api/run/")
                            || path.starts_with("/api/multipart/run/"),
                    };
                    check(&case, &answer, &expected);
                    let is_v1 = path == "/v1" || path.starts_with("/v1/");
                    if is_v1 && origin.is_some() && !path.contains("%zz") {
                        assert_eq!(
                            (answer.http.as_u16(), answer.fault()),
                            (403, "origin"),
                            "{case}"
                        );
                    }
                    if method == "OPTIONS" && !path.contains("%ff") {
                        assert_eq!(answer.http == 204, is_2020, "{case}");
                    }
                    // A trailing slash counts, except in the API of 2020.
                    if method == "GET"
                        && origin.is_none()
                        && path != "/v1/"
                        && !is_2020
                        && path.ends_with('/')
                    {
                        assert_eq!(
                            (answer.http.as_u16(), answer.fault()),
                            (404, "no-such-route"),
                            "{case}"
                        );
                    }
                }
            }
        }
        // Preflights, of a run and of all other routes.
        for (path, allowed) in [
            ("/api/run/1/echo", true),
            ("/api/state/1", keys),
            ("/api/executables", keys),
        ] {
            let preflight = server
                .request("OPTIONS", path)
                .header("Origin", FOREIGN)
                .header("Access-Control-Request-Method", "PUT")
                .header("Access-Control-Request-Headers", "ssvm_admin_key");
            let answer = server.answer(preflight).await;
            assert_eq!(answer.http, 204);
            for name in [
                "access-control-allow-methods",
                "access-control-allow-headers",
            ] {
                assert_eq!(!answer.header(name).is_empty(), allowed, "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_origin_of_public_url_is_that_of_the_server() {
    let proxy = Proxy::start().await;
    let server = Server::start(format!("public_url = \"{}\"\n", proxy.url())).await;
    proxy.lead_to(&server);
    calls_from_pages(&server, &proxy.url()).await;
    for (origin, status) in [
        (proxy.url(), 200),
        (server.url.clone(), 200),
        (format!("{}1", proxy.url()), 403),
    ] {
        let list = server
            .request("GET", "/v1/functions")
            .header("Origin", origin);
        assert_eq!(server.answer(list).await.http, status);
    }
}

/// The attack of a page that is open in Chromium.
#[tokio::test]
async fn a_page_of_another_origin_can_only_run_functions() {
    for keys in [false, true] {
        let server = Server::start(if keys { KEYS } else { "" }).await;
        let upload = server
            .request("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .bearer_auth(KEY)
            .body(modules::hello());
        let uploaded = server.answer(upload).await.json();
        let script = "<script>document.title='ran';parent.postMessage('ran','*')</script>";
        let state = server
            .request("PUT", "/api/state/1")
            .header(
                "SSVM_Admin_Key",
                uploaded["SSVM_Admin_Key"].as_str().unwrap(),
            )
            .header("Content-Type", "text/plain")
            .body(script);
        assert_eq!(server.answer(state).await.text(), "1");
        let list_after = server
            .request("PUT", "/api/ephemeral_storage/stored")
            .bearer_auth(KEY)
            .json(&json!({ "a": script }));
        assert_eq!(server.answer(list_after).await.fault(), "");
        let folder = tempfile::tempdir().unwrap();
        tokio::fs::write(
            folder.path().join("index.html"),
            "<!doctype html><title>evil</title>",
        )
        .await
        .unwrap();
        let pages = Pages::start(folder.path()).await;
        let arguments = [server.url.clone(), pages.url(), keys.to_string()];
        browse(&server, "pages.mjs", &arguments).await;
        let list = server.request("GET", "/v1/functions").bearer_auth(KEY);
        let list = server.answer(list).await.json();
        assert_eq!(list["functions"].as_array().unwrap().len(), 1, "{list}");
    }
}

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

/// The root belongs to the API of 2020 for its clients; a browser that navigates there gets a page.
#[tokio::test]
async fn the_root_is_a_page_for_browsers_only() {
    let index = r#"[{"application":"wasm_joey"},{"usage_documentation:":"https://github.com/second-state/wasm-joey/blob/master/documentation/usage.md"}]"#;
    for (settings, status, text) in [
        ("", 200, index),
        (KEYS, 200, index),
        ("[second_state]\nenabled = false\n", 404, "no-such-route"),
    ] {
        let server = Server::start(settings).await;
        let ask = |method: &str, accept: &[&str]| {
            let request = server.request(method, "/");
            let all = accept.iter();
            let request = all.fold(request, |request, value| request.header("accept", *value));
            server.answer(request)
        };
        let programs: [&[&str]; 6] = [
            &[],
            &["*/*"],
            &["application/json"],
            &["text/*"],
            &["text/html;q=0, */*"],
            &["image/avif,image/webp,*/*"],
        ];
        for accept in programs {
            let answer = ask("GET", accept).await;
            assert_eq!(answer.http, status, "{accept:?}");
            assert!(answer.text().contains(text), "{}", answer.text());
            assert_eq!(answer.header("vary"), "", "{accept:?}");
        }
        let before = ask("POST", &[BROWSER]).await;
        assert_eq!(before.http, 404, "{}", before.text());
        let fetched = server.request("GET", "/").header("accept", BROWSER);
        let fetched = server
            .answer(fetched.header("sec-fetch-mode", "cors"))
            .await;
        assert_eq!(fetched.http, status, "a script that fetches it");
        for accept in [&[BROWSER][..], &["a/b", "text/html"]] {
            let page = ask("GET", accept).await;
            assert_eq!(page.http, 200);
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(page.header("vary"), "accept");
            assert_eq!(page.header("access-control-allow-origin"), "");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            let policy = page.header("content-security-policy");
            for part in [
                "default-src 'none'",
                "frame-ancestors 'none'",
                "form-action 'none'",
            ] {
                assert!(policy.contains(part), "{policy}");
            }
            assert!(
                !policy.contains("unsafe") && !policy.contains("http"),
                "{policy}"
            );
            // It contains no data beyond its reader's requests.
            assert!(page.text().starts_with("<!doctype html>"));
            let head = ask("HEAD", accept).await;
            assert_eq!((head.http.as_u16(), head.body.len()), (200, 0));
        }
    }
    // Under another name it does not exist.
    let server = Server::start("").await;
    let request =
        format!("GET / HTTP/1.1\nHost: evil.example\nAccept: {BROWSER}\nConnection: close\n\n");
    let (status, answer) = raw(&server, &request).await;
    assert_eq!(status, 421, "{answer}");
}
