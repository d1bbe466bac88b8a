//! Section 6: the addresses of the table as what a name server says, in the first answer or in the second, alone or
//! among good ones, at the end of other names; and what is told of it.

use std::net::SocketAddr;

use iof_tests::upstream::Upstream;

use super::{
    cases::{self, Case, Ends},
    dns::{Dns, DnsAnswer, Question, parse},
    paths::{AttackRequest, EgressPath, World, on_every_path},
    servers::{Evil, Victim, redirecting},
    table::{HOSTS, Host, NOWHERE, REDIRECTS},
};

/// A server that asks `dns`, and whose functions may request anything of any name.
async fn world(dns: &Dns, pins: &str, ways: &[EgressPath]) -> World {
    let config = format!(
        "[defaults]\noutbound = [\"* http://*:*\", \"* https://*:*\"]\n\
         [egress]\ndeny = [\"3ffe:dead::/32\"]\n{}{pins}",
        dns.setting()
    );
    World::start(config, ways).await
}

/// The rows of the table with an address of their own: a name server does not spell.
fn addresses() -> Vec<&'static Host> {
    let mut hosts: Vec<&Host> = HOSTS.iter().collect();
    hosts.sort_by_key(|host| host.address);
    hosts.dedup_by_key(|host| host.address);
    hosts
}

/// The words of the log for a name that led to it.
fn reason(host: &Host) -> String {
    let address = parse(&[host.address])[0];
    format!("blocked: {address} is {}", host.class)
}

/// A question for `FORM-INDEX.test`: the form, and the address of that index.
fn asked<'a>(question: &Question<'a>) -> Option<(&'a str, &'static str)> {
    let (form, index) = question.name.strip_suffix(".test")?.rsplit_once('-')?;
    let host = addresses().into_iter().nth(index.parse().ok()?)?;
    Some((form, host.address))
}

on_every_path!(
    as_an_answer,
    as_the_second_answer_and_among_good_ones,
    a_long_chain_is_given_up,
    blocked_and_missing_look_alike,
    a_connection_serves_no_other_name;
    wasi_http: as_an_answer,
    as_the_second_answer_and_among_good_ones,
    a_long_chain_is_given_up,
    a_connection_serves_no_other_name,
);

/// As A or AAAA, behind a CNAME in the same answer and in another, and over TCP; directly and after redirects.
async fn as_an_answer(ways: &[EgressPath]) {
    let (victim, evil) = (Victim::start().await, Evil::start().await);
    let dns = Dns::start(|question| match asked(question) {
        Some(("is", address)) => DnsAnswer::are(&[address]),
        Some(("alias", _)) => DnsAnswer::Alias(question.name.replace("alias", "is")),
        Some(("chain", address)) => {
            let names = ["one.test", "two.test", "three.test"];
            DnsAnswer::Chain(names.map(str::to_owned).to_vec(), parse(&[address]))
        }
        Some(("long", _)) if !question.tcp => DnsAnswer::Truncated,
        Some(("long", address)) => DnsAnswer::are(&[address]),
        _ => DnsAnswer::Missing,
    })
    .await;
    let world = world(&dns, &evil.pin("start.test"), ways).await;
    let mut all = Vec::new();
    for (index, host) in addresses().into_iter().enumerate() {
        for form in ["is", "alias", "chain", "long"] {
            let name = format!("{form}-{index}.test");
            let ask = AttackRequest::new("http", &name, Some(victim.port), "/");
            let title = format!("{form} {}", host.address);
            all.push(Case::logged(title, ask, "egress-dns", reason(host)));
        }
        for status in REDIRECTS {
            let location = format!("http://is-{index}.test:{}/", victim.port);
            let ask = AttackRequest::http("start.test", &redirecting(status, &location));
            let title = format!("{status} to a name at {}", host.address);
            all.push(Case::logged(title, ask, "egress-dns", reason(host)));
        }
    }
    cases::run(&world, ways, all).await;
    victim.assert_unharmed().await;
}

/// Rebinding: names whose first answer has a good address, alone or among bad ones, and whose next answers are bad. The
/// good address is nobody's, so that the first request fails to connect, which shows that the address was let through.
/// Were the name asked for again between the check and the connection, or checked only once, or all addresses taken
/// because one is good, the bad address would be reached.
async fn as_the_second_answer_and_among_good_ones(ways: &[EgressPath]) {
    let (victim, evil) = (Victim::start().await, Evil::start().await);
    let dns = Dns::start(|question| {
        let Some((form, address)) = asked(question) else {
            return DnsAnswer::Missing;
        };
        match form.rsplit_once('-') {
            _ if question.before > 0 => DnsAnswer::are(&[address]),
            Some((_, "before")) => DnsAnswer::are(&[address, NOWHERE]),
            Some((_, "after")) => {
                DnsAnswer::Chain(vec!["end.test".into()], parse(&[NOWHERE, address]))
            }
            _ => DnsAnswer::are(&[NOWHERE]),
        }
    })
    .await;
    let pins = format!("connect_timeout = \"4s\"\n{}", evil.pin("start.test"));
    let mut world = world(&dns, &pins, ways).await;
    for _ in 0..3 {
        world.add_functions(ways).await;
    }
    let (world, port) = (&world, victim.port);
    // A name has one first time, so each way has names of its own.
    let each = ways.iter().map(|&way| async move {
        let mut names = Vec::new();
        for (index, host) in addresses().into_iter().enumerate() {
            let way = format!("{way:?}").to_lowercase().replace(['(', ')'], "");
            let among = if index % 2 == 0 { "before" } else { "after" };
            names.push((format!("{way}-alone-{index}.test"), host));
            names.push((format!("{way}-{among}-{index}.test"), host));
        }
        let ask = |name: &str| AttackRequest::new("http", name, Some(port), "/");
        let first = names.iter().map(|(name, host)| {
            let bad = SocketAddr::new(parse(&[host.address])[0], port);
            let title = format!("first {name}, then {bad}");
            Case::new(title, ask(name), Ends::Nowhere(bad.to_string()))
        });
        cases::run(world, &[way], first.collect()).await;
        let second = names.iter().flat_map(|(name, host)| {
            let location = format!("http://{name}:{port}/");
            let redirected = AttackRequest::http("start.test", &redirecting(307, &location));
            [ask(name), redirected].map(|ask| {
                let title = format!("second, {name} at {}", host.address);
                Case::logged(title, ask, "egress-dns", reason(host))
            })
        });
        cases::run(world, &[way], second.collect()).await;
    });
    futures::future::join_all(each).await;
    victim.assert_unharmed().await;
}

async fn a_long_chain_is_given_up(ways: &[EgressPath]) {
    let victim = Victim::start().await;
    let dns = Dns::start(|question| match question.name.split_once('.') {
        Some(("circle", _)) => DnsAnswer::Alias("circle.test".into()),
        Some(("0", "bad.test")) => DnsAnswer::are(&["127.0.0.1"]),
        Some((number, rest)) => match number.parse::<u32>() {
            Ok(number) if number > 0 => DnsAnswer::Alias(format!("{}.{rest}", number - 1)),
            _ => DnsAnswer::Missing,
        },
        None => DnsAnswer::Missing,
    })
    .await;
    let world = world(&dns, "", ways).await;
    let all = [
        ("circle.test", ""),
        ("300.bad.test", ""),
        ("5.bad.test", "blocked: 127.0.0.1"),
    ];
    let all = all.map(|(name, log)| {
        let ask = AttackRequest::new("http", name, Some(victim.port), "/");
        Case::logged(name, ask, "egress-dns", log)
    });
    cases::run(&world, ways, all.to_vec()).await;
    victim.assert_unharmed().await;
    assert!(!dns.was_asked_for("150.bad.test"), "the chain was followed");
}

/// To the function and its caller; the operator sees which is which.
async fn blocked_and_missing_look_alike(ways: &[EgressPath]) {
    let evil = Evil::start().await;
    let dns = Dns::start(|question| match question.name {
        "blocked.test" => DnsAnswer::are(&["10.1.2.3", "127.0.0.1"]),
        "aliased.test" => DnsAnswer::Alias("blocked.test".into()),
        _ => DnsAnswer::Missing,
    })
    .await;
    let world = world(&dns, &evil.pin("start.test"), ways).await;
    for &way in ways {
        for redirected in [false, true] {
            let mut told = Vec::new();
            for name in [
                "missing.test",
                "blocked.test",
                "aliased.test",
                "ip6-localhost",
            ] {
                let ask = match redirected {
                    false => AttackRequest::http(name, "/"),
                    true => {
                        let location = format!("http://{name}/");
                        AttackRequest::http("start.test", &redirecting(302, &location))
                    }
                };
                let failure = world.ask(way, &ask).await.unwrap().result.unwrap_err();
                assert!(failure.words.contains(name), "{failure:?}");
                told.push((failure.code, failure.words.replace(name, "NAME")));
            }
            let missing = &told[0];
            assert!(
                missing.1.to_lowercase().contains("no such host: name"),
                "{missing:?}"
            );
            assert!(told.iter().all(|told| told == missing), "{way:?}: {told:?}");
            let has_next_step = missing.1.contains("Check its spelling");
            assert_eq!(has_next_step, way.is_command(), "{missing:?}");
        }
    }
    let log = "blocked: 10.1.2.3 is private, 127.0.0.1 is loopback";
    let all = [
        ("blocked.test", log),
        ("aliased.test", log),
        ("missing.test", ""),
    ];
    let all = all
        .map(|(name, log)| Case::logged(name, AttackRequest::http(name, "/"), "egress-dns", log));
    cases::run(&world, ways, all.to_vec()).await;
    for record in world.outbound().values() {
        if record["upstream"] == "http://missing.test" {
            let detail = record["detail"].as_str().unwrap();
            assert!(!detail.contains("blocked"), "{detail}");
        }
    }
}

/// Over HTTP/2 one connection could carry requests for every name in its certificate (RFC 9113 section 9.1.1). Another
/// name is another upstream here: it is resolved, and its addresses are checked.
async fn a_connection_serves_no_other_name(ways: &[EgressPath]) {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let upstream = Upstream::start_tls(&["good.test", "bad.test"]).await;
    upstream.write_ca(&ca);
    let dns = Dns::start(|_| DnsAnswer::are(&["127.0.0.1"])).await;
    let port = upstream.address().port();
    let more = format!("ca_files = [{ca:?}]\n{}", upstream.pin("good.test", port));
    let world = world(&dns, &more, ways).await;
    for &way in ways {
        let good = AttackRequest::new("https", "good.test", Some(port), "/status/200");
        let told = world.ask(way, &good).await.unwrap();
        assert_eq!(told.result.unwrap(), b"status 200");
    }
    let count = upstream.seen().len();
    let location = format!("https://bad.test:{port}/status/200");
    let all = [
        AttackRequest::new("https", "bad.test", Some(port), "/status/200"),
        AttackRequest::new(
            "https",
            "good.test",
            Some(port),
            &format!("/redirect/308?{location}"),
        ),
    ];
    let all = all.map(|ask| Case::logged(format!("{ask:?}"), ask, "egress-dns", "is loopback"));
    cases::run(&world, ways, all.to_vec()).await;
    let seen = upstream.seen().split_off(count);
    assert!(
        seen.iter().all(|seen| seen.path.starts_with("/redirect")),
        "{seen:?}"
    );
}
