//! Parts of an admitted URL, for messages, records and keys.

use url::{Position, Url};

/// `scheme://host`, and the port unless it is the scheme's.
pub(crate) fn origin(url: &Url) -> &str {
    // An admitted URL has no user.
    &url[..Position::BeforePath]
}

/// `host:port`, the default port included.
pub(crate) fn upstream(url: &Url) -> String {
    let (host, port) = (
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default(),
    );
    format!("{host}:{port}")
}
