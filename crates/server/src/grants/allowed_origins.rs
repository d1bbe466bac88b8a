//! The pages of other origins that may call a function.

use serde::{Deserialize, Serialize};
use url::Url;

/// Origins (RFC 6454), as browsers write them: `https://app.example.com`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AllowedOrigins(Vec<Box<str>>);

impl AllowedOrigins {
    /// Returns whether pages of this origin may call the function.
    pub(crate) fn allow(&self, origin: &[u8]) -> bool {
        self.0.iter().any(|allowed| allowed.as_bytes() == origin)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that each origin is written as a browser sends it.
    ///
    /// # Errors
    /// A message about the first origin that is not.
    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = self.0.iter().find(|origin| !is_origin(origin));
        match wrong {
            None => Ok(()),
            Some(origin) => Err(format!(
                "cors: {origin:?} is not an origin; write scheme, host and port as browsers do, such as \
                 \"https://app.example.com\" or \"http://localhost:3000\""
            )),
        }
    }
}

fn is_origin(text: &str) -> bool {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    is_web
        && !text.contains('*')
        && Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for origin in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:3000",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://APP.example.com",
            "https://*.example.com",
            "https://u@app.example.com",
            "https://app.example.com?x",
            "ftp://app.example.com",
            "file:///x",
        ] {
            assert!(!is_origin(text), "{text}");
        }
        let allowed = AllowedOrigins(vec!["https://app.example.com".into()]);
        assert!(allowed.allow(b"https://app.example.com"));
        assert!(!allowed.allow(b"https://app.example.com.evil.test"));
        assert!(!AllowedOrigins::default().allow(b""));
    }
}
