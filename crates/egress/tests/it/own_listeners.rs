//! Functions never reach the server's own listeners: by any address of this machine, by any name, or through a pin.

use std::net::{SocketAddr, UdpSocket};

use iof_egress::{Addresses, Config, Egress, Kind, Pin};

use crate::dns::{Dns, are};
use crate::support::{Upstream, any_rule, get, quick, redirect, text};

fn anywhere() -> Config {
    Config {
        addresses: Addresses::Any,
        ..quick()
    }
}

#[tokio::test]
async fn every_address_of_this_machine_is_refused_on_our_port() {
    let ours = Upstream::http(|_, _| text(200, "management")).await;
    let port = ours.port();
    for listener in [
        ours.address,
        SocketAddr::from(([0, 0, 0, 0], port)),
        SocketAddr::from(([0; 16], port)),
    ] {
        let egress = Egress::for_server(anywhere(), vec![listener], Vec::new()).unwrap();
        let mut hosts = vec![
            "127.0.0.1",
            "127.0.0.2",
            "127.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
        ];
        // The address that this machine would use to reach the internet, if it has one.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let outside = socket
            .connect("192.0.2.1:9")
            .and_then(|()| socket.local_addr())
            .map(|a| a.ip().to_string());
        hosts.extend(outside.as_deref().ok());
        for host in hosts {
            let error = get(&egress, &any_rule(), &ours.url(host, "/"))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Address, "{host}: {error:?}");
        }
    }
    assert_eq!(ours.connections(), 0);
}

#[tokio::test]
async fn names_redirects_and_pins_do_not_lead_there() {
    let ours = Upstream::http(|_, _| text(200, "management")).await;
    let target = ours.url("127.0.0.1", "/api");
    let other = Upstream::http(move |_, _| redirect(307, &target)).await;
    let dns = Dns::start(|_, _| are(&["127.0.0.1"])).await;
    let pin = vec![
        ours.pin("pinned.test"),
        Pin {
            host: "80.test".into(),
            port: 80,
            to: ours.address,
        },
    ];
    let config = Config {
        dns_servers: vec![dns.address],
        pin,
        ..anywhere()
    };
    let egress = Egress::for_server(config, vec![ours.address], Vec::new()).unwrap();
    for url in [
        ours.url("name.test", "/"),
        ours.url("pinned.test", "/"),
        "http://80.test/".to_owned(),
    ] {
        let error = get(&egress, &any_rule(), &url).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Dns, "{url}: {error:?}");
        assert!(error.to_string().starts_with("no such host"), "{error}");
    }
    let error = get(&egress, &any_rule(), &other.url("127.0.0.1", "/"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Address);
    assert_eq!(ours.connections(), 0);
    assert_eq!(
        other.connections(),
        1,
        "other ports of this machine are not ours"
    );
}

/// A listed public address of the server (NAT, another node) is refused.
#[tokio::test]
async fn a_listed_address_need_not_be_of_this_machine() {
    let listeners = vec!["8.8.8.8:443".parse().unwrap()];
    let egress = Egress::for_server(quick(), listeners, Vec::new()).unwrap();
    let error = get(&egress, &any_rule(), "https://8.8.8.8/")
        .await
        .unwrap_err();
    assert_eq!(
        error.detail(),
        Some("blocked: an address where this server listens")
    );
}
