//! `server.domain`: functions with hosts of their own, at which nothing else of the server is reached.

use super::hosts::raw;
use super::pages::KEYS;
use iof_tests::guests::{guest, handler_component};
use iof_tests::server::Server;

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\nHost: {host}\nConnection: close\n\n")
}

/// A server with a domain, and a site on it.
async fn site(config: &str) -> Server {
    let config = format!("[server]\ndomain = \"fn.example.com\"\n{config}");
    let server = Server::start(config).await;
    let answer = server
        .try_deploy_named(
            "site",
            super::pages::KEY,
            handler_component("http-handler"),
            "",
        )
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    server
}

#[tokio::test]
async fn a_function_has_the_whole_of_its_host() {
    for config in ["", KEYS] {
        let server = site(config).await;
        for host in [
            "site.fn.example.com",
            "Site.Fn.Example.COM.:8080",
            "site.fn.example.com:443",
        ] {
            let (status, answer) = raw(&server, &get("/hello", host)).await;
            assert_eq!(status, 200, "{host}: {answer}");
            assert!(answer.contains("\r\nhello"), "{host}: {answer}");
        }
        // Paths that are surfaces of the server elsewhere.
        for path in [
            "/v1/functions",
            "/v1/functions/site",
            "/healthz",
            "/readyz",
            "/fn/site/hello",
            "/api/executables",
            "/console",
        ] {
            let (status, answer) = raw(&server, &get(path, "site.fn.example.com")).await;
            assert_eq!(status, 404, "{path}: {answer}");
            assert!(
                answer.contains(&format!("nothing at {path}")),
                "{path}: {answer}"
            );
        }
        let head = "GET /request?a=b HTTP/1.1\nHost: site.fn.example.com\nx-forwarded-prefix: /forged\n\
                    Connection: close\n\n";
        let (_, answer) = raw(&server, head).await;
        assert!(
            answer.contains("Some(\"site.fn.example.com\") Some(\"/request?a=b\")"),
            "{answer}"
        );
        assert!(!answer.contains("x-forwarded-prefix"), "{answer}");
        // A page of the root is the function's, too.
        let page = "GET / HTTP/1.1\nHost: site.fn.example.com\nAccept: text/html\nSec-Fetch-Mode: navigate\n\
                    Connection: close\n\n";
        let (status, answer) = raw(&server, page).await;
        assert!(status == 200 && answer.contains("\r\nhello"), "{answer}");
        assert!(
            answer.contains("content-security-policy: sandbox"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn other_functions_are_called_by_their_exports() {
    let server = site("").await;
    let answer = server
        .try_deploy_named("echo", super::pages::KEY, guest("hello"), "")
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    let body = "\"you\"";
    let head = format!(
        "POST /say HTTP/1.1\nHost: echo.fn.example.com\nContent-Type: application/json\nContent-Length: {}\n\
         Connection: close\n\n{body}",
        body.len()
    );
    let (status, answer) = raw(&server, &head).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("hello"), "{answer}");
    let (status, answer) = raw(&server, &get("/", "echo.fn.example.com")).await;
    assert_eq!(status, 404, "{answer}");
}

/// The API is where it was, and a host below the domain is never it.
#[tokio::test]
async fn the_rest_of_the_server_is_as_without_it() {
    let server = site("").await;
    for (host, path, expected) in [
        ("localhost", "/v1/functions", 200),
        ("localhost", "/fn/site/hello", 200),
        ("none.fn.example.com", "/", 404),
        ("none.fn.example.com", "/v1/functions", 404),
        ("a.site.fn.example.com", "/hello", 404),
        ("v1.fn.example.com", "/functions", 404),
        // Not below it.
        ("fn.example.com", "/hello", 421),
        (".fn.example.com", "/hello", 421),
        ("sitefn.example.com", "/hello", 421),
        ("site.example.com", "/hello", 421),
        ("site.fn.example.com.evil.example", "/hello", 421),
    ] {
        let (status, answer) = raw(&server, &get(path, host)).await;
        assert_eq!(status, expected, "{host} {path}: {answer}");
    }
    let without = Server::start("").await;
    let (status, answer) = raw(&without, &get("/hello", "site.fn.example.com")).await;
    assert_eq!(status, 421, "{answer}");
    // A page of a function is foreign to the API.
    let head = "GET /v1/functions HTTP/1.1\nHost: localhost\nOrigin: http://site.fn.example.com\nConnection: close\n\n";
    let (status, answer) = raw(&server, head).await;
    assert_eq!(status, 403, "{answer}");
}

#[tokio::test]
async fn a_domain_is_checked_at_the_start() {
    for (config, words) in [
        (
            "[server]\ndomain = \"https://fn.example.com\"\n",
            "without scheme",
        ),
        ("[server]\ndomain = \"*.example.com\"\n", "without scheme"),
        (
            "[server]\ndomain = \"fn.example.com:8080\"\n",
            "without scheme",
        ),
        ("[server]\ndomain = \"127.0.0.1\"\n", "is not a domain"),
        ("[server]\ndomain = \".\"\n", "is not a domain"),
        (
            "public_url = \"https://api.example.com\"\n[server]\ndomain = \"example.com\"\n",
            "the host of public_url",
        ),
    ] {
        let said = Server::builder().config(config).refused().await.log;
        assert!(
            said.contains("server.domain") && said.contains(words),
            "{config}: {said}"
        );
    }
}
