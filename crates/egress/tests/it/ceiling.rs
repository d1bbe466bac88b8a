//! The operator's rules as the ceiling of a function's: which rule allows all that another does.

use http::Method;
use iof_egress::{Rule, parse_outbound_url};
use proptest::prelude::*;

use crate::support::rules;

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

#[test]
fn a_rule_covers_a_narrower_one() {
    for (wide, narrow) in [
        ("* https://a.test", "* https://a.test"),
        ("* https://a.test", "GET,PROPFIND https://a.test"),
        ("GET,POST https://a.test", "POST,GET https://a.test"),
        ("* https://*", "* https://a.test"),
        ("* https://*", "* https://*.a.test"),
        ("* https://*", "* https://192.0.2.1"),
        ("* https://*", "* https://[2001:db8::1]"),
        ("* https://*", "* https://*"),
        ("* https://*.a.test", "* https://x.a.test"),
        ("* https://*.a.test", "* https://x.y.a.test"),
        ("* https://*.a.test", "* https://*.x.a.test"),
        ("* https://*.a.test", "* https://*.A.test."),
        ("* https://192.0.2.1", "* https://0xc0000201"),
        ("* https://a.test:*", "* https://a.test:8443"),
        ("* https://a.test:*", "* https://a.test:*"),
        ("* https://a.test:443", "* https://a.test"),
        ("* https://a.test", "* https://a.test/v3"),
        ("* https://a.test/v3", "* https://a.test/v3/mail"),
        ("* https://a.test/v3", "* https://a.test/%763/mail"),
    ] {
        assert!(rule(wide).covers(&rule(narrow)), "{wide} over {narrow}");
    }
}

#[test]
fn a_rule_does_not_cover_a_different_one() {
    for (this, other) in [
        ("GET https://a.test", "* https://a.test"),
        ("GET https://a.test", "GET,POST https://a.test"),
        ("* https://a.test", "* http://a.test"),
        ("* http://a.test:*", "* https://a.test"),
        ("* https://a.test", "* https://b.test"),
        ("* https://a.test", "* https://*.a.test"),
        ("* https://a.test", "* https://*"),
        ("* https://*.a.test", "* https://a.test"),
        ("* https://*.a.test", "* https://xa.test"),
        ("* https://*.a.test", "* https://*.xa.test"),
        ("* https://*.a.test", "* https://*.test"),
        ("* https://*.a.test", "* https://*"),
        ("* https://*.a.test", "* https://x.a.test.evil"),
        ("* https://192.0.2.1", "* https://192.0.2.2"),
        ("* https://a.test", "* https://a.test:8443"),
        ("* https://a.test", "* https://a.test:*"),
        ("* https://a.test/v3", "* https://a.test"),
        ("* https://a.test/v3", "* https://a.test/v33"),
        ("* https://a.test/v3/mail", "* https://a.test/v3"),
        ("* https://a.test/v3", "* https://a.test/V3"),
    ] {
        assert!(!rule(this).covers(&rule(other)), "{this} over {other}");
    }
}

#[test]
fn a_single_rule_of_several_must_cover() {
    let ceiling = rules(&[
        "GET https://a.test",
        "POST https://a.test",
        "GET https://*.test",
    ]);
    let found = |wanted: &str| ceiling.covers(&rule(wanted)).map(Rule::to_string);
    assert_eq!(
        found("POST https://a.test/x").unwrap(),
        "POST https://a.test"
    );
    assert_eq!(found("GET https://b.test").unwrap(), "GET https://*.test");
    assert_eq!(found("GET,POST https://a.test"), None, "two of them would");
    assert_eq!(rules(&[]).covers(&rule("GET https://a.test")), None);
}

const METHODS: &[&str] = &["*", "GET", "POST", "GET,POST", "PROPFIND,GET"];
const SCHEMES: &[&str] = &["http", "https"];
const HOSTS: &[&str] = &[
    "*",
    "*.test",
    "*.a.test",
    "*.x.a.test",
    "*.xa.test",
    "a.test",
    "x.a.test",
    "y.x.a.test",
    "xa.test",
    "192.0.2.1",
    "[2001:db8::1]",
];
const PORTS: &[&str] = &["", ":*", ":80", ":8443"];
const PATHS: &[&str] = &["", "/v3", "/v3/mail", "/v3/mail/x", "/v33", "/é", "/a%20b"];

/// Two rules that differ in some parts, so that one covering the other is as likely as not.
fn related() -> impl Strategy<Value = (Rule, Rule)> {
    let part = |words: &'static [&'static str]| prop::sample::select(words);
    let parts = || [METHODS, SCHEMES, HOSTS, PORTS, PATHS].map(part);
    let text = |[methods, scheme, host, port, path]: [&str; 5]| {
        rule(&format!("{methods} {scheme}://{host}{port}{path}"))
    };
    (parts(), parts(), any::<[bool; 5]>()).prop_map(move |(one, other, same)| {
        let other = std::array::from_fn(|i| if same[i] { one[i] } else { other[i] });
        (text(one), text(other))
    })
}

fn any_request() -> impl Strategy<Value = (Method, String)> {
    let part = |words: &'static [&'static str]| prop::sample::select(words);
    (
        part(&["GET", "POST", "PROPFIND", "CONNECT"]),
        part(SCHEMES),
        part(&[
            "a.test",
            "x.a.test",
            "y.x.a.test",
            "xa.test",
            "y.xa.test",
            "192.0.2.1",
        ]),
        part(&["", ":80", ":8443"]),
        part(PATHS),
        part(&["", "/..", "/%2e%2e/keys", "/..;/", "//x"]),
    )
        .prop_map(|(method, scheme, host, port, path, more)| {
            let url = format!("{scheme}://{host}{port}{path}{more}");
            (method.parse().unwrap(), url)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn a_covering_rule_allows_the_same_requests((wide, narrow) in related(), requests in prop::collection::vec(any_request(), 32)) {
        if wide.covers(&narrow) {
            for (method, text) in requests {
                if let Ok(url) = parse_outbound_url(&text) && narrow.allows(&method, &url) {
                    prop_assert!(wide.allows(&method, &url), "{} over {} at {} {}", wide, narrow, method, url);
                }
            }
        }
        prop_assert!(wide.covers(&wide));
    }
}
