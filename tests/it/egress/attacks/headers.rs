//! Section 7: the headers that a guest may set, the hosts that get its credentials, and the size of responses.

use futures::future::join_all;
use iof_tests::upstream::{GZIP_TEXT, Upstream};

use super::{
    cases::{self, Case, Ends},
    paths::{AttackRequest, EgressPath, World, on_every_path},
    servers::{Both, Evil, pin},
    table::REDIRECTS,
};

const OPEN: &str = "[defaults]\noutbound = [\"* http://*:*\", \"* https://*:*\"]\n[egress]\n";

/// Those of the ways that can send a header.
fn with_headers(ways: &[EgressPath]) -> Vec<EgressPath> {
    let can = ways.iter().filter(|way| **way != EgressPath::FetchUrl);
    can.copied().collect()
}

on_every_path!(
    headers_of_the_host,
    credentials_stay_with_their_origin,
    what_comes_back_is_bounded,
);

async fn headers_of_the_host(ways: &[EgressPath]) {
    let ways = with_headers(ways);
    let upstream = Upstream::start().await;
    let world = World::start(format!("{OPEN}{}", upstream.pin("api.test", 80)), &ways).await;
    let ask =
        |name: &str, value: &str| AttackRequest::http("api.test", "/echo").header(name, value);
    let mut all = Vec::new();
    for name in [
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "HTTP2-Settings",
        "Alt-Used",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "Proxy-Connection",
        "PROXY-ANYTHING",
        "uPGRADE",
    ] {
        all.push(Case::with(name, ask(name, "x"), "egress-header"));
    }
    for value in [
        "a\r\nX-Smuggled: 1",
        "a\r\n\r\nGET /status/200 HTTP/1.1",
        "a\nb",
        "a\rb",
        "a\0b",
        "\n",
        "a\u{7f}",
    ] {
        all.push(Case::new(
            format!("{value:?}"),
            ask("X-Fine", value),
            Ends::Misspelt,
        ));
    }
    for name in [
        "X\r\nX-Smuggled: 1\r\nY",
        "X\nY",
        "X\0",
        "X Y",
        "X:",
        ":authority",
        "X\t",
        "",
        "Host ",
        "H\u{f6}st",
    ] {
        all.push(Case::new(
            format!("{name:?}"),
            ask(name, "x"),
            Ends::Misspelt,
        ));
    }
    cases::run(&world, &ways, all).await;
    // Node's clients write these into the options of a request, where they are left out; a command is told.
    let own = [
        ("Host", "evil.test"),
        ("Content-Length", "3"),
        ("Connection", "x-fine"),
        ("Transfer-Encoding", "chunked"),
    ];
    if ways.iter().all(|way| way.is_command()) {
        let all = own.map(|(name, value)| Case::with(name, ask(name, value), "egress-header"));
        cases::run(&world, &ways, all.to_vec()).await;
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    for &way in &ways {
        let mut fine = ask("X-Fine", "yes");
        if !way.is_command() {
            for (name, value) in own {
                fine = fine.header(name, value);
            }
        }
        let echo = world.ask(way, &fine).await.unwrap().json();
        let (headers, body) = (&echo["headers"], echo["body"].as_str().unwrap());
        assert_eq!(
            (&headers["host"], &headers["x-fine"]),
            (&"api.test".into(), &"yes".into()),
            "{echo}"
        );
        let length = headers["content-length"].as_str().unwrap_or("0");
        assert_eq!(length, body.len().to_string(), "{echo}");
        for name in [
            "connection",
            "transfer-encoding",
            "referer",
            "user-agent",
            "accept-encoding",
        ] {
            assert!(headers[name].is_null(), "{name}: {echo}");
        }
    }
}

async fn credentials_stay_with_their_origin(ways: &[EgressPath]) {
    let ways = with_headers(ways);
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (http, https) = tokio::join!(
        Upstream::start(),
        Upstream::start_tls(&["start.test", "other.test"])
    );
    https.write_ca(&ca);
    let both = Both::start(http.address(), https.address()).await;
    let mut config = format!("{OPEN}ca_files = [{ca:?}]\n");
    for host in ["start.test", "other.test", "sub.start.test"] {
        for port in [80, 8080, 443, 8443] {
            config.push_str(&pin(host, port, both.address));
        }
    }
    let world = World::start(config, &ways).await;
    let (plain, secure) = ("http://start.test", "https://start.test");
    let back = "http://other.test/redirect/307?http://start.test/echo";
    let tries = [
        (plain, "/echo", true),
        (plain, "http://start.test:80/echo", true),
        (plain, "HTTP://START.test./echo", true),
        (secure, "https://start.test:443/echo", true),
        (
            "http://start.test:8443",
            "http://start.test:8443/echo",
            true,
        ),
        // Another host
        (plain, "http://other.test/echo", false),
        (plain, "//other.test/echo", false),
        (plain, "http://sub.start.test/echo", false),
        ("http://sub.start.test", "http://start.test/echo", false),
        (secure, "https://other.test/echo", false),
        // Another port
        (plain, "http://start.test:8080/echo", false),
        (secure, "https://start.test:8443/echo", false),
        // Another scheme, with its port and without
        (plain, "https://start.test/echo", false),
        (secure, "http://start.test/echo", false),
        (
            "http://start.test:8443",
            "https://start.test:8443/echo",
            false,
        ),
        (
            "https://start.test:8443",
            "http://start.test:8443/echo",
            false,
        ),
        // Away and back
        (plain, back, false),
    ];
    let tries = ways.iter().flat_map(|way| {
        let of_status = move |status| tries.map(|(from, to, kept)| (*way, status, from, to, kept));
        REDIRECTS.into_iter().flat_map(of_status)
    });
    let world = &world;
    let tried = tries.map(|(way, status, from, to, kept)| async move {
        let (scheme, authority) = from.split_once("://").unwrap();
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        let ask = AttackRequest::new(
            scheme,
            host,
            port.parse().ok(),
            &format!("/redirect/{status}?{to}"),
        );
        let ask = ask
            .header("Authorization", "Bearer s3cret")
            .header("Cookie", "a=b");
        let told = world.ask(way, &ask.header("X-Other", "x")).await;
        let echo = told.unwrap().json();
        let headers = &echo["headers"];
        let has =
            ["authorization", "cookie", "x-other", "referer"].map(|name| !headers[name].is_null());
        let title = format!("{way:?}: {status} from {from} to {to}");
        (has != [kept, kept, true, false]).then(|| format!("{title}: {echo}"))
    });
    let wrong: Vec<_> = join_all(tried).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn what_comes_back_is_bounded(ways: &[EgressPath]) {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (http, https) = (
        Upstream::start().await,
        Upstream::start_tls(&["api.test"]).await,
    );
    let evil = Evil::start().await;
    https.write_ca(&ca);
    let limits = "max_response = \"64KiB\"\nmax_response_headers = \"8KiB\"\nmax_response_header_count = 20\n\
                  max_redirects = 3\ntotal_timeout = \"20s\"\n";
    let pins = [
        http.pin("api.test", 80),
        https.pin("api.test", 443),
        evil.pin("evil.test"),
    ];
    let config = format!("{OPEN}{limits}ca_files = [{ca:?}]\n{}", pins.concat());
    let world = World::start(config, ways).await;
    let mut all = Vec::new();
    for scheme in ["http", "https"] {
        for path in ["/size/65537", "/endless", "/headers/30"] {
            let ask = AttackRequest::new(scheme, "api.test", None, path);
            all.push(Case::with(
                format!("{scheme} {path}"),
                ask,
                "egress-response-too-large",
            ));
            let ask =
                AttackRequest::new(scheme, "api.test", None, &format!("/redirect/307?{path}"));
            all.push(Case::with(
                format!("307 to {scheme} {path}"),
                ask,
                "egress-response-too-large",
            ));
        }
        let ask = AttackRequest::new(scheme, "api.test", None, "/loop");
        all.push(Case::with(
            format!("{scheme} /loop"),
            ask,
            "egress-too-many-redirects",
        ));
    }
    // Few and long, many and short
    for path in ["/bulk/10/1000", "/bulk/1/9000", "/bulk/21/1"] {
        all.push(Case::with(
            path,
            AttackRequest::http("evil.test", path),
            "egress-response-too-large",
        ));
    }
    cases::run(&world, ways, all).await;
    for upstream in [&http, &https] {
        let seen = upstream.seen();
        let loops = seen.iter().filter(|seen| seen.path == "/loop").count();
        assert_eq!(loops, ways.len() * 4, "a request and max_redirects more");
    }
    for &way in ways {
        for (host, path, length) in [
            ("api.test", "/size/65536", 65536),
            ("evil.test", "/bulk/7/1000", 5),
        ] {
            let told = world
                .ask(way, &AttackRequest::http(host, path))
                .await
                .unwrap();
            assert_eq!(told.result.unwrap().len(), length, "{way:?} {path}");
        }
        // What nobody decodes does not grow.
        let told = world
            .ask(way, &AttackRequest::http("api.test", "/gzip"))
            .await
            .unwrap();
        let body = told.result.unwrap();
        assert_eq!(body[0], 0x1f, "{way:?}: the start of what gzip writes");
        assert!(!String::from_utf8_lossy(&body).contains(GZIP_TEXT.trim()));
    }
    assert!(
        http.seen()
            .iter()
            .all(|seen| !seen.headers.contains_key("accept-encoding"))
    );
}
