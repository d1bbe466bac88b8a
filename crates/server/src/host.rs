//! Host names: the host that a request names, and the names of this server.
//!
//! A page can make its own name resolve to a loopback address (DNS rebinding); its browser then treats this server as
//! the page's origin. Only `Host` reveals such a request, so a server without keys, which listens only on loopback,
//! accepts loopback names and the host of `public_url`, and refuses all others. The port is not compared: tunnels
//! change it, and a page cannot choose a port without choosing a name.
//!
//! Below `server.domain`, each function has a host name that serves only this function.
//!
//! More than 400 lines with its tests: one file answers which host a request may name.

use crate::http::truncate;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request, Uri, Version};
use iof_fault::{Fault, FaultKind};
use std::net::{IpAddr, Ipv6Addr};
use url::{Origin, Url};

/// The names of this server.
pub(crate) struct OwnNames {
    /// The host of `public_url`, in lower case and without a dot at its end.
    public_host: Option<Box<str>>,
    /// The origin of `public_url`, as a browser writes it.
    public_origin: Option<Box<str>>,
    /// The domain below which functions have names, in lower case and without a dot at its end.
    domain: Option<Box<str>>,
    /// True if requests for other names are refused: on a server without `auth.keys`.
    only: bool,
}

impl OwnNames {
    pub(crate) fn new(public_url: Option<&Url>, domain: &str, has_keys: bool) -> Self {
        let domain = without_dot(domain).to_ascii_lowercase();
        let host = public_url.and_then(Url::host_str);
        let origin = public_url.map(Url::origin).filter(Origin::is_tuple);
        Self {
            public_host: host.map(|host| without_dot(host).into()),
            public_origin: origin.map(|origin| origin.ascii_serialization().into()),
            domain: (!domain.is_empty()).then(|| domain.into()),
            only: !has_keys,
        }
    }

    /// The function that a request names by its host, in lower case: `hello` of `hello.<domain>`. It may not exist.
    pub(crate) fn function<B>(&self, request: &Request<B>) -> Option<String> {
        self.domain.as_ref()?;
        let host = host_of(authority(request).ok()??)?;
        self.function_of(host).map(str::to_ascii_lowercase)
    }

    /// The part of a host that names a function: everything before the domain.
    fn function_of<'a>(&self, host: &'a str) -> Option<&'a str> {
        let domain = self.domain.as_deref()?;
        let host = without_dot(host);
        let (name, end) = host.split_at_checked(host.len().checked_sub(domain.len())?)?;
        let name = name.strip_suffix('.').filter(|name| !name.is_empty())?;
        let is_public = self
            .public_host
            .as_ref()
            .is_some_and(|own| own.eq_ignore_ascii_case(host));
        (end.eq_ignore_ascii_case(domain) && !is_public).then_some(name)
    }

    /// The host and port that a request names; `None` for an HTTP/1.0 request that names none.
    ///
    /// # Errors
    /// `host`, 400, for a request that RFC 9112 section 3.2 or RFC 9113 section 8.3.1 forbids; `misdirected`, 421, for
    /// the name of another server.
    pub(crate) fn admit<'a, B>(&self, request: &'a Request<B>) -> Result<Option<&'a str>, Fault> {
        self.admit_if(request, |host| {
            self.is_own(host) || self.function_of(host).is_some()
        })
    }

    fn admit_if<'a, B>(
        &self,
        request: &'a Request<B>,
        is_own: impl FnOnce(&str) -> bool,
    ) -> Result<Option<&'a str>, Fault> {
        let Some(authority) = authority(request)? else {
            return Ok(None);
        };
        let Some(host) = host_of(authority) else {
            return Err(invalid(&format!(
                "Host is not a host and a port: got `{}`",
                truncate(authority)
            )));
        };
        if self.only && !is_own(host) {
            let message = format!(
                "Host is not a name of this server: got `{}`. Use a loopback name such as localhost, or set public_url to \
                 the URL that clients use; a server with auth.keys takes any name.",
                truncate(authority)
            );
            return Err(Fault::new(FaultKind::Misdirected, message));
        }
        Ok(Some(authority))
    }

    /// The host and port of a request that was already admitted.
    ///
    /// # Errors
    /// `host`
    pub(crate) fn named(parts: &http::request::Parts) -> Result<Option<&str>, Fault> {
        authority_of(&parts.headers, &parts.uri, parts.version)
    }

    /// The same check as [`OwnNames::admit`], for a separate listener that may be on any address: a page can make a
    /// name resolve to that address, but cannot change what an address itself leads to.
    pub(crate) fn admit_address<B>(&self, request: &Request<B>) -> Result<(), Fault> {
        let host = authority(request)?.and_then(host_of);
        let address = host.is_some_and(|host| {
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            bare.unwrap_or(host).parse::<IpAddr>().is_ok()
        });
        match address {
            true => Ok(()),
            false => self.admit_if(request, |host| self.is_own(host)).map(drop),
        }
    }

    /// Returns whether a page of another origin sent the request, according to its browser. A form needs no preflight,
    /// so any page that is open in a browser could otherwise deploy to a server without keys on the same machine.
    pub(crate) fn is_foreign<B>(&self, request: &Request<B>, authority: Option<&str>) -> bool {
        let mut origins = request.headers().get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return false;
        };
        let is_own = origin.to_str().is_ok_and(|origin| {
            // A proxy in front of this server may use either scheme, so the scheme is not compared.
            let named = origin.split_once("://").map(|(_, named)| named);
            (named.is_some() && named == authority) || self.public_origin.as_deref() == Some(origin)
        });
        !is_own || origins.next().is_some()
    }

    fn is_own(&self, host: &str) -> bool {
        if matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
            return true;
        }
        let host = without_dot(host);
        let loopback = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(address) => address.parse().is_ok_and(|address: Ipv6Addr| {
                address.is_loopback() || IpAddr::from(address).to_canonical().is_loopback()
            }),
            None => host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback()),
        };
        loopback
            || is_localhost(host)
            || self
                .public_host
                .as_ref()
                .is_some_and(|own| own.eq_ignore_ascii_case(host))
    }
}

/// `localhost` and the names below it, which always resolve to loopback (RFC 6761, section 6.3).
fn is_localhost(host: &str) -> bool {
    const NAME: &str = "localhost";
    let Some(start) = host.len().checked_sub(NAME.len()) else {
        return false;
    };
    // A host is ASCII.
    host.get(start..)
        .is_some_and(|end| end.eq_ignore_ascii_case(NAME))
        && (start == 0 || host.as_bytes().get(start - 1) == Some(&b'.'))
}

/// The authority of a request's target: from its URL if the URL has one (RFC 9112, section 3.2.2), else from `Host`.
fn authority<B>(request: &Request<B>) -> Result<Option<&str>, Fault> {
    authority_of(request.headers(), request.uri(), request.version())
}

fn authority_of<'a>(
    headers: &'a HeaderMap,
    uri: &'a Uri,
    version: Version,
) -> Result<Option<&'a str>, Fault> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(invalid("Host is given more than once"));
    }
    let host = match host.map(http::HeaderValue::to_str) {
        None => None,
        Some(Ok(host)) => Some(host),
        Some(Err(_)) => return Err(invalid("Host is not ASCII")),
    };
    let target = uri.authority().map(http::uri::Authority::as_str);
    match (target, host, version) {
        (None, None, Version::HTTP_09 | Version::HTTP_10) => Ok(None),
        (None, None, _) | (Some(_), None, Version::HTTP_11) => Err(invalid("Host is missing")),
        (Some(target), Some(host), Version::HTTP_2) if !target.eq_ignore_ascii_case(host) => {
            Err(invalid("Host and :authority differ"))
        }
        (target, host, _) => Ok(target.or(host)),
    }
}

fn invalid(problem: &str) -> Fault {
    let message = format!("{problem}. Send one Host with the name of the server.");
    Fault::new(FaultKind::HostHeader, message)
}

/// The host of `host[:port]` (RFC 3986, section 3.2.2), brackets included; `None` if the text is malformed.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        // A loop over a few bytes takes less time than setting up a search.
        None => authority
            .bytes()
            .position(|byte| byte == b':')
            .unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end)?;
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some("") => true,
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && is_name(host.as_bytes()),
    };
    (is_port && is_host).then_some(host)
}

/// Returns whether this is a `reg-name` that is not empty; an IPv4 address matches, too.
fn is_name(host: &[u8]) -> bool {
    let mut rest = host.iter();
    while let Some(byte) = rest.next() {
        let known = match byte {
            b'%' => [rest.next(), rest.next()]
                .iter()
                .all(|digit| digit.is_some_and(u8::is_ascii_hexdigit)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' => true,
            byte => byte.is_ascii_alphanumeric(),
        };
        if !known {
            return false;
        }
    }
    true
}

fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status;

    fn names(public_url: &str) -> OwnNames {
        let url = Url::parse(public_url).ok();
        OwnNames::new(url.as_ref(), "", false)
    }

    #[test]
    fn loopback_and_the_public_host_are_own() {
        let own = names("https://F.example.com");
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "a.localhost",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "f.example.com",
            "F.EXAMPLE.COM.:443",
            "localhost:",
        ] {
            let request = Request::get("/").header(HOST, host).body(()).unwrap();
            assert_eq!(own.admit(&request).unwrap(), Some(host));
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "xlocalhost",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "[::2]",
            "x.f.example.com",
            "2130706433",
            "0x7f.1",
            "127.1",
            "%6cocalhost",
        ] {
            let request = Request::get("/").header(HOST, host).body(()).unwrap();
            let fault = own.admit(&request).unwrap_err();
            assert_eq!(
                (fault.code(), status::of(fault.kind).as_u16()),
                ("misdirected", 421),
                "{host}"
            );
        }
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let own = OwnNames::new(None, "", true);
        for host in [
            "",
            ":80",
            "a b",
            "user@localhost",
            "localhost:x",
            "localhost:99999",
            "localhost:-1",
            "localhost:80:80",
            "[::1",
            "[::1]x",
            "[v1.x]",
            "::1",
            "a/b",
            "a?b",
            "a%zz",
            "a%2",
            "a,\"b",
            "http://localhost",
            "[127.0.0.1]",
        ] {
            let request = Request::get("/").header(HOST, host).body(()).unwrap();
            let fault = own.admit(&request).unwrap_err();
            assert_eq!(
                (fault.code(), status::of(fault.kind).as_u16()),
                ("host", 400),
                "{host}"
            );
        }
        let twice = Request::get("/").header(HOST, "a").header(HOST, "a");
        assert_eq!(
            own.admit(&twice.body(()).unwrap()).unwrap_err().kind,
            FaultKind::HostHeader
        );
        let bytes = http::HeaderValue::from_bytes(b"\xff").unwrap();
        let bytes = Request::get("/").header(HOST, bytes).body(()).unwrap();
        assert_eq!(own.admit(&bytes).unwrap_err().kind, FaultKind::HostHeader);
        let none = Request::get("/").body(()).unwrap();
        assert_eq!(own.admit(&none).unwrap_err().kind, FaultKind::HostHeader);
        let old = Request::get("/")
            .version(Version::HTTP_10)
            .body(())
            .unwrap();
        assert_eq!(own.admit(&old).unwrap(), None);
        let differ = Request::get("http://a.test/").version(Version::HTTP_2);
        let differ = differ.header(HOST, "b.test").body(()).unwrap();
        assert_eq!(own.admit(&differ).unwrap_err().kind, FaultKind::HostHeader);
        // The host of the URL takes precedence (RFC 9112, section 3.2.2).
        let absolute = Request::get("http://a.test/").header(HOST, "b.test");
        let absolute = absolute.body(()).unwrap();
        assert_eq!(own.admit(&absolute).unwrap(), Some("a.test"));
    }

    #[test]
    fn an_origin_is_own_by_host_or_by_public_url() {
        let own = names("https://f.example.com");
        let foreign = |origin: &str, host: &str| {
            let request = Request::get("/").header(ORIGIN, origin).body(()).unwrap();
            own.is_foreign(&request, Some(host))
        };
        assert!(!foreign("http://localhost:8080", "localhost:8080"));
        assert!(!foreign("https://f.example.com", "127.0.0.1:8080"));
        for origin in [
            "null",
            "",
            "http://f.example.com",
            "https://f.example.com:8443",
            "http://localhost:8081",
            "localhost:8080",
            "https://x.f.example.com",
            "https://f.example.com.evil.test",
        ] {
            assert!(foreign(origin, "localhost:8080"), "{origin}");
        }
        let none = Request::get("/").body(()).unwrap();
        assert!(!own.is_foreign(&none, None));
        let empty = Request::get("/").header(ORIGIN, "null").body(()).unwrap();
        assert!(own.is_foreign(&empty, None));
    }

    #[test]
    fn a_function_is_all_before_the_domain() {
        let url = Url::parse("https://f.example.com").ok();
        let own = OwnNames::new(url.as_ref(), "Example.com.", false);
        for (host, function) in [
            ("hello.example.com", Some("hello")),
            ("HELLO.Example.Com.", Some("HELLO")),
            ("a.b.example.com", Some("a.b")),
            ("example.com", None),
            (".example.com", None),
            ("helloexample.com", None),
            ("hello.example.com.evil.example", None),
            // The API is there.
            ("f.example.com", None),
            ("localhost", None),
        ] {
            assert_eq!(own.function_of(host), function, "{host}");
        }
        let without = OwnNames::new(None, "", false);
        assert_eq!(without.function_of("hello."), None);
        assert_eq!(without.function_of("hello.example.com"), None);
    }
}
