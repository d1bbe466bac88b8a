//! The pages that a key opens, and the texts that others chose, which stay text.

use super::{Browser, KEY, KEYS, encoded, make_key};
use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;
use serde_json::json;

/// A text that would do something if it were markup, in an attribute or outside of it.
const MARKUP: &str = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>";

#[tokio::test]
async fn a_key_of_one_function_sees_nothing_else() {
    let server = Server::start(KEYS).await;
    let module = wat("(module (func (export \"f\")))");
    let own = server
        .try_deploy_named("own", KEY, module.clone(), "")
        .await
        .json()["function"]
        .to_string();
    let other = server
        .try_deploy_named("hidden-one", KEY, module, "")
        .await
        .json()["function"]
        .to_string();
    let (_, key) = make_key(&server, &["read"], Some("own")).await;
    let browser = Browser::sign_in(&server, &key).await;
    let start = browser.get("/console").await;
    assert_eq!(
        start.header("location"),
        format!("/console/functions/{own}")
    );
    let tabs = [
        "",
        "/versions",
        "/call",
        "/log",
        "/outbound",
        "/jobs",
        "/schedules",
    ];
    for tab in tabs {
        let page = browser.get(&format!("/console/functions/{own}{tab}")).await;
        assert_eq!(page.http, 200, "{tab}");
        let text = page.text();
        assert!(
            !text.contains("hidden-one")
                && !text.contains("/console/server")
                && !text.contains("/console/keys\""),
            "{tab}: {text}"
        );
        // What the key may not do is not offered.
        for action in [
            "data-deploy",
            "data-action",
            "/secrets",
            "/recordings",
            "/storage",
            "/audit",
            // The palette of such a key searches no functions.
            "data-functions",
        ] {
            assert!(!text.contains(action), "{tab} offers {action}");
        }
    }
    for tab in ["/recordings", "/storage", "/secrets", "/keys", "/audit"] {
        let page = browser.get(&format!("/console/functions/{own}{tab}")).await;
        assert_eq!((page.http.as_u16(), page.fault()), (403, "scope"), "{tab}");
    }
    // Of another function, and of one that does not exist, it is told the same.
    for tab in tabs {
        let [theirs, none] = [&*other, "99"].map(|id| format!("/console/functions/{id}{tab}"));
        let [theirs, none] = [browser.get(&theirs).await, browser.get(&none).await];
        assert_eq!(
            (theirs.http.as_u16(), theirs.fault()),
            (403, "scope"),
            "{tab}"
        );
        assert_eq!((none.http.as_u16(), none.fault()), (403, "scope"), "{tab}");
        assert!(!theirs.text().contains("hidden-one"));
    }
    for path in [
        "/console/functions",
        "/console/functions/new",
        "/console/outbound",
        "/console/keys",
        "/console/audit",
        "/console/server",
        "/console/server/settings",
    ] {
        let page = browser.get(path).await;
        assert_eq!((page.http.as_u16(), page.fault()), (403, "scope"), "{path}");
        assert!(!page.text().contains("hidden-one"), "{path}");
    }
    let events = browser
        .request("GET", &format!("/console/events?function={own}"))
        .send()
        .await
        .unwrap();
    assert_eq!(events.status(), 200);
    for query in [
        "",
        &format!("?function={other}"),
        "?function=hidden-one",
        &format!("?function={other}&log=true"),
        "?function=99",
    ] {
        let events = browser.head(&format!("/console/events{query}")).await;
        assert_eq!(events, (403, "scope".to_owned()), "{query}");
    }
    for path in [
        "/v1/functions",
        "/v1/server/functions",
        "/v1/egress",
        "/v1/keys",
        &format!("/v1/functions/{other}"),
    ] {
        assert_eq!(
            browser.api("GET", path, None).await.fault(),
            "scope",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_key_that_calls_or_deploys_is_led_to_what_it_may_do() {
    let server = Server::start(KEYS).await;
    let module = wat("(module (func (export \"f\")))");
    server.try_deploy_named("own", KEY, module, "").await;
    let (_, key) = make_key(&server, &["call"], Some("own")).await;
    let caller = Browser::sign_in(&server, &key).await;
    let page = caller.get("/console/functions/1").await;
    assert_eq!(page.header("location"), "/console/functions/1/call");
    assert_eq!(
        caller.get("/console/functions/1/log").await.fault(),
        "scope"
    );
    let (_, key) = make_key(&server, &["deploy"], None).await;
    let deployer = Browser::sign_in(&server, &key).await;
    assert_eq!(
        deployer.get("/console").await.header("location"),
        "/console/functions/new"
    );
    let versions = deployer.get("/console/functions/1/versions").await.text();
    assert!(versions.contains("data-deploy=\"/v1/functions/1/versions\""));
}

/// Every text that a function, a client or an operator chose is in a page as text.
#[tokio::test]
async fn what_others_chose_stays_text() {
    let server = Server::start(KEYS).await;
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    // An export and a description.
    let export = MARKUP.replace('\'', "");
    let module = wat(&format!(
        "(module (func (export \"{}\")) (func (export \"t\") unreachable))",
        export.replace('"', "\\\"")
    ));
    let description = encoded(MARKUP);
    let rule = "outbound = [\"GET https://api.example.com/\"]\nrecord = \"always\"\n[variables]\nX = \"<img src=x onerror=alert(1)>\"\n";
    let made = server
        .try_deploy_named(
            &format!("named&description={description}"),
            KEY,
            module,
            rule,
        )
        .await;
    assert_eq!(made.http, 201, "{}", made.text());
    let next = iof_tests::call::Uploaded {
        id: made.json()["function"].as_u64().unwrap(),
        admin_key: KEY.to_owned(),
        json: json!({}),
    };
    let next = server.try_deploy_version(&next, guest("typed"), "").await;
    assert_eq!(next.http, 201, "{}", next.text());
    // Output, error codes and messages.
    let typed = server
        .try_deploy_named("typed", KEY, guest("typed"), "storage = true\n")
        .await
        .json()["function"]
        .to_string();
    let call = async |path: &str, body| {
        let request = server.request("POST", path).bearer_auth(KEY).json(&body);
        server.answer(request).await
    };
    call(
        "/v1/functions/typed/call/panics",
        json!({ "message": MARKUP }),
    )
    .await;
    call(
        "/v1/functions/typed/call/fail_text",
        json!({ "message": MARKUP }),
    )
    .await;
    // The key of a stored value, and the value.
    let kept = json!({ "key": MARKUP, "value": MARKUP });
    let kept = call("/v1/functions/typed/call/store", kept).await;
    assert!(kept.http.is_success(), "{}", kept.text());
    // The name of an export that does not exist, and a job.
    let nowhere = encoded(MARKUP);
    call(&format!("/v1/functions/typed/call/{nowhere}"), json!({})).await;
    call("/v1/functions/named/call/t", json!([])).await;
    let wish = json!({ "label": MARKUP, "scopes": ["read"] });
    let label = call("/v1/keys", wish).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();

    let browser = Browser::sign_in(&server, KEY).await;
    let asked = encoded(MARKUP);
    let pages = [
        ("/console".to_owned(), "the newest faults", true),
        ("/console/functions".into(), "a description", true),
        (format!("/console/functions?name={asked}"), "a search", true),
        (
            "/console/functions/named".into(),
            "the head of a function",
            true,
        ),
        (
            "/console/functions/named/versions".into(),
            "an export",
            true,
        ),
        (format!("/console/functions/{typed}/log"), "a log", true),
        (
            format!("/console/functions/{typed}/log?find={asked}"),
            "a search in a log",
            true,
        ),
        (
            "/console/functions/named/versions?from=1&to=2".into(),
            "a difference",
            true,
        ),
        (
            "/console/functions/named/recordings".into(),
            "recordings",
            false,
        ),
        (
            "/console/functions/named/outbound".into(),
            "outbound",
            false,
        ),
        ("/console/keys".into(), "the label of a key", true),
        (
            "/console/audit".into(),
            "the label of a key in the audit log",
            true,
        ),
        (
            format!("/console/functions/{typed}/storage"),
            "keys of values",
            true,
        ),
        (
            format!("/console/functions/{typed}/storage?key={asked}"),
            "a value",
            true,
        ),
        (
            format!("/console/functions/{typed}/storage?key={asked}&show=text&prefix={asked}"),
            "a value as text, and a search",
            true,
        ),
        (format!("/console/functions/{typed}/jobs"), "jobs", false),
        (
            format!("/console/functions/{typed}/schedules"),
            "schedules",
            false,
        ),
        ("/console/server/settings".into(), "settings", false),
        (format!("/console/functions/{asked}"), "a path", true),
        (
            format!("/console/functions/named/{asked}"),
            "a path below a function",
            true,
        ),
        (
            format!("/console/sign-in?next={asked}"),
            "the way back",
            false,
        ),
    ];
    for (path, what, has) in pages {
        let text = browser.get(&path).await.text();
        assert!(
            !text.contains("<img") && !text.contains("<script>"),
            "{what}: {text}"
        );
        assert!(!text.contains("\"'>"), "{what} ends an attribute: {text}");
        let shown = escape(MARKUP);
        assert!(
            !has || text.contains(&*shown)
                || text.contains(&escape(&export))
                || text.contains("&lt;img"),
            "{what} is not there: {text}"
        );
    }
    // And the label of one's own key, in the head of each page.
    let labelled = Browser::sign_in(&server, &label).await;
    let text = labelled.get("/console").await.text();
    assert!(
        text.contains(&escape(MARKUP)) && !text.contains("<img"),
        "{text}"
    );
}

#[tokio::test]
async fn a_list_of_many_functions_is_one_page() {
    let server = Server::start(KEYS).await;
    let module = wat("(module (func (export \"f\")))");
    for n in 0..120 {
        let made = server
            .try_deploy_named(&format!("f{n:03}"), KEY, module.clone(), "")
            .await;
        assert_eq!(made.http, 201, "{}", made.text());
    }
    let browser = Browser::sign_in(&server, KEY).await;
    let (mut path, mut seen) = ("/console/functions".to_owned(), vec![]);
    loop {
        let text = browser.get(&path).await.text();
        let rows: Vec<_> = text
            .split("<a href=\"/console/functions/")
            .skip(1)
            .filter_map(|rest| rest.split_once("\">"))
            .map(|(_, rest)| rest.split('<').next().unwrap().to_owned())
            .filter(|name| name.starts_with('f') && name.len() == 4)
            .collect();
        assert!(rows.len() <= 50, "{}", rows.len());
        seen.extend(rows);
        let Some(next) = text.split("rel=\"next\" href=\"").nth(1) else {
            break;
        };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    let all: Vec<_> = (0..120).map(|n| format!("f{n:03}")).collect();
    assert_eq!(seen, all);
    let found = browser.get("/console/functions?name=F11").await.text();
    assert!(found.contains(">f110<") && found.contains(">f119<") && !found.contains(">f109<"));
}
