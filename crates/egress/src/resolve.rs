//! From a host and port to the addresses that may be dialled.
//!
//! This is the only place that decides about addresses, and its answer is what the connector dials:
//! nothing resolves a name a second time, so a name that changes its mind between check and use
//! (DNS rebinding) gains nothing. It is asked for every new connection; a pooled connection is
//! reused for the same scheme, host and port alone.
//!
//! Names are absolute: search domains of the system are not applied, or `http://db/` would mean
//! `db.corp.internal`. The hosts file is read like the system's resolver reads it (unless
//! `dns_servers` are given), and its answers are filtered like any others.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use ipnet::IpNet;
use url::Host;

use crate::config::{Addresses, Config, ConfigError};
use crate::{Class, Error, Kind};

/// Names that mean this machine whatever a resolver says (RFC 6761 section 6.3, and what
/// distributions add).
const LOCAL_NAMES: [&str; 4] = [
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
];

/// No host needs more; a name with thousands of addresses is an attack on our patience.
const MAX_ADDRESSES: usize = 16;

pub(crate) struct Resolve {
    resolver: TokioResolver,
    /// By host (as a URL writes it, without trailing dot) and port.
    pins: HashMap<(String, u16), SocketAddr>,
    addresses: Addresses,
    deny: Vec<IpNet>,
    /// Set once the server listens, which is after the client exists. Read once a connection.
    own: RwLock<Arc<[SocketAddr]>>,
}

impl Resolve {
    pub(crate) fn new(config: &Config) -> Result<Resolve, ConfigError> {
        let mut pins = HashMap::new();
        for pin in &config.pin {
            let problem = |problem: String| ConfigError::Value {
                setting: "pin",
                problem,
            };
            let host = Host::parse(&pin.host)
                .map_err(|e| problem(format!("{:?} is not a host: {e}", pin.host)))?;
            let host = host.to_string();
            if pin.port == 0 || pin.to.port() == 0 {
                return Err(problem(format!("{host}: port 0 is not a port")));
            }
            let key = (host.strip_suffix('.').unwrap_or(&host).to_owned(), pin.port);
            if pins.insert(key, pin.to).is_some() {
                return Err(problem(format!("{host}:{} is pinned twice", pin.port)));
            }
        }
        Ok(Resolve {
            resolver: build_resolver(config)?,
            pins,
            addresses: config.addresses,
            deny: config.deny.clone(),
            own: RwLock::new(Arc::new([])),
        })
    }

    pub(crate) fn set_own_listeners(&self, listeners: Vec<SocketAddr>) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = listeners.into();
    }

    /// The addresses to dial for `host:port`, at least one.
    pub(crate) async fn addresses(
        &self,
        host: Host<&str>,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Error> {
        // A host in a URL has one spelling (`admit`), so its text is a key.
        if let Some(to) = self.pins.get(&(host.to_string(), port)) {
            return match self.own_listener(*to) {
                true => Err(blocked(
                    &host,
                    format!("pinned to {to}, where this server listens"),
                )),
                false => Ok(vec![*to]),
            };
        }
        match host {
            Host::Ipv4(v4) => self.literal(&host, SocketAddr::new(v4.into(), port)),
            Host::Ipv6(v6) => self.literal(&host, SocketAddr::new(v6.into(), port)),
            Host::Domain(name) => self.by_name(name, port).await,
        }
    }

    fn literal(&self, host: &Host<&str>, address: SocketAddr) -> Result<Vec<SocketAddr>, Error> {
        match self.refusal(address) {
            None => Ok(vec![address]),
            Some(why) => Err(blocked(host, why)),
        }
    }

    async fn by_name(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let host = Host::Domain(name);
        let local = LOCAL_NAMES.contains(&name) || name.ends_with(".localhost");
        if local && self.addresses == Addresses::Public {
            return Err(blocked(&host, "a name of this machine".to_owned()));
        }
        let mut absolute =
            Name::from_ascii(name).map_err(|e| no_such_host(&host).with_detail(e))?;
        absolute.set_fqdn(true);
        let lookup = self.resolver.lookup_ip(absolute).await.map_err(|e| {
            if e.is_no_records_found() {
                no_such_host(&host).with_detail(e)
            } else {
                Error::new(
                    Kind::Dns,
                    format!("{name}: the name servers gave no answer"),
                )
                .with_detail(e)
                .passing_if(true)
            }
        })?;
        let mut good = Vec::new();
        let mut refused = Vec::new();
        for ip in lookup.iter().take(MAX_ADDRESSES) {
            let address = SocketAddr::new(ip, port);
            match self.refusal(address) {
                None => good.push(address),
                Some(why) => refused.push(format!("{ip} is {why}")),
            }
        }
        match (good.is_empty(), refused.is_empty()) {
            (false, _) => Ok(good),
            (true, false) => Err(blocked(&host, refused.join(", "))),
            (true, true) => Err(no_such_host(&host)),
        }
    }

    /// Why `address` is not dialled, in words for the operator.
    fn refusal(&self, address: SocketAddr) -> Option<String> {
        let ip = address.ip();
        if self.addresses == Addresses::Public {
            let class = Class::of(ip);
            if class != Class::Public {
                return Some(class.to_string());
            }
        }
        if let Some(range) = self.deny.iter().find(|range| range.contains(&ip)) {
            return Some(format!("in the denied range {range}"));
        }
        self.own_listener(address)
            .then(|| "an address where this server listens".to_owned())
    }

    /// Whether a connection to `address` would come back to this server: it is a listener's
    /// address, or any address of this machine with a listener's port. The second is wider than
    /// needed for a listener on one address, and asks no question about unspecified listeners, dual
    /// stack or forwarding inside the machine.
    fn own_listener(&self, address: SocketAddr) -> bool {
        let own = self
            .own
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let ip = address.ip().to_canonical();
        own.iter()
            .filter(|listener| listener.port() == address.port())
            .any(|listener| listener.ip().to_canonical() == ip || is_of_this_machine(ip))
    }
}

/// Whether `ip` is an address of this machine now. The kernel is asked by binding a socket to it,
/// which succeeds for local addresses alone: unlike a list of interfaces this knows `127.0.0.0/8`,
/// routed-to-local ranges and addresses that came since the start. Anything but a clear no counts
/// as yes.
fn is_of_this_machine(ip: IpAddr) -> bool {
    match UdpSocket::bind(SocketAddr::new(ip, 0)) {
        Ok(_) => true,
        Err(e) => e.kind() != std::io::ErrorKind::AddrNotAvailable,
    }
}

fn build_resolver(config: &Config) -> Result<TokioResolver, ConfigError> {
    let error = |e: hickory_resolver::net::NetError| ConfigError::Dns(e.to_string());
    let mut builder = if config.dns_servers.is_empty() {
        let mut builder = TokioResolver::builder_tokio().map_err(error)?;
        builder.options_mut().use_hosts_file = ResolveHosts::Always;
        builder
    } else {
        let servers = config.dns_servers.iter().map(|server| {
            let connections =
                [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let servers = ResolverConfig::from_name_servers(servers.collect());
        let mut builder =
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    let options = builder.options_mut();
    options.try_tcp_on_error = true;
    // Two tries have to fit into connect_timeout: a lost packet is no failed request, and silence
    // of the name servers is reported as theirs.
    options.timeout = config.connect_timeout / 4;
    options.attempts = 1;
    builder.build().map_err(error)
}

/// To the function, a blocked name is a missing one. An address was in the URL, so there is nothing
/// to hide.
fn blocked(host: &Host<&str>, why: String) -> Error {
    match host {
        Host::Domain(_) => no_such_host(host).with_detail(format!("blocked: {why}")),
        address => Error::new(
            Kind::Address,
            format!("{address} is not an address that functions reach"),
        )
        .with_detail(format!("blocked: {why}")),
    }
}

fn no_such_host(host: &Host<&str>) -> Error {
    Error::new(Kind::Dns, format!("no such host: {host}"))
}

#[cfg(test)]
#[path = "../tests/it/dns.rs"]
mod dns;

#[cfg(test)]
mod tests {
    use super::dns::{Dns, Says, are};
    use super::*;

    async fn resolve(dns: &Dns, config: Config) -> Resolve {
        Resolve::new(&Config {
            dns_servers: vec![dns.address],
            ..config
        })
        .unwrap()
    }

    async fn name(resolve: &Resolve, name: &str) -> Result<Vec<String>, Error> {
        let addresses = resolve.addresses(Host::Domain(name), 80).await?;
        Ok(addresses.iter().map(SocketAddr::to_string).collect())
    }

    /// Only here can the first answer be a public address, because nobody dials it.
    #[tokio::test]
    async fn a_name_that_was_good_is_checked_again() {
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
    async fn the_good_answers_of_a_mixture_are_left() {
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
            ("endless", _) => Says::Cname("endless.test".into()),
            ("0", "short.test") => are(&["1.1.1.1"]),
            ("0", "private.test") => are(&["10.0.0.1"]),
            (n, rest) => Says::Cname(format!("{}.{rest}", n.parse::<usize>().unwrap() - 1)),
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
            dns.asked().len() < 100,
            "a chain is given up: {}",
            dns.asked().len()
        );
    }

    /// What this machine's own hosts file says is filtered like any answer.
    #[tokio::test]
    async fn the_hosts_file_is_no_way_around() {
        let hosts = tokio::fs::read_to_string("/etc/hosts")
            .await
            .unwrap_or_default();
        let resolve = Resolve::new(&Config {
            connect_timeout: std::time::Duration::from_millis(30),
            ..Config::default()
        });
        let Ok(resolve) = resolve else { return }; // no system resolver configured
        let lines = hosts
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default());
        for line in lines {
            let mut words = line.split_whitespace();
            let Some(address) = words.next().and_then(|a| a.parse::<IpAddr>().ok()) else {
                continue;
            };
            if Class::of(address) == Class::Public {
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
    fn this_machine_is_known_by_its_addresses() {
        for local in ["127.0.0.1", "127.9.9.9", "0.0.0.0"] {
            assert!(is_of_this_machine(local.parse().unwrap()), "{local}");
        }
        for other in ["192.0.2.1", "8.8.8.8", "2001:db8::1"] {
            assert!(!is_of_this_machine(other.parse().unwrap()), "{other}");
        }
    }
}
