//! `--allow HOST:PORT` of `iof dev` and `iof test`.

use crate::config::Config;
use iof_egress::{Pin, Rule};
use std::net::{SocketAddr, ToSocketAddrs};
use url::Url;

/// Lets functions reach a host and port of this machine or network, which a server refuses by default.
pub(super) fn host(config: &mut Config, place: &str) -> Result<(), String> {
    let wrong = || format!("--allow: not a host and a port: got {place}. Write localhost:3000.");
    let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let mut addresses = place
        .to_socket_addrs()
        .map_err(|error| format!("--allow {place}: {error}"))?;
    let to = addresses
        .find(SocketAddr::is_ipv4)
        .or_else(|| addresses.next());
    let to = to.ok_or_else(|| format!("--allow {place}: the name has no address"))?;
    for scheme in ["http", "https"] {
        let rule: Rule = format!("* {scheme}://{host}:{port}")
            .parse()
            .map_err(|error| format!("--allow {place}: {error}"))?;
        config.ceiling.outbound.0.push(rule.clone());
        config.defaults.outbound.0.push(rule);
    }
    config.egress.pin.push(Pin {
        host: host.to_owned(),
        port,
        to,
    });
    Ok(())
}

/// The option that allows what the ceiling refuses: here, the author is also the operator.
pub(crate) fn hint(message: &str) -> String {
    let wanted = message.split_once("no rule of this server covers `");
    let rule = wanted.and_then(|(_, rest)| rest.split('`').next());
    let url = rule.and_then(|rule| rule.split_once(' '));
    let url = url.and_then(|(_, url)| Url::parse(url).ok());
    let place = url.and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(format!("{host}:{}", url.port_or_known_default()?))
    });
    place.map_or(String::new(), |place| {
        format!(" You are its operator: `iof dev --allow {place}`.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_is_let_through_by_its_option() {
        let message = "outbound: no rule of this server covers `GET http://localhost:3000/x` ([ceiling] outbound: `* http://*`)";
        assert!(hint(message).contains("--allow localhost:3000`"));
        assert_eq!(hint("anything else"), "");
    }

    #[test]
    fn what_is_allowed_is_pinned_and_below_the_ceiling() {
        let mut config = Config::default();
        host(&mut config, "127.0.0.1:3000").unwrap();
        assert_eq!(config.egress.pin[0].to.to_string(), "127.0.0.1:3000");
        let wanted: Rule = "GET http://127.0.0.1:3000/x".parse().unwrap();
        assert!(config.ceiling.outbound.covers(&wanted).is_some());
        for wrong in [
            "localhost",
            "localhost:",
            "localhost:x",
            ":",
            "no such host:1",
        ] {
            assert!(
                host(&mut config, wrong).unwrap_err().contains("--allow"),
                "{wrong}"
            );
        }
    }
}
