//! Secrets are attached to the requests that their rule allows, decided anew for each hop, and to no others.
//!
//! More than 400 lines, as its tests share one token and one set of upstreams.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::{Builder, Parts};
use http::{HeaderName, Request, Response};
use iof_egress::{
    Config, Egress, Error, Outbound, Pin, SecretInjection, SecretInjections, SecretLocation,
    SecretValue,
};

use crate::support::{Authority, Upstream, any_rule, outbound, quick, redirect, text};

/// A token with characters that each location encodes differently.
pub(crate) const TOKEN: &str = "s3cret/t0k+n=9";
pub(crate) const TOKEN_ENCODED: &str = "s3cret%2Ft0k%2Bn%3D9";
/// The base64 of `me:` and the token.
pub(crate) const CREDENTIAL: &str = "bWU6czNjcmV0L3QwaytuPTk=";

pub(crate) fn header(name: &'static str) -> SecretLocation {
    SecretLocation::Header(HeaderName::from_static(name))
}

pub(crate) fn attachment(rule: &str, place: SecretLocation, template: &str) -> SecretInjection {
    let value = SecretValue::new(TOKEN).unwrap();
    SecretInjection::new(
        rule.parse().unwrap(),
        place,
        template.parse().unwrap(),
        value,
    )
    .unwrap()
}

pub(crate) fn one(rule: &str, place: SecretLocation, template: &str) -> SecretInjections {
    SecretInjections::new(vec![attachment(rule, place, template)]).unwrap()
}

pub(crate) async fn send(
    egress: &Egress,
    secrets: &SecretInjections,
    request: Builder,
) -> Result<Response<Bytes>, Error> {
    let rules = any_rule();
    let context = Outbound {
        secrets,
        ..outbound(&rules)
    };
    let request: Request<Bytes> = request.body(Bytes::from_static(b"own body")).unwrap();
    egress.send(&context, request).await
}

/// The requests that arrived at servers, whole, as text.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, request: &Parts, body: &Bytes) {
        let mut line = format!("{} {}", request.method, request.uri.path());
        if let Some(query) = request.uri.query() {
            line += &format!("?{query}");
        }
        for (name, value) in &request.headers {
            line += &format!("\n{name}: {}", value.to_str().unwrap());
        }
        line += &format!("\n\n{}", String::from_utf8_lossy(body));
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn only(&self) -> String {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

fn carries_secret(request: &str) -> bool {
    [TOKEN, TOKEN_ENCODED, CREDENTIAL]
        .iter()
        .any(|text| request.contains(text))
}

/// Two servers with TLS and one without, which all answer by the name `api.test`, and the first by
/// `other.test`.
struct World {
    seen: Seen,
    egress: Egress,
    tls: Upstream,
    tls2: Upstream,
    plain: Upstream,
    _other: Upstream,
}

impl World {
    /// `/STATUS?to=LOCATION` redirects.
    async fn new() -> World {
        let authority = Authority::new();
        let seen = Seen::default();
        let answer = |seen: Seen| {
            move |request: &Parts, body: Bytes| {
                seen.add(request, &body);
                let status = request.uri.path().rsplit('/').next().unwrap_or_default();
                match (status.parse(), request.headers.get("x-to")) {
                    (Ok(status), Some(to)) => redirect(status, to.to_str().unwrap()),
                    _ => text(200, "end"),
                }
            }
        };
        let name = "api.test";
        let tls = Upstream::https(authority.server(name, &["h2"]), answer(seen.clone())).await;
        let tls2 = Upstream::https(authority.server(name, &[]), answer(seen.clone())).await;
        let plain = Upstream::http(answer(seen.clone())).await;
        let other = authority.server("other.test", &[]);
        let other = Upstream::https(other, answer(seen.clone())).await;
        let pin = vec![
            tls.pin(name),
            tls2.pin(name),
            plain.pin(name),
            // One port, two names.
            Pin {
                host: "other.test".into(),
                port: tls.port(),
                to: other.address,
            },
        ];
        let egress = Egress::new(Config {
            pin,
            ca_files: vec![authority.file().await],
            ..quick()
        })
        .unwrap();
        World {
            seen,
            egress,
            tls,
            tls2,
            plain,
            _other: other,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://api.test:{}{path}", self.tls.port())
    }

    fn rule(&self, methods: &str, path: &str) -> String {
        format!("{methods} {}", self.url(path))
    }

    async fn send(&self, secrets: &SecretInjections, request: Builder) {
        send(&self.egress, secrets, request).await.unwrap();
    }
}

#[tokio::test]
async fn each_location_is_filled_and_replaces_the_functions_value() {
    let world = World::new().await;
    let rule = format!("* https://api.test:{}", world.tls.port());
    let rule2 = format!("* https://api.test:{}", world.tls2.port());
    // HTTP/2, then HTTP/1.1.
    for (rule, server) in [(&rule, &world.tls), (&rule2, &world.tls2)] {
        let request = || {
            Request::post(format!(
                "https://api.test:{}/p?a=%2F&key=mine&b",
                server.port()
            ))
            .header("authorization", "mine")
            .header("x-key", "mine")
            .header("x-key", "mine, too")
        };
        let bearer = one(rule, header("authorization"), "Bearer {T}");
        world.send(&bearer, request()).await;
        let seen = world.seen.only();
        assert!(
            seen.contains(&format!("\nauthorization: Bearer {TOKEN}\n")),
            "{seen}"
        );
        assert!(seen.contains("\nx-key: mine\nx-key: mine, too\n"), "{seen}");
        assert!(seen.starts_with("POST /p?a=%2F&key=mine&b\n"), "{seen}");
        assert!(seen.ends_with("\n\nown body"), "{seen}");
        assert_eq!(seen.matches("authorization").count(), 1, "{seen}");

        world
            .send(&one(rule, header("x-key"), "{T}"), request())
            .await;
        let seen = world.seen.only();
        assert!(seen.contains(&format!("\nx-key: {TOKEN}\n")), "{seen}");
        assert_eq!(seen.matches("x-key").count(), 1, "{seen}");
        assert!(seen.contains("\nauthorization: mine\n"), "{seen}");

        let query = one(rule, SecretLocation::Query("key".into()), "{T}");
        world.send(&query, request()).await;
        let seen = world.seen.only();
        assert!(
            seen.starts_with(&format!("POST /p?a=%2F&b&key={TOKEN_ENCODED}\n")),
            "{seen}"
        );

        let basic = one(rule, SecretLocation::Basic { user: "me".into() }, "{T}");
        world.send(&basic, request()).await;
        let seen = world.seen.only();
        assert!(
            seen.contains(&format!("\nauthorization: Basic {CREDENTIAL}\n")),
            "{seen}"
        );
        assert_eq!(seen.matches("authorization").count(), 1, "{seen}");
    }
}

#[tokio::test]
async fn only_requests_that_the_rule_allows_carry_it() {
    let world = World::new().await;
    let other = format!("https://other.test:{}/v3/x", world.tls.port());
    let port = format!("https://api.test:{}/v3/x", world.tls2.port());
    let plain = world.plain.url("api.test", "/v3/x");
    let rule = world.rule("POST,PUT", "/v3");
    for place in [
        header("x-key"),
        SecretLocation::Query("key".into()),
        SecretLocation::Basic { user: "me".into() },
    ] {
        let secrets = one(&rule, place.clone(), "{T}");
        for (method, url, carries) in [
            ("POST", &world.url("/v3/x"), true),
            ("PUT", &world.url("/v3"), true),
            ("GET", &world.url("/v3/x"), false),
            ("DELETE", &world.url("/v3/x"), false),
            ("POST", &world.url("/v2/x"), false),
            ("POST", &world.url("/v3x"), false),
            ("POST", &world.url("/"), false),
            ("POST", &world.url("/v3/..%2fx"), false),
            ("POST", &other, false),
            ("POST", &port, false),
            ("POST", &plain, false),
        ] {
            let request = Request::builder().method(method).uri(url);
            world.send(&secrets, request).await;
            let seen = world.seen.only();
            assert_eq!(
                carries_secret(&seen),
                carries,
                "{place:?} {method} {url}: {seen}"
            );
        }
    }
}

/// The scheme of a rule is exact: pinned or not, `https` does not allow `http`, and only a rule that says `http` sends
/// a secret in the clear.
#[tokio::test]
async fn a_secret_is_in_the_clear_only_by_a_rule_for_http() {
    let world = World::new().await;
    let port = world.plain.port();
    let url = world.plain.url("api.test", "/");
    for (rule, carries) in [
        (format!("* https://api.test:{port}"), false),
        ("* https://*:*".to_owned(), false),
        (format!("* http://api.test:{port}"), true),
    ] {
        let secrets = one(&rule, header("x-key"), "{T}");
        world.send(&secrets, Request::get(&url)).await;
        assert_eq!(carries_secret(&world.seen.only()), carries, "{rule}");
    }
}

#[tokio::test]
async fn the_rule_is_checked_again_for_a_redirect() {
    let world = World::new().await;
    let other = format!("https://other.test:{}/v3/x", world.tls.port());
    let port = format!("https://api.test:{}/v3/x", world.tls2.port());
    let plain = world.plain.url("api.test", "/v3/x");
    for place in [
        header("authorization"),
        header("x-key"),
        SecretLocation::Query("key".into()),
        SecretLocation::Basic { user: "me".into() },
    ] {
        let secrets = one(&world.rule("*", "/v3"), place.clone(), "{T}");
        for status in [301, 302, 303, 307, 308] {
            for (to, carries) in [
                ("/v3/x", true),
                ("x?key=mine", true),
                (&*world.url("/v3/y"), true),
                ("/v4/x", false),
                ("/v3/../x", false),
                ("/v3/..%2fx", false),
                (&other, false),
                (&port, false),
                (&plain, false),
            ] {
                let request = Request::post(world.url(&format!("/v3/{status}"))).header("x-to", to);
                world.send(&secrets, request).await;
                let seen = world.seen.take();
                assert_eq!(seen.len(), 2, "{seen:?}");
                assert!(carries_secret(&seen[0]), "{seen:?}");
                assert_eq!(
                    carries_secret(&seen[1]),
                    carries,
                    "{place:?} {status} {to}: {seen:?}"
                );
            }
        }
    }

    // A redirect into the rule: the second hop carries the secret, although the first did not.
    let secrets = one(&world.rule("*", "/v3"), header("x-key"), "{T}");
    let request = Request::post(world.url("/v2/307")).header("x-to", "/v3/x");
    world.send(&secrets, request).await;
    let seen = world.seen.take();
    assert!(
        !carries_secret(&seen[0]) && carries_secret(&seen[1]),
        "{seen:?}"
    );

    // A rule for POST, and the GET that 303 makes of it.
    let secrets = one(&world.rule("POST", "/v3"), header("x-key"), "{T}");
    for (status, carries) in [(303, false), (307, true)] {
        let request = Request::post(world.url(&format!("/v3/{status}"))).header("x-to", "/v3/x");
        world.send(&secrets, request).await;
        assert_eq!(carries_secret(&world.seen.take()[1]), carries, "{status}");
    }
}

/// A server that knows the token writes it into the location of a redirect.
#[tokio::test]
async fn a_location_carries_no_secret_out_of_the_rule() {
    let world = World::new().await;
    let secrets = one(
        &world.rule("*", "/v3"),
        SecretLocation::Query("key".into()),
        "{T}",
    );
    for echo in [
        TOKEN,
        TOKEN_ENCODED,
        "S3CRET/T0K%2bN=9",
        "czNjcmV0L3QwaytuPTk",
    ] {
        for (to, becomes) in [
            (
                format!("/out?key={echo}&a=b"),
                "POST /out?key=***&a=b\n".to_owned(),
            ),
            (format!("/out/{echo}/x"), "POST /out/***/x\n".to_owned()),
            // Within the rule it is attached as always, and only once.
            (
                format!("/v3/in?key={echo}&a=b"),
                format!("POST /v3/in?a=b&key={TOKEN_ENCODED}\n"),
            ),
        ] {
            let request = Request::post(world.url("/v3/307")).header("x-to", &to);
            world.send(&secrets, request).await;
            // This header is the function's own and arrives unchanged.
            let seen = world.seen.take()[1].replace(&format!("x-to: {to}"), "");
            assert!(seen.starts_with(&becomes), "{to}: {seen}");
        }
    }
}

#[tokio::test]
async fn the_response_is_requested_whole_and_unencoded() {
    let world = World::new().await;
    let secrets = one(&world.rule("*", "/v3"), header("x-key"), "{T}");
    let request = |path| {
        Request::get(world.url(path))
            .header("accept-encoding", "gzip")
            .header("range", "bytes=0-1")
            .header("if-range", "x")
    };
    world.send(&secrets, request("/v3")).await;
    let seen = world.seen.only();
    assert!(seen.contains("\naccept-encoding: identity\n"), "{seen}");
    assert!(!seen.contains("gzip") && !seen.contains("range"), "{seen}");
    // Without a secret the function decides, until a hop carries one.
    world.send(&secrets, request("/v2")).await;
    let seen = world.seen.only();
    assert!(seen.contains("gzip") && seen.contains("if-range"), "{seen}");
    world
        .send(&secrets, request("/v3/307").header("x-to", "/v2"))
        .await;
    let seen = world.seen.take();
    assert!(
        !seen[1].contains("gzip") && !seen[1].contains("range"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn the_first_of_two_secrets_for_one_location_applies() {
    let world = World::new().await;
    let rule = world.rule("*", "/v3");
    let list = ["first {T}", "second {T}"].map(|t| attachment(&rule, header("x-key"), t));
    let secrets = SecretInjections::new(list.into()).unwrap();
    world.send(&secrets, Request::get(world.url("/v3"))).await;
    let seen = world.seen.only();
    assert!(
        seen.contains(&format!("\nx-key: first {TOKEN}\n")),
        "{seen}"
    );
    assert_eq!(seen.matches("x-key").count(), 1, "{seen}");
}
