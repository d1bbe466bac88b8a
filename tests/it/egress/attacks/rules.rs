//! Section 9: what the operator's rules do not allow, by a host, a port, a method or a path; and section 10, the
//! environment, in which nobody finds a way around them.

use iof_tests::{server::Server, upstream::Upstream};

use super::{
    cases::{self, Case, Ends},
    dns::{Dns, DnsAnswer},
    paths::{AttackRequest, EgressPath, World, on_every_path},
    servers::{Evil, Victim, pin, redirecting},
    table::REDIRECTS,
};

const RULES: &str = r#"[defaults]
outbound = [
  "GET,POST http://api.test/v3/mail",
  "* http://*.example.test",
  "* https://secure.test",
  "* http://port.test:8080",
  "PUT http://put.test",
  "* http://192.0.2.7",
  "* http://start.test",
]
[egress]
"#;

/// Names that lead to an upstream on many ports, so that a request which is not denied arrives.
const NAMES: [&str; 14] = [
    "api.test",
    "api.test.evil",
    "xapi.test",
    "example.test",
    "a.example.test",
    "a.b.example.test",
    "evilexample.test",
    "a.example.test.evil",
    "a-example.test",
    "secure.test",
    "port.test",
    "put.test",
    "192.0.2.7",
    "192.0.2.8",
];

on_every_path!(
    what_no_rule_allows,
    no_rules_allow_nothing,
    proxies_of_the_environment;
    wasi_http: what_no_rule_allows,
    no_rules_allow_nothing,
    proxies_of_the_environment,
);

async fn what_no_rule_allows(ways: &[EgressPath]) {
    let (http, evil) = (Upstream::start().await, Evil::start().await);
    let mut config = format!("{RULES}{}", evil.pin("start.test"));
    for name in NAMES {
        for port in [80, 443, 8080, 8081] {
            config.push_str(&pin(name, port, http.address()));
        }
    }
    let world = World::start(config, ways).await;
    let denied = [
        "http://api.test/",
        "http://api.test/v3",
        "http://api.test/v3/",
        "http://api.test/v3/mailbox",
        "http://api.test/V3/mail",
        "http://api.test//v3/mail",
        "http://api.test/v3//mail",
        "http://api.test/x/v3/mail",
        "http://api.test/v3/mail/../keys",
        "http://api.test/v3/mail/%2e%2e/keys",
        "http://api.test/v3/mail/.%2E/keys",
        "http://api.test/v3/mail/..%2fkeys",
        "http://api.test/v3/mail/%252e%252e/keys",
        "http://api.test/v3/mail/..%5ckeys",
        "http://api.test/v3/mail/..;/keys",
        "http://api.test/v3/mail/..;x=1/keys",
        "http://api.test/v3/mail/a%2f..%2f..%2fkeys",
        "http://api.test/v3%2fmail",
        "http://api.test/keys?/v3/mail",
        "http://api.test/keys#/v3/mail",
        "http://api.test:8080/v3/mail",
        "https://api.test/v3/mail",
        "http://api.test.evil/v3/mail",
        "http://xapi.test/v3/mail",
        "http://example.test/",
        "http://evilexample.test/",
        "http://a.example.test.evil/",
        "http://a-example.test/",
        "https://a.example.test/",
        "http://a.example.test:8080/",
        "http://secure.test/",
        "http://secure.test:443/",
        "https://secure.test:8081/",
        "http://port.test/",
        "http://port.test:8081/",
        "https://port.test:8080/",
        "http://put.test/",
        "http://192.0.2.8/",
        "http://3221225992/",
        "http://169.254.169.254/",
        "http://other.test/",
    ];
    let mut all = Vec::new();
    for url in denied {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_at(rest.find('/').unwrap());
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        let ask = AttackRequest::new(scheme, host, port.parse().ok(), path);
        all.push(Case::with(url, ask, "egress-denied"));
        for status in REDIRECTS {
            let ask = AttackRequest::http("start.test", &redirecting(status, url));
            all.push(Case::with(format!("{status} {url}"), ask, "egress-denied"));
        }
    }
    cases::run(&world, ways, all).await;
    for &way in ways.iter().filter(|way| **way != EgressPath::FetchUrl) {
        let mail = |method| AttackRequest::http("api.test", "/v3/mail").method(method);
        let start = |method| AttackRequest::http("start.test", "/302/2f").method(method);
        // What is no method of the command has no rule either.
        let never = match way {
            EgressPath::Command(_) => Ends::Misspelt,
            _ => Ends::With("egress-denied", String::new()),
        };
        let all = vec![
            Case::with("PUT", mail("PUT"), "egress-denied"),
            Case::with("delete", mail("delete"), "egress-denied"),
            Case::new("TRACE", start("TRACE"), never.clone()),
            Case::new("connect", start("connect"), never),
        ];
        cases::run(&world, &[way], all).await;
    }
    assert!(http.seen().is_empty(), "{:?}", http.seen());
    // And what they allow arrives, or nothing above says anything.
    let allowed = [
        ("api.test", None, "/v3/mail"),
        ("API.test.", None, "/v3/mail/send?x"),
        ("api.test", None, "/v3/m%61il/a%2fb"),
        ("a.example.test", None, "/"),
        ("a.b.EXAMPLE.test", None, "/"),
        ("port.test", Some(8080), "/"),
        ("192.0.2.7", None, "/"),
        ("3221225991", None, "/"),
    ];
    for &way in ways {
        for (host, port, path) in allowed {
            let told = world
                .ask(way, &AttackRequest::new("http", host, port, path))
                .await
                .unwrap();
            told.result
                .unwrap_or_else(|failure| panic!("{way:?} {host}: {failure:?}"));
        }
        if let Some(told) = world
            .ask(way, &AttackRequest::http("put.test", "/").method("PUT"))
            .await
        {
            told.result.unwrap();
        }
    }
    assert!(http.seen().len() >= ways.len() * allowed.len());
}

async fn no_rules_allow_nothing(ways: &[EgressPath]) {
    let upstream = Upstream::start().await;
    let pins = format!(
        "{}{}",
        upstream.pin("api.test", 80),
        upstream.pin("127.0.0.1", 80)
    );
    let world = World::start(format!("[defaults]\noutbound = []\n{pins}"), ways).await;
    let all = ["api.test", "127.0.0.1", "169.254.169.254", "example.com"];
    let all = all.map(|host| Case::with(host, AttackRequest::http(host, "/"), "egress-denied"));
    cases::run(&world, ways, all.to_vec()).await;
    assert!(upstream.seen().is_empty());
}

/// A rule that could be read in two ways, or allows more than it seems to, ends the start with its text.
#[tokio::test]
async fn a_rule_that_cannot_be_meant() {
    for rule in [
        "https://a.test",
        "* a.test",
        "* ftp://a.test",
        "* file:///etc",
        "* *://a.test",
        "* https://",
        "* https://a.test?x=1",
        "* https://a.test/x?",
        "* https://a.test/x#y",
        "* https://a.*.test",
        "* https://*a.test",
        "* https://*.*.test",
        "* https://a*",
        "* https://*.10.0.0.1",
        "* https://user@a.test",
        "* https://a%2etest",
        "* https://a..test",
        "* https://a.test:0",
        "* https://a.test:65536",
        "* https://a.test/x/../y",
        "* https://a.test/%2e%2e/y",
        "* https://a.test/x%2fy",
        "* https://a.test/x;y",
        "CONNECT https://a.test",
        "GET,TRACE https://a.test",
        "GET,* https://a.test",
    ] {
        let config = format!("[defaults]\noutbound = [{rule:?}]\n");
        let refused = Server::builder().config(config).refused().await;
        let status = refused.status.and_then(|status| status.code());
        assert_eq!(status, Some(2), "{rule}: {}", refused.log);
        assert!(refused.log.contains(rule), "{rule}: {}", refused.log);
    }
}

async fn proxies_of_the_environment(ways: &[EgressPath]) {
    let (proxy, folder) = (Victim::start().await, tempfile::tempdir().unwrap());
    let ca = folder.path().join("ca.pem");
    let (http, https) = (
        Upstream::start().await,
        Upstream::start_tls(&["api.test"]).await,
    );
    https.write_ca(&ca);
    let dns = Dns::start(|_| DnsAnswer::Missing).await;
    let mut server = Server::builder().config(format!(
        "[defaults]\noutbound = [\"* http://*\", \"* https://*\"]\n[egress]\nca_files = [{ca:?}]\n{}{}{}",
        dns.setting(),
        http.pin("api.test", 80),
        https.pin("api.test", 443)
    ));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        for name in [name.to_owned(), name.to_lowercase()] {
            server = server.env(name, format!("http://127.0.0.1:{}", proxy.port));
        }
    }
    let world = World::of(server.start().await, ways).await;
    for &way in ways {
        for scheme in ["http", "https"] {
            let ask = AttackRequest::new(scheme, "api.test", None, "/status/200");
            let told = world.ask(way, &ask).await.unwrap();
            assert_eq!(told.result.unwrap(), b"status 200");
        }
    }
    // A proxy would resolve names itself, and reach what it can reach.
    let mut all = Vec::new();
    for scheme in ["http", "https"] {
        let missing = AttackRequest::new(scheme, "missing.test", None, "/");
        all.push(Case::with(
            format!("{scheme}, a name"),
            missing,
            "egress-dns",
        ));
        let address = AttackRequest::new(scheme, "169.254.169.254", None, "/");
        all.push(Case::with(
            format!("{scheme}, an address"),
            address,
            "egress-address",
        ));
    }
    cases::run(&world, ways, all).await;
    proxy.assert_unharmed().await;
}
