//! Redirects: each leads to a next request, which is checked like the first.
//!
//! Method and body follow RFC 9110 section 15.4 as browsers and curl do: 303 becomes GET (HEAD stays), 301 and 302 turn
//! POST into GET, 307 and 308 repeat the request. A GET that results from 301, 302 or 303 has no body, as in the
//! `http_proxy` of 2020. No header is added on the way, not even Referer.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::outbound_url::parse_location;
use crate::{Error, Kind, headers};

/// One request on the way to a response.
#[derive(Clone)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Hop {
    /// The next request after a response with `status`, if that redirects.
    pub(crate) fn next(
        &self,
        status: StatusCode,
        response: &HeaderMap,
    ) -> Result<Option<Hop>, Error> {
        let rewrites = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => true,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = response.get(LOCATION) else {
            return Ok(None);
        };
        let location = std::str::from_utf8(location.as_bytes())
            .map_err(|_| Error::new(Kind::Url, "the Location is not UTF-8"))?;
        let mut next = self.clone();
        next.url = parse_location(&self.url, location)?;
        if rewrites {
            let to_get = match status {
                StatusCode::SEE_OTHER => next.method != Method::HEAD,
                _ => next.method == Method::POST,
            };
            if to_get {
                next.method = Method::GET;
            }
            if next.method == Method::GET || next.method == Method::HEAD {
                next.body = Bytes::new();
                headers::drop_about_body(&mut next.headers);
            }
        }
        if next.url.origin() != self.url.origin() {
            headers::drop_credentials(&mut next.headers);
        }
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderValue};

    use super::*;
    use crate::parse_outbound_url;

    fn hop(method: Method) -> Hop {
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE, CONTENT_TYPE, http::header::ACCEPT] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        Hop {
            method,
            url: parse_outbound_url("https://a.example/x").unwrap(),
            headers,
            body: Bytes::from_static(b"body"),
        }
    }

    fn follow(hop: &Hop, status: u16, location: &str) -> Hop {
        let mut response = HeaderMap::new();
        response.insert(LOCATION, location.parse().unwrap());
        hop.next(StatusCode::from_u16(status).unwrap(), &response)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn methods_and_bodies() {
        use Method as M;
        for (status, before, after, body) in [
            (301, M::POST, M::GET, false),
            (302, M::POST, M::GET, false),
            (303, M::POST, M::GET, false),
            (303, M::PUT, M::GET, false),
            (303, M::DELETE, M::GET, false),
            (303, M::HEAD, M::HEAD, false),
            (301, M::GET, M::GET, false),
            (302, M::HEAD, M::HEAD, false),
            (301, M::PUT, M::PUT, true),
            (302, M::DELETE, M::DELETE, true),
            (307, M::POST, M::POST, true),
            (308, M::PUT, M::PUT, true),
            (307, M::GET, M::GET, true),
        ] {
            let next = follow(&hop(before.clone()), status, "/y");
            assert_eq!(next.method, after, "{status} {before}");
            assert_eq!(!next.body.is_empty(), body, "{status} {before}");
            assert_eq!(
                next.headers.contains_key(CONTENT_TYPE),
                body,
                "{status} {before}"
            );
        }
    }

    #[test]
    fn credentials_stay_with_the_origin() {
        for (location, kept) in [
            ("/other", true),
            ("https://A.example:443/", true),
            ("https://b.example/", false),
            ("https://sub.a.example/", false),
            ("https://a.example:8443/", false),
            ("http://a.example/", false),
            ("http://a.example:443/", false),
        ] {
            let next = follow(&hop(Method::GET), 307, location);
            assert_eq!(next.headers.contains_key(AUTHORIZATION), kept, "{location}");
            assert_eq!(next.headers.contains_key(COOKIE), kept, "{location}");
            assert!(next.headers.contains_key(http::header::ACCEPT));
            let back = follow(&next, 307, "https://a.example/");
            assert_eq!(
                back.headers.contains_key(AUTHORIZATION),
                kept,
                "gone for good: {location}"
            );
        }
    }

    #[test]
    fn other_responses_are_the_answer() {
        let mut response = HeaderMap::new();
        assert!(
            hop(Method::GET)
                .next(StatusCode::FOUND, &response)
                .unwrap()
                .is_none(),
            "no Location"
        );
        response.insert(LOCATION, HeaderValue::from_static("/y"));
        for status in [200, 201, 300, 304, 305, 306, 404] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(
                hop(Method::GET).next(status, &response).unwrap().is_none(),
                "{status}"
            );
        }
        response.insert(LOCATION, HeaderValue::from_bytes(b"/\xff").unwrap());
        assert_eq!(
            hop(Method::GET)
                .next(StatusCode::FOUND, &response)
                .err()
                .unwrap()
                .kind(),
            Kind::Url
        );
    }
}
