//! Tests of the answers of name servers that are dialled.

use std::net::IpAddr;

use super::dns::{Dns, DnsAnswer, are};
use super::*;

async fn resolve(dns: &Dns, config: Config) -> Resolve {
    let config = Config {
        dns_servers: vec![dns.address],
        ..config
    };
    Resolve::new(&config, Vec::new()).unwrap()
}

async fn name(resolve: &Resolve, name: &str) -> Result<Vec<String>, Error> {
    let host = Host::Domain(name.to_owned());
    let target = resolve.addresses(&host, 80).await?;
    Ok(target.addresses.iter().map(SocketAddr::to_string).collect())
}

/// A unit test, because here the first answer can be a public address, which is not dialled.
#[tokio::test]
async fn a_name_that_was_allowed_is_checked_again() {
    const SECOND: [&str; 17] = [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "fd00:ec2::254",
        "fe80::1",
    ];
    let dns = Dns::start(|name, before| {
        let index: usize = name.split('.').next().unwrap().parse().unwrap();
        are(&[if before == 0 {
            "1.1.1.1"
        } else {
            SECOND[index]
        }])
    })
    .await;
    let resolve = resolve(&dns, Config::default()).await;
    for (index, second) in SECOND.iter().enumerate() {
        let host = format!("{index}.rebind.test");
        assert_eq!(name(&resolve, &host).await.unwrap(), ["1.1.1.1:80"]);
        let second: IpAddr = second.parse().unwrap();
        let error = name(&resolve, &host).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no such host: {host}"));
        assert!(
            error
                .detail()
                .unwrap()
                .starts_with(&format!("blocked: {second} is ")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn only_the_allowed_answers_of_a_mixture_are_used() {
    let dns = Dns::start(|_, _| {
        are(&[
            "10.0.0.1",
            "1.1.1.1",
            "127.0.0.1",
            "::1",
            "2606:4700::1111",
            "2002:101:101::1",
            "9.9.9.9",
        ])
    })
    .await;
    let denied = vec!["9.9.9.0/24".parse().unwrap()];
    let resolve = resolve(
        &dns,
        Config {
            deny: denied,
            ..Config::default()
        },
    )
    .await;
    assert_eq!(
        name(&resolve, "mixed.test").await.unwrap(),
        ["[2606:4700::1111]:80", "1.1.1.1:80"]
    );
}

#[tokio::test]
async fn chains_of_aliases_are_followed_to_an_end() {
    let dns = Dns::start(|name, _| match name.split_once('.').unwrap() {
        ("endless", _) => DnsAnswer::Cname("endless.test".into()),
        ("0", "short.test") => are(&["1.1.1.1"]),
        ("0", "private.test") => are(&["10.0.0.1"]),
        (n, rest) => DnsAnswer::Cname(format!("{}.{rest}", n.parse::<usize>().unwrap() - 1)),
    })
    .await;
    let resolve = resolve(&dns, Config::default()).await;
    assert_eq!(
        name(&resolve, "3.short.test").await.unwrap(),
        ["1.1.1.1:80"]
    );
    for bad in ["3.private.test", "200.short.test", "endless.test"] {
        let error = name(&resolve, bad).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Dns, "{error:?}");
    }
    assert!(
        dns.queries().len() < 100,
        "a chain is given up: {}",
        dns.queries().len()
    );
}

/// Addresses of this machine's own hosts file are filtered like any answer.
#[tokio::test]
async fn the_hosts_file_does_not_bypass_the_check() {
    let hosts = tokio::fs::read_to_string("/etc/hosts")
        .await
        .unwrap_or_default();
    let config = Config {
        connect_timeout: std::time::Duration::from_millis(30),
        ..Config::default()
    };
    let resolve = Resolve::new(&config, Vec::new());
    let Ok(resolve) = resolve else { return }; // no system resolver is configured
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    for line in lines {
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|a| a.parse::<IpAddr>().ok()) else {
            continue;
        };
        if AddressClass::of(address) == AddressClass::Public {
            continue;
        }
        for host in words {
            let result = name(&resolve, host).await;
            assert!(
                result.as_ref().is_err_and(|e| e.kind() == Kind::Dns),
                "{address} {host}: {result:?}"
            );
        }
    }
}

#[test]
fn the_addresses_of_this_machine_are_recognised() {
    for local in ["127.0.0.1", "127.9.9.9", "0.0.0.0"] {
        assert!(machine::has(local.parse().unwrap()), "{local}");
    }
    for other in ["192.0.2.1", "8.8.8.8", "2001:db8::1"] {
        assert!(!machine::has(other.parse().unwrap()), "{other}");
    }
}
