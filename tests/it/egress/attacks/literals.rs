//! Sections 1 to 4 and 8: the table as URLs, and as targets of redirects.

use iof_tests::upstream::Upstream;
use serde_json::json;

use super::{
    cases::{self, Case, Ends},
    dns::{Dns, DnsAnswer},
    paths::{AttackRequest, EgressPath, World, on_every_path},
    servers::{Evil, Victim, redirecting},
    table::{HOSTS, LOCAL_NAMES, MISSPELT, NOWHERE, REDIRECTS},
};

/// Everything is allowed that the policy of addresses may stop, and every name leads to nobody.
async fn open(more: &str) -> (Dns, String) {
    let dns = Dns::start(|_| DnsAnswer::are(&[NOWHERE])).await;
    let config = format!(
        "[defaults]\noutbound = [\"* http://*:*\", \"* https://*:*\"]\n\
         [egress]\nconnect_timeout = \"2s\"\ndeny = [\"3ffe:dead::/32\"]\n{}{more}",
        dns.setting()
    );
    (dns, config)
}

on_every_path!(directly, as_what_a_redirect_leads_to, over_tls; wasi_http: directly, over_tls);

async fn directly(ways: &[EgressPath]) {
    let victim = Victim::start().await;
    let (dns, config) = open("").await;
    let world = World::start(config, ways).await;
    let port = victim.port;
    let mut all = Vec::new();
    for host in HOSTS {
        for (scheme, port) in [("http", Some(port)), ("https", Some(port)), ("https", None)] {
            let name = format!("{} {scheme}://{} {port:?}", host.section, host.spelling);
            let ask = AttackRequest::new(scheme, host.spelling, port, "/");
            all.push(Case::logged(name, ask, "egress-address", host.class));
        }
    }
    for name in LOCAL_NAMES {
        let ask = AttackRequest::new("http", name, Some(port), "/");
        let reason = "a name of this machine";
        all.push(Case::logged(*name, ask, "egress-dns", reason));
    }
    for text in MISSPELT {
        let text = text.replace("PORT", &port.to_string());
        all.push(Case::new(
            text.clone(),
            AttackRequest::url(text),
            Ends::Misspelt,
        ));
    }
    // The host is what stands before the fragment, or the query.
    for path in [
        "#@allowed.test/",
        "?@allowed.test/",
        "/@allowed.test",
        "/#@allowed.test",
    ] {
        let url = format!("http://127.0.0.1:{port}{path}");
        all.push(Case::logged(
            path,
            AttackRequest::url(url),
            "egress-address",
            "loopback",
        ));
    }
    all.extend(options(port));
    cases::run(&world, ways, all).await;
    victim.assert_unharmed().await;
    for name in ["localhost", "ip6-localhost", "localhost.localdomain"] {
        assert!(
            !dns.was_asked_for(name),
            "a name server was asked for {name}"
        );
    }
}

/// Targets that only request options can name.
fn options(port: u16) -> Vec<Case> {
    let plain = "http:";
    let address = [
        json!({ "protocol": plain, "host": "127.0.0.1", "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "host": "allowed.test", "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": port.to_string() }),
        json!({ "protocol": plain, "hostname": format!("127.0.0.1:{port}/x?") }),
        json!({ "protocol": plain, "hostname": format!("127.0.0.1:{port}/#") }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": port, "path": "@allowed.test" }),
        json!({ "hostname": "127.0.0.1", "port": port, "path": "//allowed.test/" }),
    ];
    let misspelt = [
        json!({ "protocol": plain, "hostname": "allowed.test@127.0.0.1", "port": port }),
        json!({ "protocol": plain, "hostname": format!("127.0.0.1:{port}"), "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1\r\n", "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1\\", "port": port }),
        json!({ "protocol": plain, "hostname": "%31%32%37.0.0.1", "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": port, "path": "/ HTTP/1.1\r\nX: 1" }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": port, "path": "/\\x" }),
        json!({ "protocol": plain, "hostname": "", "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": 0 }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": 65536 }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": "" }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": -1 }),
        json!({ "protocol": plain, "hostname": ["127.0.0.1"], "port": port }),
        json!({ "protocol": plain, "hostname": "127.0.0.1", "port": port, "method": "GET / HTTP/1.1\r\nX: 1" }),
        json!({ "protocol": "file:", "hostname": "etc", "path": "/passwd" }),
        json!({ "protocol": "ftp:", "hostname": "127.0.0.1", "port": port }),
        json!({ "protocol": "http://127.0.0.1:80/?", "hostname": "allowed.test" }),
    ];
    let address = address.iter().map(|options| {
        let ask = AttackRequest::options(options);
        Case::logged(options.to_string(), ask, "egress-address", "loopback")
    });
    let misspelt = misspelt.iter().map(|options| {
        Case::new(
            options.to_string(),
            AttackRequest::options(options),
            Ends::Misspelt,
        )
    });
    address.chain(misspelt).collect()
}

async fn as_what_a_redirect_leads_to(ways: &[EgressPath]) {
    let (victim, evil) = (Victim::start().await, Evil::start().await);
    let (_dns, config) = open(&evil.pin("start.test")).await;
    let world = World::start(config, ways).await;
    let port = victim.port;
    let mut locations = Vec::new();
    for host in HOSTS {
        for form in ["http://", "HTTP://", "https://", "//"] {
            let location = format!("{form}{}:{port}/", host.spelling);
            locations.push((location, "egress-address", host.class));
        }
    }
    for name in LOCAL_NAMES {
        let location = format!("http://{name}:{port}/");
        locations.push((location, "egress-dns", "a name of this machine"));
    }
    // A header has no line breaks, and two slashes are enough for a place to redirect to.
    let sendable = MISSPELT
        .iter()
        .filter(|text| !text.contains(['\r', '\n', '\0']) && !text.starts_with('/'));
    for text in sendable {
        locations.push((text.replace("PORT", &port.to_string()), "egress-url", ""));
    }
    for text in [
        "/\\127.0.0.1:PORT/",
        "\\\\127.0.0.1:PORT/",
        "//a@127.0.0.1:PORT/",
    ] {
        locations.push((text.replace("PORT", &port.to_string()), "egress-url", ""));
    }
    let all = locations.iter().flat_map(|(location, code, log)| {
        // Every status with the plainest form, one of them with each of the others.
        let statuses: &[u16] = match location.starts_with("http://") {
            true => &REDIRECTS,
            false => &[307],
        };
        statuses.iter().map(move |&status| {
            let ask = AttackRequest::http("start.test", &redirecting(status, location));
            Case::logged(format!("{status} {location}"), ask, code, *log)
        })
    });
    let mut all: Vec<_> = all.collect();
    // Behind good ones, up to the last that is followed.
    let mut location = format!("http://127.0.0.1:{port}/");
    for hop in 1..=9 {
        location = format!("http://start.test{}", redirecting(302, &location));
        let ask = AttackRequest::http("start.test", &redirecting(307, &location));
        let title = format!("{hop} good hops");
        all.push(Case::logged(title, ask, "egress-address", "loopback"));
    }
    cases::run(&world, ways, all).await;
    victim.assert_unharmed().await;
}

/// From a real HTTPS server with a certificate that counts, whose word is worth no more.
async fn over_tls(ways: &[EgressPath]) {
    let victim = Victim::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let start = Upstream::start_tls(&["start.test"]).await;
    start.write_ca(&ca);
    let more = format!("ca_files = [{ca:?}]\n{}", start.pin("start.test", 443));
    let (_dns, config) = open(&more).await;
    let world = World::start(config, ways).await;
    // Those that a query can carry as they are.
    let all = HOSTS.iter().filter(|host| host.spelling.is_ascii());
    let all = all.flat_map(|host| {
        let location = format!("http://{}:{}/", host.spelling, victim.port);
        REDIRECTS.map(|status| {
            let path = format!("/redirect/{status}?{location}");
            let ask = AttackRequest::new("https", "start.test", None, &path);
            let name = format!("{status} {location}");
            Case::logged(name, ask, "egress-address", host.class)
        })
    });
    cases::run(&world, ways, all.collect()).await;
    victim.assert_unharmed().await;
    assert!(!start.seen().is_empty());
}
