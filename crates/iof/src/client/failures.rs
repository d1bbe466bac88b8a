//! Messages for a server that does not answer, or does not answer like a server of iof.

use super::Client;
use http::StatusCode;

impl Client {
    pub(super) fn foreign(&self, status: StatusCode) -> String {
        format!(
            "{} answered {status}, but not like a server of iof. Is it the right address?",
            self.server
        )
    }

    /// The reason why a server does not answer, with the next step.
    pub(super) fn unreachable(&self, error: &str) -> String {
        let server = &self.server;
        if error.contains("UnknownIssuer") {
            return format!(
                "{server}: {error}. No authority that this machine trusts has issued its certificate: name the file of its authority with --cacert FILE."
            );
        }
        if error.contains("CaUsedAsEndEntity") {
            return format!(
                "{server}: its certificate is that of an authority (basicConstraints CA:TRUE), which a server may not use. Make one for a server: `openssl req -x509 -addext basicConstraints=critical,CA:FALSE …`."
            );
        }
        if error.contains("invalid peer certificate") {
            return format!(
                "{server}: {error}. A server answers there, but its certificate is not accepted: inspect it with `openssl s_client -connect HOST:PORT`."
            );
        }
        if error.contains("InvalidContentType") {
            let plain = self.origin().replacen("https://", "http://", 1);
            return format!("{server}: it does not speak TLS on this port. Try {plain}.");
        }
        if self.is_dev {
            return format!(
                "{server}: {error}. `iof dev` is no longer running there: start it again in its project."
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
