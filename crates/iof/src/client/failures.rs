//! The words for a server that does not answer, or not as a server of iof.

use super::Client;
use http::StatusCode;

impl Client {
    pub(super) fn foreign(&self, status: StatusCode) -> String {
        format!(
            "{} answered {status}, and not as a server of iof does. Is it the right address?",
            self.server
        )
    }

    /// The reason why a server does not answer, with a next step.
    pub(super) fn unreachable(&self, error: &str) -> String {
        let server = &self.server;
        if error.contains("UnknownIssuer") {
            return format!(
                "{server}: {error}. Nobody that this machine trusts vouches for its certificate: --cacert FILE names the authority that does."
            );
        }
        if error.contains("InvalidContentType") {
            let plain = self.origin().replacen("https://", "http://", 1);
            return format!("{server}: it does not speak TLS on this port. Try {plain}.");
        }
        let dev = match &self.profiles.dev {
            Some(dev) if dev.server.trim_end_matches('/') != self.origin() => {
                format!(" --dev is the server of `iof dev` at {}.", dev.server)
            }
            _ => String::new(),
        };
        format!(
            "{server}: {error}. Is the server running there? `iof serve` starts one; --server, or `iof login`, says where.{dev}"
        )
    }
}
