//! Rules: their text, and the requests that they allow.

use http::Method;
use iof_egress::{Rule, Rules, parse_outbound_url};
use proptest::prelude::*;

use crate::support::rules;

fn allows(rule: &str, method: &str, url: &str) -> bool {
    rules(&[rule])
        .allows(&method.parse().unwrap(), &parse_outbound_url(url).unwrap())
        .is_some()
}

#[test]
fn a_rule_allows_the_requests_of_its_shape() {
    for (rule, allowed, denied) in [
        (
            "POST https://api.sendgrid.com/v3/mail",
            &[
                "POST https://api.sendgrid.com/v3/mail",
                "POST https://API.SendGrid.com.:443/v3/mail/send?x#y",
            ][..],
            &[
                "GET https://api.sendgrid.com/v3/mail",
                "POST http://api.sendgrid.com/v3/mail",
                "POST https://api.sendgrid.com:8443/v3/mail",
                "POST https://api.sendgrid.com/v3/mailbox",
                "POST https://api.sendgrid.com/v3/mail/../keys",
                "POST https://api.sendgrid.com/v3/mail/%2e%2e/keys",
                "POST https://api.sendgrid.com/v3/mail/..%2fkeys",
                "POST https://api.sendgrid.com.evil/v3/mail",
                "POST https://evil/?https://api.sendgrid.com/v3/mail",
            ][..],
        ),
        (
            "GET,HEAD https://*.example.com:8443",
            &[
                "GET https://a.example.com:8443/",
                "HEAD https://a.b.EXAMPLE.com:8443/x",
            ],
            &[
                "GET https://example.com:8443/",
                "GET https://evilexample.com:8443/",
                "GET https://a.example.com.evil:8443/",
                "GET https://a.example.com/",
                "PUT https://a.example.com:8443/",
            ],
        ),
        (
            "* https://*",
            &[
                "GET https://a.test/",
                "PURGE https://1.2.3.4/",
                "GET https://[2600::1]/x",
            ],
            &[
                "GET http://a.test/",
                "GET https://a.test:444/",
                "CONNECT https://a.test/",
                "TRACE https://a.test/",
            ],
        ),
        (
            "get http://*:*/a%20b/",
            &["GET http://x:1/a%20b", "GET http://x/a%20b/c"],
            &[
                "GET http://x/a",
                "GET http://x/a%20bc",
                "GET https://x/a%20b",
            ],
        ),
        (
            "* http://127.1",
            &["GET http://127.0.0.1/", "GET http://0x7f000001/"],
            &["GET http://127.0.0.2/"],
        ),
        (
            "* http://[0:0::1]:80",
            &["GET http://[::1]/"],
            &["GET http://[::2]/", "GET http://127.0.0.1/"],
        ),
        (
            "* https://*.münchen.de",
            &["GET https://a.xn--mnchen-3ya.de/"],
            &["GET https://a.munchen.de/"],
        ),
        (
            "* http://*.0.0.test",
            &["GET http://127.0.0.test/"],
            &["GET http://0.0.0.0/"],
        ),
    ] {
        for (requests, expected) in [(allowed, true), (denied, false)] {
            for request in requests {
                let (method, url) = request.split_once(' ').unwrap();
                assert_eq!(
                    allows(rule, method, url),
                    expected,
                    "{rule:?} on {request:?}"
                );
            }
        }
    }
}

#[test]
fn no_rules_allow_nothing() {
    assert!(
        Rules::default()
            .allows(
                &Method::GET,
                &parse_outbound_url("https://example.com/").unwrap()
            )
            .is_none()
    );
}

#[test]
fn the_rule_that_allowed_a_request_is_returned() {
    let rules = rules(&["GET https://a.test", "* https://*"]);
    let allowed = |url| {
        rules
            .allows(&Method::GET, &parse_outbound_url(url).unwrap())
            .unwrap()
            .to_string()
    };
    assert_eq!(allowed("https://a.test/"), "GET https://a.test");
    assert_eq!(allowed("https://b.test/"), "* https://*");
}

#[test]
fn a_rule_has_one_canonical_text() {
    for (text, canonical) in [
        (
            "  get, head  https://Example.COM:443/a/ ",
            "GET,HEAD https://example.com/a",
        ),
        ("GET,get https://a", "GET https://a"),
        ("* http://0x7f.1:8080/", "* http://127.0.0.1:8080"),
        ("* https://*.Example.com.:*", "* https://*.example.com:*"),
        ("* https://[2600:0::1]", "* https://[2600::1]"),
        ("* https://a/%61%20", "* https://a/a%20"),
    ] {
        assert_eq!(
            text.parse::<Rule>().unwrap().to_string(),
            canonical,
            "{text:?}"
        );
    }
}

#[test]
fn errors_state_the_problem_and_the_next_step() {
    for (rule, expected) in [
        ("", "the methods are missing. Write METHODS URL"),
        (
            "https://a.test",
            "the methods are missing. Write METHODS URL",
        ),
        ("GET a.test", "the scheme before the host is missing"),
        ("GET ftp://a.test", "Write http or https"),
        ("GET *://a.test", "Write http or https (two rules for both)"),
        ("GET https://", "the host is missing"),
        ("GET https:///x", "the host is missing"),
        ("GET https://*.", "the host is missing"),
        ("GET https://a.*.test", "only a part of a label"),
        ("GET https://*a.test", "only a part of a label"),
        ("GET https://*.*.test", "only a part of a label"),
        ("GET https://*.10.0.0.1", "not before an address"),
        ("GET https://*.0.0.1", "not before an address"),
        ("GET https://a..test", "empty label"),
        ("GET https://a%2etest", "without percent-encoding"),
        ("GET https://user@a.test", "cannot have a user name"),
        ("GET https://a.test?x=1", "cannot have a query"),
        ("GET https://a.test/x?", "cannot have a query"),
        ("GET https://a.test/x#y", "cannot have a fragment"),
        ("GET https://a.test:0", "1 to 65535"),
        ("GET https://a.test:65536", "1 to 65535"),
        ("GET https://a.test:+80", "1 to 65535"),
        ("GET https://a.test:", "1 to 65535"),
        ("GET https://a.test/x/../y", "dot segment"),
        ("GET https://a.test/x/%2e%2E/y", "dot segment"),
        ("GET https://a.test/x//y", "empty segment"),
        ("GET https://a.test/x%2fy", "servers read differently"),
        ("GET https://a.test/x;y", "servers read differently"),
        ("GET, https://a.test", "the method is not valid"),
        ("G(T https://a.test", "the method is not valid"),
        ("CONNECT https://a.test", "never allowed"),
        ("GET,TRACE https://a.test", "never allowed"),
        ("GET,* https://a.test", "Leave the others out"),
    ] {
        match rule.parse::<Rule>() {
            Ok(parsed) => panic!("{rule:?} was taken for {parsed}"),
            Err(e) => {
                assert!(e.to_string().contains(expected), "{rule:?}: {e}");
                assert!(
                    e.to_string().contains(&format!("{rule:?}")),
                    "the rule is named: {e}"
                );
            }
        }
    }
}

#[test]
fn rules_are_texts_in_files() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct File {
        outbound: Rules,
    }
    let file: File =
        toml::from_str(r#"outbound = ["POST https://a.test/x", "* https://*"]"#).unwrap();
    assert_eq!(
        toml::to_string(&file).unwrap().trim(),
        r#"outbound = ["POST https://a.test/x", "* https://*"]"#
    );
    let error = toml::from_str::<File>(r#"outbound = ["https://a.test"]"#)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("the methods are missing"),
        "{error}"
    );
}

fn any_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "v3", "mail", "keys", "..", ".", "%2e", "%2E%2e", "%252e", "%2f", "%5c", "%252f", ";x",
        "/", "/", "/", "//", "a", "%25", "%", "..;", "é",
    ]);
    let start = prop::sample::select(vec!["/", "/v3/mail", "/v3/mail/", "/v3/mail/x/"]);
    (start, prop::collection::vec(piece, 0..12))
        .prop_map(|(start, pieces)| format!("{start}{}", pieces.concat()))
}

/// A path as a server may read it that decodes more than once and treats `\` as `/`.
fn resolved(path: &str, times: usize) -> Vec<String> {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..times {
        bytes = percent_encoding::percent_decode(&bytes).collect();
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    let mut out = Vec::new();
    for segment in text
        .split('/')
        .map(|s| s.split(';').next().unwrap().to_owned())
    {
        match segment.as_str() {
            "" | "." => {}
            ".." => drop(out.pop()),
            _ => out.push(segment),
        }
    }
    out
}

proptest! {
    /// A displayed rule parses to the same rule.
    #[test]
    fn display_is_the_inverse_of_parse(
        methods in prop::sample::select(vec!["*", "GET", "GET,POST", "PROPFIND"]),
        scheme in prop::sample::select(vec!["http", "https"]),
        host in prop_oneof!["[a-z]{1,8}(\\.[a-z0-9]{1,8}){0,3}\\.[a-z]{2,4}", Just("*".to_owned()), "\\*\\.[a-z]{2,9}\\.test",
            any::<std::net::Ipv4Addr>().prop_map(|a| a.to_string()), any::<std::net::Ipv6Addr>().prop_map(|a| format!("[{a}]"))],
        port in prop_oneof![Just(String::new()), Just(":*".to_owned()), (1u16..).prop_map(|p| format!(":{p}"))],
        path in "(/[a-zA-Z0-9é_.~ -]{1,8}x){0,4}",
    ) {
        let text = format!("{methods} {scheme}://{host}{port}{}", path.replace(' ', "%20"));
        let rule: Rule = text.parse().unwrap();
        let again: Rule = rule.to_string().parse().unwrap();
        prop_assert_eq!(&rule, &again);
        prop_assert_eq!(rule.to_string(), again.to_string());
    }

    #[test]
    fn no_text_panics(text in any::<String>(), url in any::<String>(), form in "[*A-Z, ]{0,6} https?://[*.a-z0-9:\\[\\]%@]{0,12}[/.%;a?#]{0,8}") {
        let _ = text.parse::<Rule>();
        let _ = parse_outbound_url(&url);
        if let Ok(rule) = form.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
        }
    }

    /// However often a server decodes an allowed path, it stays below the prefix.
    #[test]
    fn an_allowed_path_never_leaves_the_prefix(path in any_path()) {
        if let Ok(url) = parse_outbound_url(&format!("https://a.test{path}")) && allows("* https://a.test/v3/mail", "GET", url.as_str()) {
            for times in 0..6 {
                let resolved = resolved(url.path(), times);
                prop_assert!(resolved.starts_with(&["v3".to_owned(), "mail".to_owned()]), "{} {times}: {resolved:?}", url.path());
            }
        }
    }

    /// A wildcard matches names that end in `.` and its domain, and no others.
    #[test]
    fn wildcards_match_whole_labels(name in "[a-z.]{0,6}(example|xexample)(\\.com){1,2}(\\.evil)?") {
        if let Ok(url) = parse_outbound_url(&format!("https://{name}/")) {
            let host = url.host_str().unwrap();
            let expected = host.ends_with(".example.com") && host.len() > ".example.com".len();
            prop_assert_eq!(allows("* https://*.example.com", "GET", url.as_str()), expected, "{}", host);
        }
    }
}
