//! Names: what a function sees of them, and who is asked.

use iof_egress::{Addresses, Config, Egress, Kind};

use crate::dns::{Dns, Says, are};
use crate::support::{Upstream, any_rule, get, quick, text};

#[tokio::test]
async fn a_blocked_name_and_a_missing_one_read_alike() {
    let dns = Dns::start(|name, _| match name {
        "blocked.test" => are(&["10.0.0.1", "127.0.0.1"]),
        "empty.test" => are(&[]),
        _ => Says::NoSuchName,
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
            Says::Failure
        } else {
            Says::Nothing
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
    let dns = Dns::start(|_, _| Says::NoSuchName).await;
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
    let asked = dns.asked();
    assert!(
        asked
            .iter()
            .all(|question| question == "A db" || question == "AAAA db"),
        "{asked:?}"
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
async fn a_pinned_name_is_not_asked_for() {
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
    assert!(dns.asked().is_empty());
    assert_eq!(
        get(&egress, &any_rule(), "http://pinned.test/")
            .await
            .unwrap_err()
            .kind(),
        Kind::Dns,
        "another port"
    );
}
