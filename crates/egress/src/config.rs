//! The operator's settings for outbound traffic: the table `[egress]` of the server's `iof.toml`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use iof_policy::Rules;
use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};

const HIDDEN: &str = "(hidden)";

/// Settings of an [`Egress`](crate::Egress). Durations are texts such as `"10s"`, sizes such as
/// `"16MiB"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Addresses that are dialled for one host and port, instead of those of its name; see
    /// `[[egress.pin]]` in docs/egress.md.
    pub pin: Vec<Pin>,
    /// The proxy through which every host but pinned ones is reached, as
    /// `"http://USER:PASSWORD@HOST:PORT"`. Empty: none. Environment variables are not read.
    pub proxy: ProxyUrl,
    /// Files with further certificate authorities (PEM), besides the built-in roots of Mozilla.
    pub ca_files: Vec<PathBuf>,
    /// Certificates for hosts that request one; see `[[egress.client_certificate]]` in docs/egress.md.
    pub client_certificate: Vec<ClientCertificate>,
    /// The name servers. Empty: the system's, with the system's hosts file before them.
    pub dns_servers: Vec<SocketAddr>,
    /// Address ranges that are never dialled although they are public: an organisation's own, a
    /// translator's prefix.
    pub deny: Vec<IpNet>,
    /// The time for resolving, connecting and the TLS handshake together.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// The time from the start of a request (a redirect starts a new one) until the head of its response.
    #[serde(with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    /// The time between two parts of a response body.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// The time for all of it, including redirects and the wait for a permit.
    #[serde(with = "humantime_serde")]
    pub total_timeout: Duration,
    /// The size of the headers and body of a request.
    pub max_request: ByteSize,
    /// The size of the body of a response.
    pub max_response: ByteSize,
    /// The size of the head of a response; at least 8 KiB.
    pub max_response_headers: ByteSize,
    /// The most header lines of a response.
    pub max_response_header_count: usize,
    /// The most redirects that are followed.
    pub max_redirects: usize,
    /// The most times that a request is sent again for a function that requests retries; up to 10.
    pub max_retries: u32,
    /// The most requests in progress at a time; more wait for their turn until their time is over.
    pub max_concurrent: usize,
    /// The same for one function, so that none of them takes all permits.
    pub max_concurrent_per_function: usize,
    /// The same for one host and port.
    pub max_concurrent_per_upstream: usize,
    /// The most open connections, in use or kept for reuse.
    pub max_connections: usize,
    /// The time that an unused connection is kept.
    #[serde(with = "humantime_serde")]
    pub pool_idle_timeout: Duration,
    /// The most unused connections that are kept for one host and port.
    pub pool_max_idle_per_host: usize,
    /// The addresses that are dialled. For programs that run with their user's own rights only; not a
    /// setting of the server, and therefore not read from its file.
    #[serde(skip)]
    pub addresses: Addresses,
    /// Rules of requests that are sent with the context of their call's trace. Set by the program, and not read from this
    /// table.
    #[serde(skip)]
    pub propagate: Rules,
    /// True if a redirect is returned as the response, and not followed. For the same programs.
    #[serde(skip)]
    pub answers_redirects: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            pin: Vec::new(),
            proxy: ProxyUrl::default(),
            ca_files: Vec::new(),
            client_certificate: Vec::new(),
            dns_servers: Vec::new(),
            deny: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
            max_request: ByteSize::mib(16),
            max_response: ByteSize::mib(16),
            max_response_headers: ByteSize::kib(64),
            max_response_header_count: 100,
            max_redirects: 10,
            max_retries: 3,
            max_concurrent: 1024,
            max_concurrent_per_function: 256,
            max_concurrent_per_upstream: 256,
            max_connections: 2048,
            pool_idle_timeout: Duration::from_secs(30),
            pool_max_idle_per_host: 32,
            addresses: Addresses::Public,
            propagate: Rules::default(),
            answers_redirects: false,
        }
    }
}

/// The setting `egress.proxy`: `http://USER:PASSWORD@HOST:PORT`, or empty for none. The password is
/// not shown: `Debug` and `Serialize` write `(hidden)` instead.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProxyUrl(String);

impl From<&str> for ProxyUrl {
    fn from(text: &str) -> ProxyUrl {
        ProxyUrl(text.to_owned())
    }
}

impl ProxyUrl {
    /// The text, with the password.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The text without the password. It need not be a valid URL: everything before the last `@` counts as a password,
    /// or the whole text if that cannot be told.
    fn redacted(&self) -> String {
        let text = &self.0;
        let start = text.find("://").map_or(0, |i| i + 3);
        match text.rfind('@') {
            None => text.clone(),
            Some(at) if at < start => HIDDEN.to_owned(),
            Some(at) => {
                let user = text[start..at].split_once(':');
                let user = user.map_or(String::new(), |(user, _)| format!("{user}:"));
                format!("{}{user}{HIDDEN}{}", &text[..start], &text[at..])
            }
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted())
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

/// Requests for `host:port` are dialled at `to`, as with curl's `--connect-to`. A pin lifts the
/// address check for that name and port only, and is the one way to an upstream inside the
/// network. Rules and TLS still see the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The name or address in the URL; IPv6 in brackets.
    pub host: String,
    /// The port in the URL, or the scheme's own.
    pub port: u16,
    /// The address that the connection goes to.
    pub to: SocketAddr,
}

/// The certificate for one host, or for the hosts below one domain, which is sent if the host requests one during the
/// TLS handshake; of two that match, the first. The functions that may request such a host do so in the operator's
/// name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The name or address in the URL, or `*.example.com` for the names below.
    pub host: String,
    /// The port in the URL, or the scheme's own; left out, every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The certificate and its chain to the authority, in PEM form.
    pub certificate: PathBuf,
    /// Its private key, in PEM form.
    pub key: PathBuf,
}

/// The addresses that are dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// Addresses of [`AddressClass::Public`](crate::AddressClass::Public), and pinned ones.
    #[default]
    Public,
    /// Every address, the user's own network included.
    Any,
}

/// Settings that do not work; `Display` names the setting and what to write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value outside its range.
    #[error("egress.{setting}: {problem}")]
    Value {
        /// The setting's name.
        setting: &'static str,
        /// The problem, and what works.
        problem: String,
    },
    /// A CA file that cannot be read, or holds no certificates.
    #[error("egress.ca_files: {}: {problem}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// A file of a client certificate that cannot be read, or does not match the other.
    #[error("egress.client_certificate: {}: {problem}", path.display())]
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// No name servers to ask.
    #[error(
        "egress.dns_servers: the system's resolver configuration does not work: {0}. List name servers here"
    )]
    Dns(String),
    /// The TLS library refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(String),
}

impl Config {
    /// Checks each number that could make the client panic or wait forever.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let value = |setting, problem: &str| {
            Err(ConfigError::Value {
                setting,
                problem: problem.to_owned(),
            })
        };
        for (setting, duration) in [
            ("connect_timeout", self.connect_timeout),
            ("first_byte_timeout", self.first_byte_timeout),
            ("idle_timeout", self.idle_timeout),
            ("total_timeout", self.total_timeout),
        ] {
            if duration.is_zero() || duration > Duration::from_secs(24 * 3600) {
                return value(setting, "write more than 0s and at most 24h");
            }
        }
        for (setting, count) in [
            ("max_concurrent", self.max_concurrent),
            (
                "max_concurrent_per_function",
                self.max_concurrent_per_function,
            ),
            (
                "max_concurrent_per_upstream",
                self.max_concurrent_per_upstream,
            ),
            ("max_connections", self.max_connections),
            ("max_response_header_count", self.max_response_header_count),
        ] {
            if !(1..=1_000_000).contains(&count) {
                return value(setting, "write a number from 1 to 1000000");
            }
        }
        if self.max_retries > 10 {
            return value("max_retries", "write a number from 0 to 10");
        }
        if !(8 * 1024..=16 * 1024 * 1024).contains(&self.max_response_headers.as_u64()) {
            return value("max_response_headers", "write a size from 8KiB to 16MiB");
        }
        Ok(())
    }
}
