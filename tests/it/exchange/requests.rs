//! Requests as a function sees them, and its responses as they leave.

use super::{LONG, get, handler, path, row};
use iof_tests::guests::{guest, handler_component};
use iof_tests::server::Server;
use iof_tests::user::User;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// `p2_cli_serve_hello_world`, `p2_api_proxy`.
#[tokio::test]
async fn a_request_is_answered() {
    let (server, function) = handler("").await;
    for below in ["", "/", "/hello"] {
        let answer = get(&server, &function, below).await;
        assert_eq!(
            (answer.http.as_u16(), &*answer.text()),
            (200, "hello"),
            "{below}"
        );
        assert_eq!(answer.header("iof-status"), "200");
        assert!(!answer.header("iof-call").is_empty());
        assert!(answer.header("content-security-policy").contains("sandbox"));
    }
    let answer = get(&server, &function, "/elsewhere/%2F/").await;
    assert_eq!(
        (answer.http.as_u16(), &*answer.text()),
        (404, "nothing at /elsewhere/%2F/")
    );
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let request = server.request(method, &path(&function, "/hello"));
        assert_eq!(server.answer(request).await.text(), "hello", "{method}");
    }
    let head = server.request("HEAD", &path(&function, "/hello"));
    let head = server.answer(head).await;
    assert_eq!((head.http.as_u16(), head.body.len()), (200, 0));
    let last = row(&server, &function, 10).await;
    assert_eq!(last["export"], "http", "{last}");
    assert!(last["fault"].is_null(), "{last}");
}

#[tokio::test]
async fn a_function_sees_what_was_sent_to_it() {
    let (server, function) = handler("").await;
    let request = server
        .request("POST", &path(&function, "/request?a=%20&b"))
        .header("x-own", "1")
        .header("x-forwarded-prefix", "/forged")
        .header("cookie", "a=b")
        .header("iof-anything", "x")
        .header("ssvm-admin-key", "x")
        .header("authorization", "Basic dTpw")
        .header("content-type", "text/plain")
        .body("12345");
    let text = server.answer(request).await.text();
    let authority = server.url.trim_start_matches("http://");
    let prefix = path(&function, "");
    for line in [
        &*format!(
            "Method::Post Some(Scheme::Http) Some(\"{authority}\") Some(\"/request?a=%20&b\")"
        ),
        "x-own: 1",
        &format!("x-forwarded-prefix: {prefix}"),
        "authorization: Basic dTpw",
        "content-length: 5",
        "content-type: text/plain",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} in {text}");
    }
    for hidden in ["forged", "cookie", "iof-", "ssvm-", "host:"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    // The token of a private function, and every key of this server.
    let request = server
        .request("GET", &path(&function, "/request"))
        .bearer_auth(&function.admin_key);
    assert!(
        !server
            .answer(request)
            .await
            .text()
            .contains("authorization")
    );
}

#[tokio::test]
async fn headers_that_reach_beyond_the_answer_stay() {
    let (server, function) = handler("").await;
    let answer = get(&server, &function, "/headers").await;
    assert_eq!(
        answer.text(),
        "true",
        "headers of the connection are refused to the guest"
    );
    assert_eq!(answer.header("x-own"), "1");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("content-type"), "text/plain");
    let mut withheld: Vec<_> = answer.header("iof-withheld").split(',').collect();
    withheld.sort_unstable();
    assert_eq!(
        withheld,
        [
            "content-security-policy",
            "iof-call",
            "server",
            "set-cookie"
        ]
    );
    assert!(answer.header("content-security-policy").contains("sandbox"));
    assert_ne!(answer.header("iof-call"), "forged");
    assert_eq!(get(&server, &function, "/many-headers?64").await.http, 200);
    let answer = get(&server, &function, "/many-headers?65").await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (507, "response-head")
    );
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    let (server, function) = handler("").await;
    for status in [204, 205, 304] {
        let answer = get(&server, &function, &format!("/status?{status}")).await;
        assert_eq!((answer.http.as_u16(), answer.body.len()), (status, 0));
    }
    let answer = get(&server, &function, "/status?418").await;
    assert_eq!((answer.http.as_u16(), &*answer.text()), (418, "text"));
    let answer = get(&server, &function, "/bodiless").await;
    assert_eq!((answer.http.as_u16(), answer.body.len()), (200, 0));
    let answer = get(&server, &function, "/exact").await;
    assert_eq!(
        (answer.header("content-length"), &*answer.text()),
        ("4", "part")
    );
    for status in ["101", "199", "600"] {
        let answer = get(&server, &function, &format!("/status?{status}")).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (502, "response"),
            "{status}"
        );
    }
}

/// Whoever calls a private function has its key; a public one is for everybody, pages of other origins included: CORS is its
/// own affair.
#[tokio::test]
async fn keys_are_asked_for_as_of_every_function() {
    let server = Server::start("[auth]\nkeys = [\"a key of the operator\"]\n").await;
    let component = handler_component(super::HANDLER);
    let answer = server
        .try_deploy_named("site", "a key of the operator", component, "")
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    let answer = server.get("/fn/site/hello").await;
    assert_eq!((answer.http.as_u16(), &*answer.text()), (200, "hello"));
    let foreign = server
        .request("OPTIONS", "/fn/site/hello")
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "PUT");
    assert_eq!(server.answer(foreign).await.text(), "hello");
    // Made private, while another one stays public.
    let other = server
        .try_deploy_named(
            "open",
            "a key of the operator",
            handler_component(super::HANDLER),
            "",
        )
        .await;
    assert_eq!(other.http, 201, "{}", other.text());
    let change = |method: &str, key: &str| {
        let request = server.request(method, "/v1/functions/site/usage-key");
        server.answer(request.bearer_auth(key))
    };
    let refused = change("PUT", "a wrong key").await;
    assert!(refused.http.is_client_error(), "{}", refused.text());
    let made = change("PUT", "a key of the operator").await.json();
    let first = made["usage_key"].as_str().unwrap().to_owned();
    let made = change("PUT", "a key of the operator").await.json();
    let second = made["usage_key"].as_str().unwrap().to_owned();
    let with = |path: &str, key: &str| {
        let request = server.request("GET", path);
        server.answer(request.bearer_auth(key))
    };
    let nothing = server.get("/fn/none/hello").await;
    let refused = server.get("/fn/site/hello").await;
    assert_eq!(
        (refused.http, refused.fault()),
        (nothing.http, nothing.fault())
    );
    for wrong in [&*first, "a wrong key", ""] {
        let refused = with("/fn/site/hello", wrong).await;
        assert_eq!(refused.http, 404, "{wrong}: {}", refused.text());
    }
    assert_eq!(with("/fn/site/hello", &second).await.text(), "hello");
    // The guest does not see it, and it opens nothing else.
    let seen = with("/fn/site/request", &second).await.text();
    assert!(!seen.contains(&second), "{seen}");
    let shown = with("/v1/functions/site", &second).await;
    assert!(shown.http.is_client_error(), "{}", shown.text());
    assert_eq!(server.get("/fn/open/hello").await.text(), "hello");
    // Public again.
    let refused = change("DELETE", &second).await;
    assert!(refused.http.is_client_error(), "{}", refused.text());
    assert_eq!(change("DELETE", "a key of the operator").await.http, 204);
    assert_eq!(server.get("/fn/site/hello").await.text(), "hello");
}

#[tokio::test]
async fn it_has_no_exports_and_others_have_no_site() {
    let (server, function) = handler("").await;
    let call = server.request("POST", &format!("/v1/functions/{}/call/http", function.id));
    let call = server
        .answer(call.body("{}").header("content-type", "application/json"))
        .await;
    assert_eq!(
        (call.http.as_u16(), call.fault()),
        (404, "no-such-export"),
        "{}",
        call.text()
    );
    assert!(call.text().contains("/fn/NAME/"), "{}", call.text());
    let core = server.deploy(guest("typed"), "").await;
    for below in ["", "/"] {
        let answer = get(&server, &core, below).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (404, "no-such-route")
        );
    }
}

#[tokio::test]
async fn a_change_of_protocol_is_refused() {
    let (server, function) = handler("").await;
    let request = server
        .request("GET", &path(&function, "/hello"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let answer = server.answer(request).await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (501, "upgrade"),
        "{}",
        answer.text()
    );
    let request = server
        .request("GET", &path(&function, "/hello"))
        .header("connection", "upgrade, http2-settings")
        .header("upgrade", "h2c");
    assert_eq!(server.answer(request).await.text(), "hello");
}

/// Trailers of HTTP/1.1 are announced, and asked for (RFC 9110, section 6.5.1).
#[tokio::test]
async fn trailers_go_both_ways() {
    let (server, function) = handler("").await;
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\nte: trailers\r\nconnection: close, te\r\n\r\n",
        path(&function, "/trailers")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = String::new();
    timeout(LONG, stream.read_to_string(&mut all))
        .await
        .unwrap()
        .unwrap();
    assert!(
        all.ends_with("4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n"),
        "{all}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ntrailer: x-a\r\nconnection: close\r\n\r\n\
         3\r\nabc\r\n0\r\nx-a: b\r\n\r\n",
        path(&function, "/request-trailers")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = String::new();
    timeout(LONG, stream.read_to_string(&mut all))
        .await
        .unwrap()
        .unwrap();
    assert!(all.contains("3 x-a=b"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_says_where_it_is() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    let file = user.folder().join("site.wasm");
    std::fs::write(file, handler_component(super::HANDLER)).unwrap();
    let said = user.types(&["deploy", "site.wasm", "--name", "site"]).await;
    assert!(said.contains("/fn/site/"), "{said}");
    let shown = user.types(&["show", "site"]).await;
    assert!(shown.contains("it answers HTTP requests"), "{shown}");
    assert!(shown.contains("under its outbound rules"), "{shown}");
    assert_eq!(server.get("/fn/site/").await.text(), "hello");
    let made = tokio::task::block_in_place(|| user.run(&["private", "site"], ""));
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert_eq!(server.get("/fn/site/").await.http, 404);
    let request = server.request("GET", "/fn/site/").bearer_auth(key);
    assert_eq!(server.answer(request).await.text(), "hello");
    let said = user.types(&["public", "site"]).await;
    assert!(said.contains("site is public"), "{said}");
    assert_eq!(server.get("/fn/site/").await.text(), "hello");
}
