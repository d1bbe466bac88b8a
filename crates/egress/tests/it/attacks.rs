//! Attacks by address (loopback, encodings, special ranges, IPv4 inside IPv6): each literal directly, as the target of
//! each kind of redirect, as a DNS answer, and as the second answer of a name that was allowed at first. A victim
//! listens on loopback, and must never get a connection.

use std::net::IpAddr;

use iof_egress::{Addresses, Config, Egress, Kind};
use ipnet::IpNet;

use crate::dns::{Dns, DnsAnswer, are};
use crate::support::{Upstream, any_rule, get, quick, redirect, text};

/// Hosts as a URL may spell them. All of them lead to an address that is not public.
const HOSTS: &[&str] = &[
    // 1. Loopback
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "127.127.127.127",
    "[::1]",
    "[::]",
    "[0000::1]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    // 2. Encodings
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
    "0177.0x0.1",
    "127.0.0.1.",
    "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
    "\u{ff11}\u{ff12}\u{ff17}.\u{ff10}.\u{ff10}.\u{ff11}",
    // 3. Special ranges
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    // 4. IPv4 inside IPv6, around private and public addresses
    "[::10.0.0.1]",
    "[::8.8.8.8]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9b:1::8.8.8.8]",
    "[2002:7f00:1::1]",
    "[2002:808:808::1]",
    "[2001:0:808:808::1]",
    "[2600:1f00::5efe:8.8.8.8]",
    "[2600:1f00::200:5efe:127.0.0.1]",
];

/// Names that mean this machine.
const LOCAL_NAMES: &[&str] = &[
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "ip6-localhost",
    "ip6-loopback",
    "localhost.localdomain",
];

/// Spellings that are refused by the parser.
const REFUSED: &[&str] = &[
    "http://allowed.test@127.0.0.1:PORT/",
    "http://a:80\\@127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http://127.0.0.\t1:PORT/",
    "http://127.0.0.1\n:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:PORT/_GET",
];

struct Victim {
    server: Upstream,
    egress: Egress,
}

async fn victim() -> Victim {
    Victim {
        server: Upstream::http(|_, _| text(200, "reached")).await,
        egress: Egress::new(quick()).unwrap(),
    }
}

impl Victim {
    async fn refuses(&self, url: &str, kinds: &[Kind]) {
        match get(&self.egress, &any_rule(), url).await {
            Ok(response) => panic!("{url}: got {response:?}"),
            Err(e) => assert!(kinds.contains(&e.kind()), "{url}: {e:?}"),
        }
        assert_eq!(self.server.connections(), 0, "{url} reached the victim");
    }
}

#[tokio::test]
async fn directly() {
    let victim = victim().await;
    let port = victim.server.port();
    for host in HOSTS {
        victim
            .refuses(&format!("http://{host}:{port}/"), &[Kind::Address])
            .await;
        victim
            .refuses(&format!("https://{host}/"), &[Kind::Address])
            .await;
    }
    for name in LOCAL_NAMES {
        victim
            .refuses(&format!("http://{name}:{port}/"), &[Kind::Dns])
            .await;
    }
    for url in REFUSED {
        victim
            .refuses(&url.replace("PORT", &port.to_string()), &[Kind::Url])
            .await;
    }
    // `evil#@allowed`: the host ends before the fragment.
    victim
        .refuses(
            &format!("http://127.0.0.1:{port}#@allowed.test/"),
            &[Kind::Address],
        )
        .await;
}

#[tokio::test]
async fn attacks_as_the_target_of_a_redirect() {
    // Redirects /STATUS/LOCATION to the location, which is in hexadecimal.
    let start = Upstream::http(|request, _| {
        let mut path = request.uri.path().split('/').skip(1);
        let status = path.next().unwrap().parse().unwrap();
        let hex = path.next().unwrap().as_bytes();
        let location: Vec<u8> = hex
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let mut response = redirect(status, "/");
        response.headers_mut().insert(
            "location",
            http::HeaderValue::from_bytes(&location).unwrap(),
        );
        response
    })
    .await;
    let mut victim = victim().await;
    victim.egress = Egress::new(Config {
        pin: vec![start.pin("start.test")],
        ..quick()
    })
    .unwrap();
    let port = victim.server.port();

    let hosts = HOSTS
        .iter()
        .map(|host| (format!("http://{host}:{port}/"), Kind::Address));
    let relative = HOSTS
        .iter()
        .map(|host| (format!("//{host}:{port}/"), Kind::Address));
    let names = LOCAL_NAMES
        .iter()
        .map(|host| (format!("http://{host}:{port}/"), Kind::Dns));
    // A header cannot carry a line break.
    let refused = REFUSED.iter().filter(|url| !url.contains('\n'));
    let refused = refused.map(|url| (url.replace("PORT", &port.to_string()), Kind::Url));
    for (location, kind) in hosts.chain(relative).chain(names).chain(refused) {
        let hex: String = location.bytes().map(|b| format!("{b:02x}")).collect();
        for status in [301, 302, 303, 307, 308] {
            victim
                .refuses(
                    &start.url("start.test", &format!("/{status}/{hex}")),
                    &[kind],
                )
                .await;
        }
    }
}

/// The addresses that [`HOSTS`] spell.
fn addresses() -> Vec<IpAddr> {
    HOSTS
        .iter()
        .map(|host| {
            let url = iof_egress::parse_outbound_url(&format!("http://{host}/")).unwrap();
            url.host_str()
                .unwrap()
                .trim_matches(['[', ']'])
                .parse()
                .unwrap()
        })
        .collect()
}

#[tokio::test]
async fn attacks_as_a_dns_answer() {
    let all = addresses();
    let dns = Dns::start(move |name, _| match name.split('.').next().unwrap() {
        "all" => DnsAnswer::Are(all.clone()),
        index => DnsAnswer::Are(vec![all[index.parse::<usize>().unwrap()]]),
    })
    .await;
    let mut victim = victim().await;
    victim.egress = Egress::new(Config {
        dns_servers: vec![dns.address],
        ..quick()
    })
    .unwrap();
    let port = victim.server.port();
    for index in 0..addresses().len() {
        victim
            .refuses(&format!("http://{index}.evil.test:{port}/"), &[Kind::Dns])
            .await;
    }
    victim
        .refuses(&format!("http://all.evil.test:{port}/"), &[Kind::Dns])
        .await;
}

/// DNS rebinding. A test cannot reach a public address, so the allowed answer is a loopback address here, and the
/// second one is in a denied range: the same code decides. The tests of `src/resolve.rs` try that code with every
/// address of this table.
#[tokio::test]
async fn attacks_as_the_second_dns_answer() {
    let good = Upstream::raw(|mut stream| async move {
        use tokio::io::AsyncWriteExt;
        crate::support::read_request(&mut stream).await;
        // The server closes the connection after its answer, so that the next request needs a new one.
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ngood")
            .await;
    })
    .await;
    let dns = Dns::start(|_, before| {
        are(&[if before == 0 {
            "127.0.0.1"
        } else {
            "127.0.0.2"
        }])
    })
    .await;
    let egress = Egress::new(Config {
        dns_servers: vec![dns.address],
        addresses: Addresses::Any,
        deny: vec!["127.0.0.2/32".parse::<IpNet>().unwrap()],
        ..quick()
    })
    .unwrap();
    let url = good.url("rebind.test", "/");
    assert_eq!(
        get(&egress, &any_rule(), &url).await.unwrap().body(),
        "good"
    );
    let error = get(&egress, &any_rule(), &url).await.unwrap_err();
    assert_eq!(error.to_string(), "no such host: rebind.test");
    assert_eq!(good.connections(), 1);
}

/// The control: the same victim is reached if the operator pins it.
#[tokio::test]
async fn a_pin_reaches_an_address_that_is_refused_without_it() {
    let server = Upstream::http(|_, _| text(200, "reached")).await;
    let dns = Dns::start(|_, _| DnsAnswer::NoSuchName).await;
    for pinned in ["allowed.test", "127.0.0.1", "[::1]", "localhost"] {
        let egress = Egress::new(Config {
            pin: vec![server.pin(pinned)],
            dns_servers: vec![dns.address],
            ..quick()
        })
        .unwrap();
        assert_eq!(
            get(&egress, &any_rule(), &server.url(pinned, "/"))
                .await
                .unwrap()
                .body(),
            "reached"
        );
        for other in ["allowed.test", "127.0.0.1", "[::1]", "localhost"] {
            if other != pinned {
                let result = get(&egress, &any_rule(), &server.url(other, "/")).await;
                assert!(result.is_err(), "{other} through the pin of {pinned}");
            }
        }
        let other_port = format!("http://{pinned}:{}/", server.port() ^ 1);
        assert!(
            get(&egress, &any_rule(), &other_port).await.is_err(),
            "a pin is for one port"
        );
    }
}
