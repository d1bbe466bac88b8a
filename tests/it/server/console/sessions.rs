//! Signing in and out.

use super::{Browser, KEY, KEYS, client, make_key, try_sign_in};
use iof_tests::guests::wat;
use iof_tests::joey::Joey;
use iof_tests::server::Server;
use serde_json::json;
use std::time::{Duration, Instant};

fn module() -> Vec<u8> {
    wat("(module (func (export \"f\")))")
}

#[tokio::test]
async fn a_key_opens_a_session_and_stays_at_the_server() {
    let server = Server::builder().config(KEYS).tls().start().await;
    for wrong in ["", "nobody's"] {
        let answer = try_sign_in(&server, wrong, "").await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (401, "key"),
            "{wrong}"
        );
        assert!(answer.headers.get("set-cookie").is_none());
    }
    let blanks = try_sign_in(&server, &format!(" {KEY} "), "").await;
    assert_eq!(blanks.http, 303, "blanks around a key are not part of it");
    let answer = try_sign_in(&server, KEY, "&next=%2Fconsole%2Fserver").await;
    assert_eq!(answer.header("location"), "/console/server");
    let set = answer.header("set-cookie").to_owned();
    assert!(set.starts_with("iof-console="), "{set}");
    assert!(
        set.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    assert!(!set.contains(KEY));
    let elsewhere = try_sign_in(&server, KEY, "&next=%2F%2Fevil.test").await;
    assert_eq!(elsewhere.header("location"), "/console");

    // Without a session, a page leads to the sign-in and back; a script is refused.
    let page = server
        .answer(client().get(format!("{}/console/server?x=1", server.url)))
        .await;
    assert_eq!(page.http, 303);
    assert_eq!(
        page.header("location"),
        "/console/sign-in?next=%2Fconsole%2Fserver%3Fx%3D1"
    );
    let script = client()
        .get(format!("{}/console", server.url))
        .header("sec-fetch-mode", "cors");
    let script = server.answer(script).await;
    assert_eq!(
        (script.http.as_u16(), script.fault()),
        (401, "console-session")
    );

    let browser = Browser::sign_in(&server, KEY).await;
    for path in [
        "/console",
        "/console/functions",
        "/console/keys",
        "/console/audit",
        "/console/server",
        "/console/server/settings",
        "/console/outbound",
        "/console/functions/new",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.http, 200, "{path}: {}", page.text());
        assert!(
            !page.text().contains(KEY) && page.text().contains("operator"),
            "{path}"
        );
        assert_eq!(page.header("cache-control"), "no-store");
        let policy = page.header("content-security-policy").to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'nonce-"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && policy.contains("require-trusted-types-for 'script'"),
            "{policy}"
        );
        // The number is used once.
        assert_ne!(
            browser.get(path).await.header("content-security-policy"),
            policy
        );
    }
    // The cookie by itself opens nothing of the API.
    let bare = server.answer(browser.request("GET", "/v1/functions")).await;
    assert_eq!((bare.http.as_u16(), bare.fault()), (401, "key"));

    // Over TLS, the cookie is for this host and for TLS only.
    let joey = Joey::https(&server);
    let form = joey
        .call("POST", "/console/sign-in")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("key=a+key+of+the+server%27s");
    let answer = form.send().await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-iof-console="), "{set}");
    assert!(
        set.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
        "{set}"
    );
}

#[tokio::test]
async fn only_pages_of_the_session_change_something() {
    let server = Server::start(KEYS).await;
    let browser = Browser::sign_in(&server, KEY).await;
    let wish = json!({ "label": "l", "scopes": ["read"] });
    let made = browser.api("POST", "/v1/keys", Some(wish.clone())).await;
    assert_eq!(made.http, 201, "{}", made.text());
    let other = Browser::sign_in(&server, KEY).await;
    let refused = [
        ("no token", vec![], 401, "key"),
        (
            "a wrong token",
            vec![("iof-console", "x")],
            401,
            "console-session",
        ),
        (
            "no token in it",
            vec![("iof-console", "")],
            401,
            "console-session",
        ),
        (
            "the token of another session",
            vec![("iof-console", &*other.token)],
            401,
            "console-session",
        ),
        (
            "a page of another origin",
            vec![
                ("iof-console", &*browser.token),
                ("origin", "https://evil.test"),
            ],
            403,
            "origin",
        ),
        (
            "a page of another site",
            vec![
                ("iof-console", &*browser.token),
                ("sec-fetch-site", "cross-site"),
            ],
            401,
            "console-session",
        ),
        (
            "a page of a neighbour",
            vec![
                ("iof-console", &*browser.token),
                ("sec-fetch-site", "same-site"),
            ],
            401,
            "console-session",
        ),
    ];
    for (what, headers, status, fault) in refused {
        let mut request = browser.request("POST", "/v1/keys").json(&wish);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = server.answer(request).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{what}"
        );
    }
    // Nor does one sign in, or out, for somebody else.
    let forms = [
        ("/console/sign-in", "key=x".to_owned()),
        ("/console/sign-out", format!("csrf={}", browser.token)),
    ];
    for (path, body) in forms {
        for (name, value) in [
            ("origin", "https://evil.test"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let request = browser
                .request("POST", path)
                .header("content-type", "application/x-www-form-urlencoded")
                .header(name, value)
                .body(body.clone());
            let answer = server.answer(request).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (403, "origin"),
                "{path} {value}"
            );
        }
    }
    let request = browser.request("POST", "/console/sign-out");
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body("csrf=x");
    assert_eq!(server.answer(request).await.fault(), "console-session");
    assert_eq!(browser.get("/console").await.http, 200, "still signed in");
    let keys = browser.get("/console/keys").await.text();
    assert_eq!(
        keys.matches("/v1/keys/").count(),
        1,
        "one key was made: {keys}"
    );
}

#[tokio::test]
async fn a_session_ends_with_its_key_and_with_a_sign_out_everywhere() {
    let server = Server::start(format!("{KEYS}[console]\nstep = \"200ms\"\n")).await;
    let (number, key) = make_key(&server, &["read"], None).await;
    let ended = Browser::sign_in(&server, &key).await;
    let stream = ended
        .request("GET", "/console/events")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    let operator = Browser::sign_in(&server, KEY).await;
    let path = format!("/v1/keys/{number}");
    assert_eq!(operator.api("DELETE", &path, None).await.http, 204);
    let began = Instant::now();
    let events = tokio::time::timeout(Duration::from_secs(10), stream.bytes()).await;
    events.expect("the stream ends with its key").unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    let page = ended.get("/console").await;
    assert_eq!(
        (page.http.as_u16(), page.header("location")),
        (303, "/console/sign-in?next=%2Fconsole")
    );
    assert_eq!(
        ended.api("GET", "/v1/functions", None).await.fault(),
        "console-session"
    );

    // Two browsers of one key: a sign-out in one ends both, and no other.
    let (_, key) = make_key(&server, &["read"], None).await;
    let [first, second] = [
        Browser::sign_in(&server, &key).await,
        Browser::sign_in(&server, &key).await,
    ];
    let stream = second
        .request("GET", "/console/events")
        .send()
        .await
        .unwrap();
    let out = first
        .request("POST", "/console/sign-out")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={}", first.token));
    let out = server.answer(out).await;
    assert_eq!(
        (out.http.as_u16(), out.header("location")),
        (303, "/console/sign-in")
    );
    assert!(
        out.header("set-cookie").contains("iof-console=; ")
            && out.header("set-cookie").contains("Max-Age=0")
    );
    let events = tokio::time::timeout(Duration::from_secs(10), stream.bytes()).await;
    events.expect("the stream ends with its session").unwrap();
    for browser in [&first, &second] {
        assert_eq!(browser.get("/console").await.http, 303);
    }
    assert_eq!(operator.get("/console").await.http, 200);
}

#[tokio::test]
async fn a_server_without_keys_takes_nobody_s_key_and_shows_what_it_shows_to_everybody() {
    let server = Server::start("").await;
    let function = server.deploy(module(), "").await;
    let browser = Browser::sign_in(&server, "").await;
    assert_eq!(browser.get("/console").await.http, 200);
    let list = browser.get("/console/functions").await.text();
    let path = format!("/console/functions/{}", function.id);
    assert!(list.contains(&path));
    assert_eq!(browser.get(&path).await.fault(), "key");
    assert_eq!(browser.get("/console/keys").await.fault(), "key");
    assert_eq!(browser.get("/console/server/settings").await.fault(), "key");
    // The admin key of a function opens that function, under its name or number.
    assert_eq!(
        try_sign_in(&server, &function.admin_key, "").await.fault(),
        "key"
    );
    let own = format!("&function={}", function.id);
    let owner = Browser::sign_in_with(&server, &function.admin_key, &own).await;
    let start = owner.get("/console").await;
    assert_eq!(
        (start.http.as_u16(), start.header("location")),
        (303, &*path)
    );
    for tab in [
        "",
        "/versions",
        "/call",
        "/log",
        "/outbound",
        "/recordings",
        "/jobs",
        "/schedules",
        "/storage",
        "/secrets",
        "/keys",
        "/audit",
    ] {
        let page = owner.get(&format!("{path}{tab}")).await;
        assert_eq!(page.http, 200, "{tab}: {}", page.text());
        assert!(!page.text().contains(&function.admin_key));
    }
    assert_eq!(owner.get(&format!("{path}/nowhere")).await.http, 404);
}

#[tokio::test]
async fn the_console_can_be_switched_off() {
    for second_state in [true, false] {
        let settings =
            format!("{KEYS}[console]\nenabled = false\n[second_state]\nenabled = {second_state}\n");
        let server = Server::start(settings).await;
        for path in ["/console", "/console/sign-in", "/console/assets/console.js"] {
            let answer = server
                .answer(client().get(format!("{}{path}", server.url)))
                .await;
            assert_eq!(answer.http, 404, "{path}");
            assert!(!answer.text().contains("Sign in"));
        }
    }
}
