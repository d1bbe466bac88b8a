//! Query parameters that are secrets.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str};
use url::Url;

/// Characters that a parameter's name and value need not escape (RFC 3986 section 2.3).
pub(super) const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Replaces the parameters of the name in `pair` by `pair`, and leaves the others as they are.
pub(super) fn set_parameter(url: &mut Url, pair: &str) {
    let name = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(&name.replace('+', " ")).collect::<Vec<_>>()
    };
    let own = name(pair);
    let others = url.query().unwrap_or_default().split('&');
    let kept = others.filter(|other| !other.is_empty() && name(other) != own);
    let query = kept.chain([pair]).collect::<Vec<_>>().join("&");
    url.set_query(Some(&query));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_replaced_however_it_is_spelled() {
        for (query, becomes) in [
            ("", "my+key=v"),
            ("?", "my+key=v"),
            ("?a=1&b", "a=1&b&my+key=v"),
            ("?my%20key=x&a=%2F&my+key&%6Dy+key=y", "a=%2F&my+key=v"),
            ("?my=x", "my=x&my+key=v"),
        ] {
            let mut url = Url::parse(&format!("https://a.test/p{query}")).unwrap();
            set_parameter(&mut url, "my+key=v");
            assert_eq!(url.query(), Some(becomes), "{query}");
        }
    }
}
