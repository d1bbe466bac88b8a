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
        if error.contains("CaUsedAsEndEntity") {
            return format!(
                "{server}: its certificate is that of an authority (basicConstraints CA:TRUE), with which no server may answer. Make one for a server: `openssl req -x509 -addext basicConstraints=critical,CA:FALSE …`."
            );
        }
        if error.contains("invalid peer certificate") {
            return format!(
                "{server}: {error}. A server answers there, and its certificate is not accepted: look at it with `openssl s_client -connect HOST:PORT`."
            );
        }
        if error.contains("InvalidContentType") {
            let plain = self.origin().replacen("https://", "http://", 1);
            return format!("{server}: it does not speak TLS on this port. Try {plain}.");
        }
        if self.is_dev {
            return format!(
                "{server}: {error}. The `iof dev` that was there has ended: start it again in its project."
            );
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
