//! Requests: nothing inside is reached, whatever leads there, and nothing that no rule allows. A part of the list of
//! `egress/attacks`, which a core function and a component that answers HTTP requests go through as a whole.

use super::scenario;
use crate::egress::attacks::{
    cases::{self, Case},
    dns::{Dns, DnsAnswer},
    paths::{AttackRequest, EgressPath, World},
    servers::{Evil, Victim, redirecting},
    table::HOSTS,
};
use iof_tests::kinds::Kind;
use iof_tests::upstream::Upstream;

/// The paths by which requests of a kind leave.
fn ways(kind: Kind) -> Vec<EgressPath> {
    let mut ways = vec![EgressPath::Command(kind)];
    if kind.is_component() {
        ways.push(EgressPath::WasiHttp(kind));
    }
    ways
}

scenario!(
    nothing_inside_is_reached:
    core_program = CoreProgram,
    typed_component = TypedComponent,
    program_component = ProgramComponent,
    async_typed_component = AsyncTypedComponent,
    async_program_component = AsyncProgramComponent,
    async_http_component = AsyncHttpComponent,
);

/// One host of each class of addresses in a URL, behind a redirect, and as what a name resolves to.
async fn nothing_inside_is_reached(kind: Kind) {
    let (victim, evil) = (Victim::start().await, Evil::start().await);
    let mut hosts: Vec<_> = HOSTS.iter().filter(|host| host.section != 6).collect();
    hosts.sort_by_key(|host| host.class);
    hosts.dedup_by_key(|host| host.class);
    let dns = Dns::start({
        let addresses: Vec<_> = hosts.iter().map(|host| host.address).collect();
        move |question| {
            let index = question.name.strip_prefix("at-");
            let index = index.and_then(|rest| rest.strip_suffix(".test")?.parse::<usize>().ok());
            let address = index.and_then(|index| addresses.get(index));
            address.map_or(DnsAnswer::Missing, |address| DnsAnswer::are(&[address]))
        }
    })
    .await;
    let config = format!(
        "[defaults]\noutbound = [\"* http://*:*\", \"* https://*:*\"]\n[egress]\n{}{}",
        dns.setting(),
        evil.pin("start.test")
    );
    let ways = ways(kind);
    let world = World::start(config, &ways).await;
    let mut all = vec![];
    for (index, host) in hosts.iter().enumerate() {
        let (port, class) = (Some(victim.port), host.class);
        let direct = AttackRequest::new("http", host.spelling, port, "/");
        let title = format!("{} directly", host.spelling);
        all.push(Case::logged(title, direct, "egress-address", class));
        let location = format!("http://{}:{}/", host.spelling, victim.port);
        let redirected = AttackRequest::http("start.test", &redirecting(302, &location));
        let title = format!("302 to {location}");
        all.push(Case::logged(title, redirected, "egress-address", class));
        let name = format!("at-{index}.test");
        let named = AttackRequest::new("http", &name, port, "/");
        let title = format!("a name at {}", host.address);
        all.push(Case::logged(title, named, "egress-dns", class));
    }
    let local = AttackRequest::new("http", "localhost", Some(victim.port), "/");
    let reason = "a name of this machine";
    all.push(Case::logged("localhost", local, "egress-dns", reason));
    cases::run(&world, &ways, all).await;
    victim.assert_unharmed().await;
}

scenario!(
    only_what_a_rule_allows_leaves:
    core_program = CoreProgram,
    typed_component = TypedComponent,
    program_component = ProgramComponent,
    async_typed_component = AsyncTypedComponent,
    async_program_component = AsyncProgramComponent,
    async_http_component = AsyncHttpComponent,
);

async fn only_what_a_rule_allows_leaves(kind: Kind) {
    let upstream = Upstream::start().await;
    let mut config =
        "[defaults]\noutbound = [\"GET http://api.test/v3\", \"* https://secure.test\"]\n"
            .to_owned();
    for host in ["api.test", "secure.test", "other.test"] {
        for port in [80, 443, 8080] {
            config += &upstream.pin(host, port);
        }
    }
    let ways = ways(kind);
    let world = World::start(config, &ways).await;
    let mut all = vec![];
    for (scheme, host, port, path) in [
        ("http", "api.test", None, "/"),
        ("http", "api.test", None, "/v3/../echo"),
        ("http", "api.test", None, "/v3/%2e%2e/echo"),
        ("http", "api.test", Some(8080), "/v3"),
        ("https", "api.test", None, "/v3"),
        ("http", "secure.test", None, "/"),
        ("http", "other.test", None, "/v3"),
        ("http", "169.254.169.254", None, "/"),
    ] {
        let ask = AttackRequest::new(scheme, host, port, path);
        let title = format!("{scheme}://{host} {port:?} {path}");
        all.push(Case::with(title, ask, "egress-denied"));
    }
    let put = AttackRequest::http("api.test", "/v3").method("PUT");
    all.push(Case::with("PUT", put, "egress-denied"));
    cases::run(&world, &ways, all).await;
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    for way in ways {
        let ask = AttackRequest::http("api.test", "/v3/nothing");
        world.ask(way, &ask).await.unwrap().result.unwrap();
    }
    assert!(!upstream.seen().is_empty());
}
