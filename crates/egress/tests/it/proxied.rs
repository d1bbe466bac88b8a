//! The operator's proxy: all requests go through it, and it allows nothing more.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use iof_egress::{Config, Egress, Error, Kind, Outbound};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::dns::{Dns, DnsAnswer, are};
use crate::records::EntryList;
use crate::support::{
    Authority, Upstream, any_rule, get, outbound, quick, read_request, rules, text,
};

/// `me:s3cret/@` and its base64.
const USER: &str = "me:s3cret%2F%40";
const CREDENTIAL: &str = "Proxy-Authorization: Basic bWU6czNjcmV0L0A=\r\n";

/// A proxy that opens each tunnel to one server, and records its requests.
struct Proxy {
    server: Upstream,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn to(upstream: SocketAddr) -> Proxy {
        Proxy::answering(move |_| Ok(upstream)).await
    }

    /// Starts a proxy. `decide` gets the number of the request, and returns the target of the tunnel or an answer in
    /// its place.
    async fn answering(
        decide: impl Fn(usize) -> Result<SocketAddr, &'static str> + Send + Sync + 'static,
    ) -> Proxy {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, decide) = (requests.clone(), Arc::new(decide));
        let server = Upstream::raw(move |mut stream| {
            let (log, decide) = (log.clone(), decide.clone());
            async move {
                let head = read_request(&mut stream).await;
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(head);
                    log.len() - 1
                };
                match decide(number) {
                    Err(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    Ok(upstream) => {
                        let mut upstream = TcpStream::connect(upstream).await.unwrap();
                        let good = b"HTTP/1.1 200 Connection established\r\nvia: proxy\r\n\r\n";
                        stream.write_all(good).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                    }
                }
            }
        })
        .await;
        Proxy { server, requests }
    }

    fn url(&self) -> String {
        format!("http://{USER}@{}", self.server.address)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// A name server that answers every name with these addresses, except those in `private`, which get a private one.
async fn names(addresses: &'static [&'static str]) -> Dns {
    Dns::start(move |name, _| match name {
        name if name.ends_with("private.test") => are(&["10.0.0.1"]),
        "missing.test" => DnsAnswer::NoSuchName,
        _ => are(addresses),
    })
    .await
}

fn config(dns: &Dns, proxy: &Proxy) -> Config {
    Config {
        proxy: (&*proxy.url()).into(),
        dns_servers: vec![dns.address],
        ..quick()
    }
}

fn shows_nothing(error: &Error) {
    let text = format!("{error} {error:?} {:?}", error.detail());
    for hidden in ["s3cret", "bWU6"] {
        assert!(!text.contains(hidden), "{text}");
    }
}

#[tokio::test]
async fn http_goes_through_a_tunnel_to_the_checked_address() {
    let server = Upstream::raw(|mut stream| async move {
        let request = read_request(&mut stream).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{request}",
            request.len()
        );
        let _ = stream.write_all(head.as_bytes()).await;
    })
    .await;
    let (dns, proxy) = (names(&["1.1.1.1"]).await, Proxy::to(server.address).await);
    let (egress, kept) = EntryList::client(config(&dns, &proxy));
    for (url, host, address) in [
        ("http://a.test/x?y", "a.test", "1.1.1.1:80"),
        ("http://a.test:8080/x?y", "a.test:8080", "1.1.1.1:8080"),
        ("http://1.0.0.1/x?y", "1.0.0.1", "1.0.0.1:80"),
        (
            "http://[2606:4700::1111]/x?y",
            "[2606:4700::1111]",
            "[2606:4700::1111]:80",
        ),
    ] {
        let response = get(&egress, &any_rule(), url).await.unwrap();
        assert_eq!(
            response.body(),
            &format!("GET /x?y HTTP/1.1\r\naccept: */*\r\nhost: {host}\r\n\r\n"),
            "as without a proxy"
        );
        let head = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{CREDENTIAL}\r\n");
        assert_eq!(proxy.take(), [head]);
        let entries = kept.take();
        assert_eq!(entries[0].address, Some(address.parse().unwrap()));
    }
}

#[tokio::test]
async fn tls_inside_the_tunnel_has_the_name_of_the_upstream() {
    let authority = Authority::new();
    let server = Upstream::https(
        authority.server("api.test", &["h2", "http/1.1"]),
        |request, _| {
            let none = request.headers.get("proxy-authorization").is_none();
            text(200, format!("{:?} {none}", request.version))
        },
    )
    .await;
    let (dns, proxy) = (names(&["1.1.1.1"]).await, Proxy::to(server.address).await);
    let egress = Egress::new(Config {
        ca_files: vec![authority.file().await],
        ..config(&dns, &proxy)
    })
    .unwrap();
    for _ in 0..3 {
        let response = get(&egress, &any_rule(), "https://api.test/").await;
        assert_eq!(response.unwrap().body(), "HTTP/2.0 true");
    }
    let requests = proxy.take();
    assert_eq!(requests.len(), 1, "a tunnel is kept like any connection");
    assert!(
        requests[0].starts_with("CONNECT 1.1.1.1:443 "),
        "{requests:?}"
    );
    assert!(!requests[0].contains("api.test"), "{requests:?}");
    let error = get(&egress, &any_rule(), "https://other.test/").await;
    assert_eq!(error.unwrap_err().kind(), Kind::Tls);
}

/// Rules, classes, denied ranges and the server's own listeners are checked first.
#[tokio::test]
async fn requests_that_are_refused_without_a_proxy_never_reach_it() {
    let server = Upstream::http(|_, _| text(200, "")).await;
    let (dns, proxy) = (names(&["9.9.9.9"]).await, Proxy::to(server.address).await);
    let config = Config {
        deny: vec!["9.9.9.0/24".parse().unwrap()],
        ..config(&dns, &proxy)
    };
    let listeners = vec!["8.8.8.8:80".parse().unwrap()];
    let egress = Egress::for_server(config, listeners, Vec::new()).unwrap();
    for url in [
        "http://10.0.0.1/",
        "http://127.0.0.1/",
        "https://169.254.169.254/",
        "http://[::1]/",
        "http://8.8.8.8/",
        "http://localhost/",
        "http://x.private.test/",
        "https://x.private.test/",
        "http://denied-range.test/",
        "http://missing.test/",
    ] {
        let error = get(&egress, &any_rule(), url).await.unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Address | Kind::Dns),
            "{url}: {error:?}"
        );
    }
    let error = get(&egress, &rules(&["GET http://a.test"]), "http://1.1.1.1/").await;
    assert_eq!(error.unwrap_err().kind(), Kind::Denied);
    assert_eq!(proxy.server.connections(), 0);
}

/// A pin for the internal network does not go through the proxy to the outside.
#[tokio::test]
async fn a_pin_is_dialled_directly() {
    let server = Upstream::http(|_, _| text(200, "direct")).await;
    let (dns, proxy) = (names(&["1.1.1.1"]).await, Proxy::to(server.address).await);
    let egress = Egress::new(Config {
        pin: vec![server.pin("a.test")],
        ..config(&dns, &proxy)
    })
    .unwrap();
    let response = get(&egress, &any_rule(), &server.url("a.test", "/")).await;
    assert_eq!(response.unwrap().body(), "direct");
    assert_eq!(proxy.server.connections(), 0);
    // The name at another port is not pinned.
    get(&egress, &any_rule(), "http://a.test/").await.unwrap();
    assert_eq!(proxy.server.connections(), 1);
}

#[tokio::test]
async fn a_refusal_is_named_without_the_credential() {
    for (answer, reason, tries) in [
        ("HTTP/1.1 403 no\r\n\r\n", "it refused with status 403", 1),
        (
            "HTTP/1.0 502 Bad\r\ncontent-length: 6\r\n\r\ns3cret",
            "it refused with status 502",
            2,
        ),
        (
            "HTTP/1.1 407 Proxy\r\nProxy-Authenticate: Basic\r\n\r\n",
            "it refused with status 407",
            1,
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: /s3cret\r\n\r\n",
            "it refused with status 302",
            1,
        ),
        ("HTTP/1.1 20x OK\r\n\r\n", "it did not answer in HTTP", 1),
        ("SSH-2.0-OpenSSH s3cret\r\n", "it did not answer in HTTP", 1),
        (
            "HTTP/1.1 200 OK\r\n\r\nmore",
            "it did not answer in HTTP",
            1,
        ),
        ("HTTP/1.1 200 OK\r\nx: y\r\n", "unexpected end of file", 2),
        ("", "unexpected end of file", 2),
    ] {
        let dns = names(&["1.1.1.1"]).await;
        let proxy = Proxy::answering(move |_| Err(answer)).await;
        let egress = Egress::new(config(&dns, &proxy)).unwrap();
        let rules = any_rule();
        let context = Outbound {
            retries: 1,
            ..outbound(&rules)
        };
        let request = Request::get("http://a.test/").body(Bytes::new()).unwrap();
        let error = egress.send(&context, request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Connect, "{answer:?}");
        let message = format!("no connection to a.test:80 through the proxy: {reason}");
        assert_eq!(error.to_string(), message);
        shows_nothing(&error);
        assert_eq!(proxy.take().len(), tries, "{answer:?}");
    }
}

#[tokio::test]
async fn the_next_address_is_tried_unless_the_credential_is_refused() {
    let server = Upstream::http(|_, _| text(200, "")).await;
    let upstream = server.address;
    for (refusal, requests) in [
        ("HTTP/1.1 503 no\r\n\r\n", 2),
        ("HTTP/1.1 407 no\r\n\r\n", 1),
    ] {
        let dns = names(&["1.1.1.1", "1.0.0.1", "8.8.8.8"]).await;
        let proxy = Proxy::answering(move |number| match number {
            0 => Err(refusal),
            _ => Ok(upstream),
        })
        .await;
        let egress = Egress::new(config(&dns, &proxy)).unwrap();
        let response = get(&egress, &any_rule(), "http://a.test/").await;
        assert_eq!(response.is_ok(), requests == 2, "{response:?}");
        let heads = proxy.take();
        assert_eq!(heads.len(), requests, "{heads:?}");
    }
}

#[tokio::test]
async fn a_missing_or_silent_proxy_is_reported() {
    let stopped = Upstream::http(|_, _| text(200, "")).await;
    let url = format!("http://me:s3cret@{}", stopped.address);
    drop(stopped);
    let dns = names(&["1.1.1.1"]).await;
    let egress = |url: &str| {
        Egress::new(Config {
            proxy: url.into(),
            dns_servers: vec![dns.address],
            connect_timeout: Duration::from_millis(500),
            ..quick()
        })
        .unwrap()
    };
    let error = get(&egress(&url), &any_rule(), "http://a.test/").await;
    let error = error.unwrap_err();
    let message = "no connection to a.test:80 through the proxy: connection refused";
    assert_eq!(error.to_string(), message);
    shows_nothing(&error);

    let url = "http://me:s3cret@missing.test:3128";
    let error = get(&egress(url), &any_rule(), "http://a.test/").await;
    let error = error.unwrap_err();
    let message = "no connection to a.test:80 through the proxy: its name does not resolve";
    assert_eq!(error.to_string(), message);
    assert_eq!(error.kind(), Kind::Connect);
    shows_nothing(&error);

    for head in ["", "HTTP/1.1 200 OK\r\n"] {
        let silent = Upstream::raw(move |mut stream| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending::<()>().await;
        })
        .await;
        let url = format!("http://me:s3cret@{}", silent.address);
        let error = get(&egress(&url), &any_rule(), "http://a.test/").await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::TimeoutConnect, "{error:?}");
        shows_nothing(&error);
    }
    let endless = Upstream::raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"x: yyyyyyyyyyyyyyyy\r\n").await.is_ok() {}
    })
    .await;
    let url = format!("http://{}", endless.address);
    let error = get(&egress(&url), &any_rule(), "http://a.test/").await;
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with("it did not answer in HTTP"), "{error}");
}

#[tokio::test]
async fn the_setting_hides_the_password() {
    let config = |text: &str| Config {
        proxy: text.into(),
        ..quick()
    };
    for (text, redacted) in [
        ("", ""),
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        (
            "http://me:s3cret@proxy.test:3128",
            "http://me:(hidden)@proxy.test:3128",
        ),
        ("http://s3cret@proxy.test", "http://(hidden)@proxy.test"),
        (
            "http://me:s3/cr@s3cret@proxy.test",
            "http://me:(hidden)@proxy.test",
        ),
        ("me:s3cret@proxy.test", "me:(hidden)@proxy.test"),
        ("s3cret@x://", "(hidden)"),
    ] {
        let config = config(text);
        assert!(format!("{config:?}").contains(&format!("{redacted:?}")));
        let table = toml::Table::try_from(&config).unwrap();
        assert_eq!(table["proxy"].as_str(), Some(redacted));
        assert!(
            !format!("{config:?} {table:?}").contains("s3cret"),
            "{text}"
        );
    }
    let read: Config = toml::from_str("proxy = 'http://me:s3cret@proxy.test:3128'").unwrap();
    assert_eq!(read.proxy, "http://me:s3cret@proxy.test:3128".into());
    Egress::new(config("http://me:s3cret@[::1]")).unwrap();
    for text in [
        "s3cret",
        "http://",
        "http://me:s3cret@proxy.test:99999",
        "http://me:s3cret@proxy.test:0",
        "https://me:s3cret@proxy.test",
        "socks5://me:s3cret@proxy.test",
        "http://me:s3cret@proxy.test/s3cret",
        "http://proxy.test/?s3cret",
        "me:s3cret@proxy.test",
    ] {
        let error = Egress::new(config(text)).err().unwrap().to_string();
        assert!(error.starts_with("egress.proxy: "), "{text}: {error}");
        assert!(error.ends_with("such as \"http://proxy.example.com:3128\""));
        assert!(!error.contains("s3cret"), "{error}");
    }
}
