//! The URLs that are requested at all, checked before any rule.
//!
//! A URL is parsed once, by the WHATWG parser, and the parsed form is what rules match, what is resolved and what is
//! sent. The parser is made for browsers and forgives much: it drops tabs and newlines, reads `\` as `/`, adds missing
//! slashes. Each of those has been used to make two programs read different hosts in one text, so text that needs
//! forgiving is refused here with a message. Number forms of IPv4 addresses (`0x7f000001`, `127.1`, full-width digits)
//! need no refusal: the parser turns them into the address, and the address is what is classified.

use url::{Host, Url};

use crate::{Error, Kind};

/// Parses `text` as a URL that may be requested, and normalises it: no fragment, no trailing dot after the host,
/// default port left out.
///
/// # Errors
/// [`Kind::Url`], naming the problem.
pub fn parse_outbound_url(text: &str) -> Result<Url, Error> {
    check_characters(text)?;
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(refused("the URL does not start with http:// or https://"));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(refused(format!(
            "the scheme of the URL is not http or https: got {}",
            shorten(scheme)
        )));
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(refused(format!(
            "the URL does not have two slashes after {scheme}:"
        )));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    check_authority(authority)?;

    let mut url = Url::parse(text).map_err(|e| refused(format!("the URL is not valid: {e}")))?;
    if url.port() == Some(0) {
        return Err(refused("the port is not valid: got 0"));
    }
    url.set_fragment(None);
    strip_trailing_dot(&mut url)?;
    Ok(url)
}

/// Parses the `Location` of a redirect from `base` (RFC 9110 section 10.2.2): absolute, or relative
/// to it.
pub(crate) fn parse_location(base: &Url, location: &str) -> Result<Url, Error> {
    // Servers do send spaces in paths, and every client encodes them; in an authority the `%` is refused below.
    let location = location.trim_matches(' ').replace(' ', "%20");
    check_characters(&location)?;
    if has_scheme(&location) {
        parse_outbound_url(&location)
    } else if location.starts_with("//") {
        parse_outbound_url(&format!("{}:{location}", base.scheme()))
    } else {
        let joined = base
            .join(&location)
            .map_err(|e| refused(format!("the URL is not valid: {e}")))?;
        parse_outbound_url(joined.as_str())
    }
}

fn check_characters(text: &str) -> Result<(), Error> {
    match text
        .chars()
        .find(|&c| c.is_control() || c == ' ' || c == '\\')
    {
        Some('\\') => Err(refused("the URL contains a backslash. Write / or %5C")),
        Some(' ') => Err(refused("the URL contains a space. Write %20")),
        Some(c) => Err(refused(format!(
            "the URL contains a control character: got U+{:04X}",
            u32::from(c)
        ))),
        None => Ok(()),
    }
}

fn check_authority(authority: &str) -> Result<(), Error> {
    if authority.contains('@') {
        return Err(refused(
            "the URL contains a user name or password. Send an Authorization header",
        ));
    }
    if authority.contains('%') {
        return Err(refused("the host is percent-encoded. Write it as it is"));
    }
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    match after_address.split_once(':') {
        _ if authority.is_empty() => Err(refused("the host is missing")),
        Some((host, _)) if host.is_empty() && !authority.starts_with('[') => {
            Err(refused("the host is missing"))
        }
        Some((_, "")) => Err(refused("the port after : is missing")),
        _ => Ok(()),
    }
}

/// `example.com.` and `example.com` are one host; without this they would be two for rules, pins and pooled
/// connections.
fn strip_trailing_dot(url: &mut Url) -> Result<(), Error> {
    let Some(Host::Domain(name)) = url.host() else {
        return Ok(());
    };
    let Some(stripped) = name.strip_suffix('.') else {
        return Ok(());
    };
    if stripped.is_empty() || stripped.ends_with('.') {
        return Err(refused("the host has an empty label"));
    }
    let stripped = stripped.to_owned();
    url.set_host(Some(&stripped))
        .map_err(|e| refused(format!("the host is not valid: {e}")))
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Kind::Url, message)
}

fn shorten(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AddressClass;

    /// Items 1 and 2: each spelling of a loopback address arrives as an address, and as a loopback
    /// one.
    #[test]
    fn spellings_of_loopback_become_the_address() {
        for spelling in [
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
            "2130706433",
            "0x7f000001",
            "0x7F000001",
            "0177.0.0.1",
            "0177.1",
            "0x7f.1",
            "127.0x0.0.01",
            "017700000001",
            "127.0.0.1.",
            "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
            "\u{ff11}\u{ff12}\u{ff17}.\u{ff10}.\u{ff10}.\u{ff11}",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "127\u{ff0e}0\u{ff0e}0\u{ff0e}1",
            "0x7f.0x0.0x0.0x1",
            "[::127.0.0.1]",
            "[0:0:0:0:0:0:0:1]",
        ] {
            let url = parse_outbound_url(&format!("http://{spelling}/"))
                .unwrap_or_else(|e| panic!("{spelling}: {e:?}"));
            let address = match url.host() {
                Some(Host::Ipv4(v4)) => v4.into(),
                Some(Host::Ipv6(v6)) => v6.into(),
                other => panic!("{spelling} became {other:?}"),
            };
            assert_ne!(
                AddressClass::of(address),
                AddressClass::Public,
                "{spelling}"
            );
        }
    }

    /// Items 2 and 8.
    #[test]
    fn text_that_needs_forgiving_is_refused() {
        for (text, expected) in [
            ("http://allowed@evil/", "user name"),
            ("http://user:secret@evil/", "user name"),
            ("http://@evil/", "user name"),
            (r"http://a:80\@b/", "backslash"),
            (r"http:\\evil\", "backslash"),
            ("http:127.0.0.1/", "two slashes"),
            ("http:/127.0.0.1/", "two slashes"),
            ("http:///127.0.0.1/", "host is missing"),
            ("http://?x", "host is missing"),
            ("http://:80/", "host is missing"),
            ("http://ev\til/", "control"),
            ("http://ev\nil/", "control"),
            ("http://evil/\r\nHost: x", "control"),
            ("http://evil/\u{85}", "control"),
            (" http://evil/", "space"),
            ("http://ev il/", "space"),
            ("http://%31%32%37.0.0.1/", "percent"),
            ("http://example%2ecom/", "percent"),
            ("http://evil:0/", "got 0"),
            ("http://evil:00/", "got 0"),
            ("http://evil:65536/", "port"),
            ("http://evil:/", "port after : is missing"),
            ("http://[::1]:/", "port after : is missing"),
            ("http://evil:80:90/", "port"),
            ("http://evil:8a/", "port"),
            ("http://[::1/", "IPv6"),
            ("http://[fe80::1%25eth0]/", "percent"),
            ("http://256.256.256.256/", "IPv4"),
            ("http://1.2.3.4.5/", "IPv4"),
            ("http://evil../", "empty label"),
            ("file:///etc/passwd", "not http or https"),
            ("ftp://evil/", "not http or https"),
            ("gopher://evil/", "not http or https"),
            ("javascript:alert(1)", "not http or https"),
            ("evil", "does not start with http"),
            ("/path", "does not start with http"),
            ("//evil/", "does not start with http"),
            ("", "does not start with http"),
        ] {
            match parse_outbound_url(text) {
                Ok(url) => panic!("{text:?} was taken for {url}"),
                Err(e) => {
                    assert_eq!(e.kind(), Kind::Url, "{text:?}");
                    assert!(e.to_string().contains(expected), "{text:?}: {e}");
                }
            }
        }
    }

    #[test]
    fn a_url_has_one_form() {
        for (text, form) in [
            ("HTTP://EXAMPLE.com", "http://example.com/"),
            ("https://example.com:443/a?b#c", "https://example.com/a?b"),
            ("https://example.com.:8443/", "https://example.com:8443/"),
            ("http://evil#@allowed/", "http://evil/"),
            ("http://evil?@allowed/", "http://evil/?@allowed/"),
            ("https://münchen.de/ä", "https://xn--mnchen-3ya.de/%C3%A4"),
            ("http://a/b/%2e%2e/c/../d", "http://a/d"),
        ] {
            assert_eq!(parse_outbound_url(text).unwrap().as_str(), form, "{text}");
        }
    }

    #[test]
    fn locations_are_read_as_strictly() {
        let base = parse_outbound_url("https://example.com/a/b?c").unwrap();
        for (location, target) in [
            ("/x", "https://example.com/x"),
            ("x y", "https://example.com/a/x%20y"),
            ("?q", "https://example.com/a/b?q"),
            ("", "https://example.com/a/b?c"),
            ("//other/z", "https://other/z"),
            ("http://10.0.0.1/", "http://10.0.0.1/"),
        ] {
            assert_eq!(
                parse_location(&base, location).unwrap().as_str(),
                target,
                "{location:?}"
            );
        }
        for location in [
            r"/\evil/",
            r"\\evil",
            "//user@evil/",
            "http:evil",
            "https:/evil",
            "file:///etc/passwd",
            "//evil:0/",
            "//ev%69l/",
            "//ev il/",
            "mailto:a@b",
            "///evil",
        ] {
            let result = parse_location(&base, location);
            assert!(
                result.as_ref().is_err_and(|e| e.kind() == Kind::Url),
                "{location:?}: {result:?}"
            );
        }
    }
}
