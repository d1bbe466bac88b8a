//! Resolution of a host and port to the addresses that may be dialled.
//!
//! Addresses are decided only here, and the connector dials exactly the result: a name is never resolved a second time,
//! so a name that changes between check and use (DNS rebinding) gains nothing. This runs for every new connection; a
//! pooled connection is reused only for the same scheme, host and port.
//!
//! Names are absolute: search domains of the system are not applied, or `http://db/` would mean `db.corp.internal`. The
//! hosts file is read as the system's resolver reads it (unless `dns_servers` are given), and its answers are filtered
//! like any others.

use std::collections::HashMap;
use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use ipnet::IpNet;
use url::Host;

mod families;
mod machine;
mod target;

use families::LookupError;
pub(crate) use target::ResolvedTarget;

use crate::config::{Addresses, Config, ConfigError};
use crate::{AddressClass, Error, Kind};

/// Names that mean this machine whatever a resolver answers (RFC 6761 section 6.3, and those that distributions add).
const LOCAL_NAMES: [&str; 4] = [
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
];

pub(crate) struct Resolve {
    resolver: TokioResolver,
    /// Pins by host (as a URL writes it, without trailing dot) and port.
    pins: HashMap<(String, u16), SocketAddr>,
    addresses: Addresses,
    deny: Vec<IpNet>,
    /// The addresses where this server listens.
    own: Vec<SocketAddr>,
}

impl Resolve {
    pub(crate) fn new(config: &Config, own: Vec<SocketAddr>) -> Result<Resolve, ConfigError> {
        let mut pins = HashMap::new();
        for pin in &config.pin {
            let problem = |problem: String| ConfigError::Value {
                setting: "pin",
                problem,
            };
            let host = Host::parse(&pin.host)
                .map_err(|e| problem(format!("the host is not valid: got {:?} ({e})", pin.host)))?;
            let host = host.to_string();
            if pin.port == 0 || pin.to.port() == 0 {
                return Err(problem(format!("{host}: the port is not valid: got 0")));
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
            own,
        })
    }

    /// The addresses to dial for `host:port`.
    pub(crate) async fn addresses(
        &self,
        host: &Host<String>,
        port: u16,
    ) -> Result<ResolvedTarget<'_>, Error> {
        // A host in a URL has one spelling (`parse_outbound_url`), so its text is a key.
        if let Some(to) = self.pins.get(&(host.to_string(), port)) {
            return match self.own_listener(*to) {
                true => Err(blocked(
                    host,
                    format!("pinned to {to}, where this server listens"),
                )),
                false => Ok(ResolvedTarget {
                    pinned: true,
                    ..ResolvedTarget::to(*to)
                }),
            };
        }
        match host {
            Host::Ipv4(v4) => self.literal(host, SocketAddr::new((*v4).into(), port)),
            Host::Ipv6(v6) => self.literal(host, SocketAddr::new((*v6).into(), port)),
            Host::Domain(name) => {
                let local = LOCAL_NAMES.contains(&name.as_str()) || name.ends_with(".localhost");
                if local && self.addresses == Addresses::Public {
                    return Err(blocked(host, "a name of this machine".to_owned()));
                }
                self.by_name(host, name, port, true).await
            }
        }
    }

    /// The addresses of a host that the operator chose, of any class.
    pub(crate) async fn unchecked(
        &self,
        host: &Host<String>,
        port: u16,
    ) -> Result<ResolvedTarget<'_>, Error> {
        match host {
            Host::Ipv4(v4) => Ok(ResolvedTarget::to(SocketAddr::new((*v4).into(), port))),
            Host::Ipv6(v6) => Ok(ResolvedTarget::to(SocketAddr::new((*v6).into(), port))),
            Host::Domain(name) => self.by_name(host, name, port, false).await,
        }
    }

    fn literal(
        &self,
        host: &Host<String>,
        address: SocketAddr,
    ) -> Result<ResolvedTarget<'_>, Error> {
        match self.refusal(address) {
            None => Ok(ResolvedTarget::to(address)),
            Some(why) => Err(blocked(host, why)),
        }
    }

    async fn by_name(
        &self,
        host: &Host<String>,
        name: &str,
        port: u16,
        checked: bool,
    ) -> Result<ResolvedTarget<'_>, Error> {
        let mut absolute = Name::from_ascii(name).map_err(|e| no_such_host(host).with_detail(e))?;
        absolute.set_fqdn(true);
        let refusal = move |address| self.refusal(address).filter(|_| checked);
        let target = families::lookup(&self.resolver, absolute, port, refusal).await;
        target.map_err(|nowhere| match nowhere {
            LookupError::Refused(why) => blocked(host, why),
            LookupError::Silent(e) => {
                let message = format!("{name}: the name servers gave no answer");
                Error::new(Kind::Dns, message)
                    .with_detail(e)
                    .transient_if(true)
            }
            LookupError::Missing(Some(e)) => no_such_host(host).with_detail(e),
            LookupError::Missing(None) => no_such_host(host),
        })
    }

    /// The reason why `address` is not dialled, for the operator.
    fn refusal(&self, address: SocketAddr) -> Option<String> {
        let ip = address.ip();
        if self.addresses == Addresses::Public {
            let class = AddressClass::of(ip);
            if class != AddressClass::Public {
                return Some(class.to_string());
            }
        }
        if let Some(range) = self.deny.iter().find(|range| range.contains(&ip)) {
            return Some(format!("in the denied range {range}"));
        }
        if self.own_listener(address) {
            return Some("an address where this server listens".to_owned());
        }
        // A program that listens there may rely on being reachable only from this machine.
        (self.addresses == Addresses::Public && machine::has(ip))
            .then(|| "an address of this machine".to_owned())
    }

    /// Returns whether a connection to `address` would come back to this server: it is a listener's address, or any
    /// address of this machine with a listener's port. The second is wider than needed for a listener on one address,
    /// and needs no knowledge of unspecified listeners, dual stack or forwarding inside the machine.
    fn own_listener(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.own
            .iter()
            .filter(|listener| listener.port() == address.port())
            .any(|listener| listener.ip().to_canonical() == ip || machine::has(ip))
    }
}

fn build_resolver(config: &Config) -> Result<TokioResolver, ConfigError> {
    let error = |e: NetError| ConfigError::Dns(e.to_string());
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
    // Two tries have to fit into connect_timeout: a lost packet does not fail a request, and the silence of name
    // servers is reported as such.
    options.timeout = config.connect_timeout / 4;
    options.attempts = 1;
    builder.build().map_err(error)
}

/// The error of a blocked host. To the function, a blocked name reads like a missing one; a blocked address was in its
/// own URL, so there is nothing to hide.
fn blocked(host: &Host<String>, why: String) -> Error {
    match host {
        Host::Domain(_) => no_such_host(host).with_detail(format!("blocked: {why}")),
        address => Error::new(
            Kind::Address,
            format!("{address} is not an address that functions reach"),
        )
        .with_detail(format!("blocked: {why}")),
    }
}

fn no_such_host(host: &Host<String>) -> Error {
    Error::new(Kind::Dns, format!("no such host: {host}"))
}

#[cfg(test)]
#[path = "../tests/it/dns.rs"]
mod dns;

#[cfg(test)]
mod tests;
