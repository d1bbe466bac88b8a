//! Fuzz targets of this crate, and the properties that hold for any input: a panic is a finding.
//!
//! `fuzz/` runs these functions with generated inputs; the tests below run them with the inputs that it found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a target reports what it found"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use percent_encoding::percent_decode;
use url::{Host, Url};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

use crate::redirect::Hop;
use crate::{AddressClass, Rule, parse_outbound_url};

/// Two rules, a method and a URL, one per line.
pub fn rule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let rules = [line(), line()].map(|text| text.parse::<Rule>().ok());
    let (method, url) = (line(), line());
    for rule in rules.iter().flatten() {
        let again: Rule = rule.as_str().parse().unwrap();
        assert_eq!(again, *rule, "the canonical text is another rule");
        assert!(rule.covers(rule), "{rule} is above itself");
    }
    let Some(url) = admitted(url) else { return };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    for rule in rules.iter().flatten() {
        if rule.allows(&method, &url) {
            check_allowed(rule, &method, &url);
        }
    }
    if let [Some(ceiling), Some(wanted)] = &rules {
        assert!(
            !ceiling.covers(wanted)
                || !wanted.allows(&method, &url)
                || ceiling.allows(&method, &url),
            "{ceiling} covers {wanted}, which allows more: {method} {url}"
        );
    }
}

/// A method and a status, a URL, and the `Location` of its response, one per line.
pub fn redirect(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (head, base, location) = (line(), line(), line());
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let (method, status) = text(head).split_once(' ').unwrap_or_default();
    let (Ok(method), Ok(status)) = (
        Method::from_bytes(method.as_bytes()),
        StatusCode::from_bytes(status.as_bytes()),
    ) else {
        return;
    };
    let (Some(url), Ok(location)) = (admitted(text(base)), HeaderValue::from_bytes(location))
    else {
        return;
    };
    let mut headers = HeaderMap::new();
    for name in [AUTHORIZATION, COOKIE, CONTENT_TYPE] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    let hop = Hop {
        method,
        url,
        headers,
        body: Bytes::from_static(b"body"),
    };
    let mut response = HeaderMap::new();
    response.insert(LOCATION, location.clone());
    let Ok(Some(next)) = hop.next(status, &response) else {
        return;
    };
    assert_eq!(
        admitted(next.url.as_str()).as_ref(),
        Some(&next.url),
        "a hop that would not be admitted"
    );
    check_target(&hop.url, text(location.as_bytes()), &next.url);
    if next.url.origin() != hop.url.origin() {
        for name in [AUTHORIZATION, COOKIE] {
            assert!(!next.headers.contains_key(&name), "{name} left its origin");
        }
    }
    assert!(
        next.method == hop.method || next.method == Method::GET,
        "{} became {}",
        hop.method,
        next.method
    );
    assert!(
        next.method == hop.method
            || next.body.is_empty() && !next.headers.contains_key(CONTENT_TYPE),
        "a request that became GET has a body"
    );
}

/// An address: four bytes, or sixteen.
pub fn address(data: &[u8]) {
    let address: IpAddr = if let Some(octets) = data.first_chunk::<16>() {
        Ipv6Addr::from(*octets).into()
    } else if let Some(octets) = data.first_chunk::<4>() {
        Ipv4Addr::from(*octets).into()
    } else {
        return;
    };
    let class = AddressClass::of(address);
    assert_eq!(
        class == AddressClass::Public,
        !SPECIAL.iter().any(|net| {
            let net: IpNet = net.parse().unwrap();
            net.contains(&address)
        }) && !is_isatap(address),
        "{address} is {class}"
    );
    let written = match address {
        IpAddr::V4(v4) => format!("http://{v4}/"),
        IpAddr::V6(v6) => format!("http://[{v6}]/"),
    };
    let url = admitted(&written).unwrap();
    let read: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(v4)) => Some(v4.into()),
        Some(Host::Ipv6(v6)) => Some(v6.into()),
        _ => None,
    };
    assert_eq!(read, Some(address), "{written}");
}

/// The registries of special-purpose addresses, and the addresses outside of `2000::/3`.
const SPECIAL: [&str; 29] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/3",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "4000::/3",
    "6000::/3",
    "8000::/3",
    "a000::/3",
    "c000::/3",
    "e000::/4",
    "f000::/5",
    "f800::/6",
    "fc00::/6",
];

/// RFC 5214, section 6.1.
fn is_isatap(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if matches!(v6.segments(), [.., 0 | 0x200, 0x5efe, _, _]))
}

/// A URL that may be requested, in the normal form on which the rest of the crate relies.
fn admitted(text: &str) -> Option<Url> {
    let url = parse_outbound_url(text).ok()?;
    assert_eq!(
        parse_outbound_url(url.as_str()).ok().as_ref(),
        Some(&url),
        "not one form"
    );
    assert!(matches!(url.scheme(), "http" | "https"), "{url}");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{url}"
    );
    assert!(url.fragment().is_none() && url.port() != Some(0), "{url}");
    let host = url.host_str().unwrap();
    assert!(!host.is_empty() && !host.ends_with('.'), "{url}");
    assert!(
        url.as_str().bytes().all(|byte| byte.is_ascii_graphic()),
        "{url}"
    );
    Some(url)
}

/// Checks an allowed request in a different way than the rule does.
fn check_allowed(rule: &Rule, method: &Method, url: &Url) {
    for never in ["CONNECT", "TRACE"] {
        assert!(!method.as_str().eq_ignore_ascii_case(never));
    }
    let (methods, rest) = rule.as_str().split_once(' ').unwrap();
    let (scheme, rest) = rest.split_once("://").unwrap();
    assert_eq!(scheme, url.scheme(), "{rule}");
    assert!(
        methods == "*" || methods.split(',').any(|listed| listed == method.as_str()),
        "{rule} allows {method}"
    );
    let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = url.host_str().unwrap();
    let pattern = match url.port() {
        _ if authority.ends_with(":*") => authority.trim_end_matches(":*"),
        None => authority,
        Some(port) => authority.strip_suffix(&format!(":{port}")).unwrap(),
    };
    match pattern.strip_prefix("*.") {
        _ if pattern == "*" => {}
        Some(domain) => assert!(host.ends_with(&format!(".{domain}")), "{rule}: {url}"),
        None => assert_eq!(host, pattern, "{rule}: {url}"),
    }
    // The canonical text has no empty segment except that of `/` itself, and encodes every character that needs it.
    let prefix: Vec<Vec<u8>> = prefix
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode(segment.as_bytes()).collect())
        .collect();
    for reading in readings(url.path()) {
        assert!(
            reading.len() >= prefix.len()
                && prefix.iter().zip(&reading).all(|(want, have)| {
                    want == have || percent_decode(have).eq(want.iter().copied())
                }),
            "{rule} allows {url}, which a server may read as {:?}",
            reading
                .iter()
                .map(|segment| String::from_utf8_lossy(segment))
                .collect::<Vec<_>>()
        );
    }
}

/// The segments of a path as servers are known to read it: decoded up to three times, with `\` as a slash or not, with
/// the text behind `;` or without it, with dot segments resolved and double slashes as one.
fn readings(path: &str) -> Vec<Vec<Vec<u8>>> {
    let mut readings = vec![];
    let mut level = path.as_bytes().to_vec();
    for _ in 0..=3 {
        for backslash in [false, true] {
            for parameters in [false, true] {
                let mut segments: Vec<Vec<u8>> = vec![];
                for segment in level.split(|&byte| byte == b'/' || backslash && byte == b'\\') {
                    let name = segment
                        .split(|&byte| byte == b';')
                        .next()
                        .unwrap_or_default();
                    let segment = if parameters { segment } else { name };
                    match segment {
                        b"" | b"." => {}
                        b".." => {
                            segments.pop();
                        }
                        segment => segments.push(segment.to_vec()),
                    }
                }
                readings.push(segments);
            }
        }
        level = percent_decode(&level).collect();
    }
    readings
}

/// Checks that a redirect that is followed leads to the target of the standard.
fn check_target(base: &Url, location: &str, target: &Url) {
    let standard = base.join(location).unwrap();
    assert_eq!(standard.scheme(), target.scheme(), "{location}");
    assert_eq!(
        standard.host_str().map(|host| host.trim_end_matches('.')),
        target.host_str(),
        "{location}"
    );
    assert_eq!(
        (
            standard.port_or_known_default(),
            standard.path(),
            standard.query()
        ),
        (
            target.port_or_known_default(),
            target.path(),
            target.query()
        ),
        "{location}"
    );
}

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn corpus_of_rules() {
        corpus("egress_rule", super::rule);
    }

    #[test]
    fn corpus_of_redirects() {
        corpus("egress_redirect", super::redirect);
    }

    #[test]
    fn corpus_of_addresses() {
        corpus("egress_address", super::address);
    }
}
