//! The cookie of a session: read by the server only, sent by pages of this origin only, and by no script.

use super::session::{Session, Sessions, Use};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// Its name over TLS. A browser takes a cookie of this prefix from this host only, over TLS only, and for all paths
/// (RFC 6265bis, section 4.1.3.2), so that no neighbour of the host's name can set one in its place.
const SECURE: &str = "__Host-iof-console";
/// Its name without TLS.
const PLAIN: &str = "iof-console";

/// The header of a request that a page makes by itself, because there is something new on it.
static LIVE: HeaderName = HeaderName::from_static("iof-live");

fn name(secure: bool) -> &'static str {
    match secure {
        true => SECURE,
        false => PLAIN,
    }
}

/// The value of `Set-Cookie` that gives a browser a token; an empty token takes it away.
pub(super) fn set(token: &str, secure: bool) -> HeaderValue {
    let name = name(secure);
    let more = match (secure, token.is_empty()) {
        (true, false) => "; Secure",
        (false, false) => "",
        (true, true) => "; Secure; Max-Age=0",
        (false, true) => "; Max-Age=0",
    };
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict{more}");
    // A token is hexadecimal digits.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The session whose token a request has. Over TLS, a cookie without the prefix is not read.
pub(super) fn session(
    sessions: &Sessions,
    headers: &HeaderMap,
    secure: bool,
) -> Option<Arc<Session>> {
    let name = name(secure);
    let cookies = headers.get_all(COOKIE).iter();
    let mut tokens = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(of, _)| *of == name)
        .map(|(_, token)| token);
    let token = tokens.next()?;
    // Two of them mean that somebody else set one.
    let usage = match headers.contains_key(&LIVE) {
        true => Use::Page,
        false => Use::Person,
    };
    match tokens.next() {
        None => sessions.find(token, usage),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ConsoleSettings;

    #[test]
    fn a_cookie_is_read_under_its_own_name_and_once() {
        let sessions = Sessions::new(&ConsoleSettings::default());
        let token = sessions.open(None, None).unwrap();
        let found = |value: String, secure| {
            let headers = HeaderMap::from_iter([(COOKIE, value.parse().unwrap())]);
            session(&sessions, &headers, secure).is_some()
        };
        assert!(found(format!("a=b; iof-console={token}; c=d"), false));
        assert!(found(format!("__Host-iof-console={token}"), true));
        assert!(!found(format!("iof-console={token}"), true));
        assert!(!found(format!("__Host-iof-console={token}"), false));
        assert!(!found(format!("iof-console={token}; iof-console=x"), false));
        assert!(!found("iof-console=".into(), false));
        assert!(!found(format!("xiof-console={token}"), false));
    }
}
