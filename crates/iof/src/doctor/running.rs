//! The check of the server to which commands are sent, if it runs.

use super::{Check, Part};
use crate::args::Remote;
use crate::client::Client;

/// Checks the server of the profile, or the local one.
pub(super) async fn checks(remote: &Remote) -> Vec<Check> {
    let name = "server";
    let check = |found: String, advice: Option<String>| {
        vec![Check::new(Part::Running, name, found, advice)]
    };
    let named = remote.server.is_some() || remote.profile.is_some() || remote.dev;
    let client = match Client::new(remote) {
        Ok(client) => client,
        Err(message) => return check(message, Some("see `iof login`".into())),
    };
    let about = match client.who().await {
        Ok(about) => about,
        // No server was named.
        Err(_) if !named => {
            return check(format!("none at {}", client.origin()), None);
        }
        Err(message) => return check(message, Some("start it, or name another one".into())),
    };
    let ours = env!("CARGO_PKG_VERSION");
    let dev = if about["dev"] == true {
        " (iof dev)"
    } else {
        ""
    };
    let place = client.origin();
    match about["version"].as_str() {
        None => {
            let found = format!("{place}{dev}: there; its version takes a key of scope read");
            check(found, None)
        }
        Some(version) if version == ours => check(format!("{place}{dev}: iof {version}"), None),
        Some(version) => check(
            format!("{place}{dev}: iof {version}, and this is iof {ours}"),
            Some("use the same version of both".into()),
        ),
    }
}
