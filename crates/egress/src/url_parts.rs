//! Parts of an admitted URL, as messages, records and keys write them.

use url::{Position, Url};

/// `scheme://host`, and the port unless it is the scheme's.
pub(crate) fn origin(url: &Url) -> &str {
    // No user stands in a URL that was admitted.
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
