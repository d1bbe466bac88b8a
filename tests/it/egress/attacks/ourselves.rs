//! Section 5: a function never reaches the addresses where this server listens, and by its public name it reaches only
//! functions.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use iof_tests::{server::Server, upstream::Upstream};

use super::{
    cases::{self, Case},
    dns::{Dns, DnsAnswer},
    paths::{AttackRequest, EgressPath, World, on_every_path},
    servers::{Evil, pin, redirecting},
    table::REDIRECTS,
};

/// A text that no function may see.
const MANAGEMENT: &str = "/api/executables";

/// Free ports for the server's listeners, which pins have to name before it starts.
fn ports() -> [u16; 2] {
    let probes = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    probes.map(|probe| probe.local_addr().unwrap().port())
}

/// Addresses that mean this machine, of those that it has.
fn of_this_machine() -> Vec<IpAddr> {
    let loopback = [
        "127.0.0.1",
        "127.0.0.2",
        "127.255.255.254",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
    ];
    let mut addresses: Vec<IpAddr> = loopback.map(|text| text.parse().unwrap()).to_vec();
    // Those by which it would reach the world, if it has any: nothing is sent.
    for (from, to) in [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")] {
        let socket = UdpSocket::bind(from);
        let connected =
            socket.and_then(|socket| socket.connect(to).and_then(|()| socket.local_addr()));
        addresses.extend(connected.map(|address| address.ip()));
    }
    addresses.retain(|address| UdpSocket::bind(SocketAddr::new(*address, 0)).is_ok());
    addresses.dedup();
    addresses
}

on_every_path!(
    no_listener_is_reached,
    by_the_public_name,
    by_the_public_name_on_the_other_port;
    wasi_http: no_listener_is_reached,
);

async fn no_listener_is_reached(ways: &[EgressPath]) {
    let (evil, good) = (Evil::start().await, Upstream::start().await);
    let dns = Dns::start(|_| DnsAnswer::are(&["127.0.0.1"])).await;
    let [http, https] = ports();
    let mut pins = format!("{}{}", evil.pin("start.test"), good.pin("good.test", 80));
    let reason = "where this server listens";
    let mut targets = Vec::new();
    for (listener, port) in [("http", http), ("https", https)] {
        for (index, address) in of_this_machine().into_iter().enumerate() {
            let name = format!("{listener}-{index}.test");
            for (scheme, from) in [("http", 80), ("https", 443)] {
                pins.push_str(&pin(&name, from, SocketAddr::new(address, port)));
                targets.push((format!("{scheme}://{name}"), "egress-dns", reason));
            }
        }
        // An address that is pinned to itself stays what it is.
        pins.push_str(&pin(
            "127.0.0.1",
            port,
            SocketAddr::from(([127, 0, 0, 1], port)),
        ));
        for scheme in ["http", "https"] {
            targets.push((
                format!("{scheme}://127.0.0.1:{port}"),
                "egress-address",
                reason,
            ));
            for host in ["127.0.0.2", "[::1]", "0.0.0.0", "2130706433"] {
                // 127.0.0.1, however it is written, is the pinned one.
                let log = if host == "2130706433" { reason } else { "" };
                targets.push((format!("{scheme}://{host}:{port}"), "egress-address", log));
            }
            for host in ["localhost", "a.name.test"] {
                targets.push((format!("{scheme}://{host}:{port}"), "egress-dns", "blocked"));
            }
        }
    }
    let config = format!(
        "[defaults]\noutbound = [\"* http://*:*\", \"* https://*:*\"]\n[egress]\n{}{pins}",
        dns.setting()
    );
    let server = Server::builder().config(config).tls();
    let server = server.arg("--listen").arg(format!("127.0.0.1:{http}"));
    let server = server
        .arg("--set")
        .arg(format!("tls.listen=127.0.0.1:{https}"));
    let world = World::of(server.start().await, ways).await;
    assert_eq!(world.server.url, format!("http://127.0.0.1:{http}"));
    let tls_url = format!("https://127.0.0.1:{https}");
    assert_eq!(world.server.tls_url.as_deref(), Some(&*tls_url));

    let mut all = Vec::new();
    for (origin, code, log) in targets {
        let url = format!("{origin}{MANAGEMENT}");
        let (scheme, authority) = origin.split_once("://").unwrap();
        // Request options take a host and a port apart.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().unwrap())),
            None => (authority, None),
        };
        let direct = AttackRequest::new(scheme, host, port, MANAGEMENT);
        all.push(Case::logged(url.clone(), direct, code, log));
        for status in REDIRECTS {
            let ask = AttackRequest::http("start.test", &redirecting(status, &url));
            all.push(Case::logged(format!("{status} {url}"), ask, code, log));
        }
    }
    cases::run(&world, ways, all).await;
    // The same machine at another port is the operator's to pin.
    for &way in ways {
        let told = world
            .ask(way, &AttackRequest::http("good.test", "/status/200"))
            .await;
        assert_eq!(told.unwrap().result.unwrap(), b"status 200");
    }
}

/// Requests to `public_url` are calls inside, however they come about, and reach run routes alone.
async fn by_the_public_name(ways: &[EgressPath]) {
    let evil = Evil::start().await;
    let dns = Dns::start(|_| DnsAnswer::are(&["127.0.0.1"])).await;
    let [port, _] = ports();
    let config = format!(
        "public_url = \"http://functions.test:{port}\"\n[defaults]\noutbound = [\"* http://*:*\"]\n[egress]\n{}{}",
        dns.setting(),
        evil.pin("start.test")
    );
    let server = Server::builder().config(config).arg("--listen");
    let server = server.arg(format!("127.0.0.1:{port}")).start().await;
    let world = World::of(server, ways).await;
    let to = |path: &str| AttackRequest::new("http", "functions.test", Some(port), path);
    // Functions are numbered from 1.
    let paths = [
        MANAGEMENT,
        "/api/executables/1",
        "/api/state/1",
        "/api/log/1",
        "/api/keys/1/usage_key",
        "/api/callback/1",
        "/api/update_wasm_binary/1",
        "/api/ephemeral_storage",
        "/healthz",
        "/readyz",
        "/",
        "//api/executables",
        "/api/run/1/../../executables",
        "/api/run/%2e%2e/executables",
        "/api/run/1",
        "/api/run/1/echo/bytes/x",
        "/api/run/1/echo/../../../executables/1",
        "/API/RUN/1/echo",
    ];
    for &way in ways {
        if way.is_command() {
            let all = paths.map(|path| Case::with(path, to(path), "egress-denied"));
            cases::run(&world, &[way], all.to_vec()).await;
            continue;
        }
        for path in paths {
            let told = world.ask(way, &to(path)).await.unwrap();
            let failure = told.result.unwrap_err();
            assert_eq!(failure.code, "callback-route", "{way:?} {path}");
        }
        let told = world.ask(way, &to("/api/run/1/echo")).await.unwrap();
        told.result.expect("functions are there");
        assert!(world.outbound().is_empty(), "{:?}", world.outbound());
        assert!(!dns.was_asked_for("functions.test"));
    }
    let all = REDIRECTS.map(|status| {
        let location = format!("http://functions.test:{port}{MANAGEMENT}");
        let ask = AttackRequest::http("start.test", &redirecting(status, &location));
        Case::with(format!("{status} {location}"), ask, "egress-denied")
    });
    cases::run(&world, ways, all.to_vec()).await;
    assert!(!dns.was_asked_for("functions.test"));
}

/// A proxy in front of a server forwards the ports of both schemes.
async fn by_the_public_name_on_the_other_port(ways: &[EgressPath]) {
    let evil = Evil::start().await;
    let dns = Dns::start(|_| DnsAnswer::are(&[super::table::NOWHERE])).await;
    let config = format!(
        "public_url = \"https://functions.test\"\n[egress]\nconnect_timeout = \"2s\"\n{}{}",
        dns.setting(),
        evil.pin("start.test")
    );
    let world = World::start(config, ways).await;
    let url = format!("http://functions.test{MANAGEMENT}");
    let redirected = REDIRECTS.map(|status| {
        let ask = AttackRequest::http("start.test", &redirecting(status, &url));
        Case::with(format!("{status}"), ask, "egress-denied")
    });
    cases::run(&world, ways, redirected.to_vec()).await;
    for &way in ways {
        let told = world
            .ask(way, &AttackRequest::http("functions.test", MANAGEMENT))
            .await;
        let failure = told.unwrap().result.unwrap_err();
        let denied = matches!(&*failure.code, "callback-route" | "exit 3");
        assert!(denied, "{way:?}: {failure:?}");
    }
    assert!(!dns.was_asked_for("functions.test"));
}
