//! Names: the errors that a function sees, and the servers that are queried.

use iof_egress::{Addresses, Config, Egress, Kind};

use crate::dns::{Dns, DnsAnswer, are};
use crate::support::{Upstream, any_rule, get, quick, text};

#[tokio::test]
async fn a_blocked_name_and_a_missing_one_read_alike() {
    let dns = Dns::start(|name, _| match name {
        "blocked.test" => are(&["10.0.0.1", "127.0.0.1"]),
        "empty.test" => are(&[]),
        _ => DnsAnswer::NoSuchName,
    })
    .await;
    let egress = Egress::new(Config {
        dns_servers: vec![dns.address],
        ..quick()
    })
    .unwrap();
    let mut details = Vec::new();
    for name in ["blocked.test", "missing.test", "empty.test", "localhost"] {
        let error = get(&egress, &any_rule(), &format!("http://{name}/"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (Kind::Dns, format!("no such host: {name}"))
        );
        details.push(error.detail().unwrap().to_owned());
    }
    assert_eq!(
        details[0],
        "blocked: 10.0.0.1 is private, 127.0.0.1 is loopback"
    );
    assert!(!details[1].contains("blocked"), "{}", details[1]);
    assert_eq!(details[3], "blocked: a name of this machine");
}

#[tokio::test]
async fn failing_and_silent_name_servers() {
    let dns = Dns::start(|name, _| {
        if name == "fails.test" {
            DnsAnswer::Failure
        } else {
            DnsAnswer::Nothing
        }
    })
    .await;
    let egress = Egress::new(Config {
        dns_servers: vec![dns.address],
        ..quick()
    })
    .unwrap();
    for name in ["fails.test", "silent.test"] {
        let error = get(&egress, &any_rule(), &format!("http://{name}/"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Dns, "{error:?}");
        assert!(!error.to_string().contains("no such host"), "{error}");
    }
}

/// Search domains are not applied: a name is the name that was written.
#[tokio::test]
async fn names_are_absolute() {
    let dns = Dns::start(|_, _| DnsAnswer::NoSuchName).await;
    let egress = Egress::new(Config {
        dns_servers: vec![dns.address],
        ..quick()
    })
    .unwrap();
    for url in ["http://db/", "http://Db./"] {
        assert_eq!(
            get(&egress, &any_rule(), url)
                .await
                .unwrap_err()
                .to_string(),
            "no such host: db"
        );
    }
    let queries = dns.queries();
    assert!(
        queries
            .iter()
            .all(|question| question == "A db" || question == "AAAA db"),
        "{queries:?}"
    );
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let server = Upstream::http(|_, _| text(200, "second")).await;
    // 127.0.0.2 answers, and refuses the connection.
    let dns = Dns::start(|_, _| are(&["127.0.0.2", "127.0.0.1"])).await;
    let config = Config {
        dns_servers: vec![dns.address],
        addresses: Addresses::Any,
        ..quick()
    };
    let egress = Egress::new(config).unwrap();
    assert_eq!(
        get(&egress, &any_rule(), &server.url("two.test", "/"))
            .await
            .unwrap()
            .body(),
        "second"
    );
}

#[tokio::test]
async fn a_pinned_name_is_not_resolved() {
    let server = Upstream::http(|_, _| text(200, "pinned")).await;
    let dns = Dns::start(|_, _| are(&["10.0.0.1"])).await;
    let pin = vec![server.pin("Pinned.Test.")];
    let egress = Egress::new(Config {
        dns_servers: vec![dns.address],
        pin,
        ..quick()
    })
    .unwrap();
    for host in ["pinned.test", "PINNED.test", "pinned.test."] {
        assert_eq!(
            get(&egress, &any_rule(), &server.url(host, "/"))
                .await
                .unwrap()
                .body(),
            "pinned"
        );
    }
    assert!(dns.queries().is_empty());
    assert_eq!(
        get(&egress, &any_rule(), "http://pinned.test/")
            .await
            .unwrap_err()
            .kind(),
        Kind::Dns,
        "another port"
    );
}

/// RFC 8305 section 3: the addresses that have arrived are tried.
#[tokio::test]
async fn a_dropped_answer_for_the_other_family_costs_no_time() {
    let server = Upstream::http(|_, _| text(200, "here")).await;
    let dns = Dns::start(|name, _| match name {
        "v4.test" => DnsAnswer::Only(vec!["127.0.0.1".parse().unwrap()]),
        _ => DnsAnswer::Only(vec!["::1".parse().unwrap()]),
    })
    .await;
    let config = Config {
        dns_servers: vec![dns.address],
        addresses: Addresses::Any,
        ..quick()
    };
    let egress = Egress::new(config).unwrap();
    let started = tokio::time::Instant::now();
    let response = get(&egress, &any_rule(), &server.url("v4.test", "/")).await;
    assert_eq!(response.unwrap().body(), "here");
    let took = started.elapsed();
    assert!(took < std::time::Duration::from_millis(500), "{took:?}");
    // If the only address that arrived is not reached, the other answer is awaited.
    let started = tokio::time::Instant::now();
    let error = get(&egress, &any_rule(), &server.url("v6.test", "/")).await;
    assert_eq!(error.unwrap_err().kind(), Kind::Connect);
    let took = started.elapsed();
    assert!(took > std::time::Duration::from_millis(500), "{took:?}");
}

/// A dropped answer neither hides a refused address nor lets one through.
#[tokio::test]
async fn a_blocked_address_stays_blocked_without_the_other_answer() {
    let dns = Dns::start(|_, _| DnsAnswer::Only(vec!["127.0.0.1".parse().unwrap()])).await;
    let config = Config {
        dns_servers: vec![dns.address],
        ..quick()
    };
    let egress = Egress::new(config).unwrap();
    let error = get(&egress, &any_rule(), "http://inside.test/").await;
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "no such host: inside.test");
    assert_eq!(error.detail().unwrap(), "blocked: 127.0.0.1 is loopback");
}
