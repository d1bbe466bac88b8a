//! Checks of settings and of the files that they name.

use super::{Config, listen, read};
use crate::log;
use bytesize::ByteSize;
use iof_server::{Https, Secrets};
use iof_store::SecretKeys;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// The least characters of a key: a shorter one can be guessed.
const KEY_LENGTH: usize = 16;

/// The shortest and the longest time, in milliseconds: a connection needs some time, and a day is a mistake.
const SHORTEST: u64 = 10;
const LONGEST: u64 = 24 * 3600 * 1000;
const MOST_COUNT: u64 = u32::MAX as u64;

/// A setting of a bounded range.
enum Quantity {
    Count(u32),
    Size(ByteSize),
    Time(Duration),
}

use Quantity::{Count, Size, Time};

impl Quantity {
    /// The value in bytes or milliseconds.
    fn value(&self) -> u64 {
        match self {
            Count(count) => u64::from(*count),
            Size(size) => size.as_u64(),
            Time(time) => u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// A number in the form of the setting, with its unit.
    fn written(&self, number: u64) -> String {
        match self {
            Count(_) => number.to_string(),
            Size(_) => ByteSize::b(number).to_string(),
            Time(_) => {
                humantime_serde::re::humantime::format_duration(Duration::from_millis(number))
                    .to_string()
            }
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.auth.keys.iter().any(|key| key.len() < KEY_LENGTH) {
            return Err(format!(
                "auth.keys: a key needs at least {KEY_LENGTH} characters; `openssl rand -hex 24` makes one"
            ));
        }
        log::check(&self.log).map_err(|error| format!("log: {error}"))?;
        self.public_url()?;
        self.domain()?;
        self.store.check().map_err(|error| error.to_string())?;
        if !self.store.url.is_empty()
            && self.secrets.key_file.as_os_str().is_empty()
            && self.secrets.keys.is_empty()
        {
            return Err(
                "store.url is set, but no key of secrets: each node of a fleet would make one of its own, and read no secret \
                 of another. Set secrets.key_file to the same file on all of them (`openssl rand -hex 32` makes a key)."
                    .to_owned(),
            );
        }
        let https = self.https_address()?;
        self.addresses_differ()?;
        let public = |address: &SocketAddr| !address.ip().is_loopback();
        let exposed = [Some(self.listen), https]
            .into_iter()
            .flatten()
            .find(public);
        if let Some(address) = exposed.filter(|_| self.auth.keys.is_empty()) {
            return Err(format!(
                "refusing to listen on {address} without a key: anybody who reaches it could upload code. Set \
                 auth.keys (or IOF_AUTH_KEYS), or listen on 127.0.0.1 behind a proxy that checks callers."
            ));
        }
        let (server, limits, compile) = (&self.server, &self.limits, &self.compile);
        let (second_state, console, jobs) = (&self.second_state, &self.console, &self.jobs);
        // With a value out of range, the server would start but answer nothing.
        let ranges = [
            ("server.concurrency", Count(server.concurrency), 1, 10_000),
            (
                "server.connections",
                Count(server.connections),
                1,
                MOST_COUNT,
            ),
            (
                "server.idle_instances",
                Count(server.idle_instances),
                0,
                10_000,
            ),
            ("server.open_files", Count(server.open_files), 1, MOST_COUNT),
            ("server.jobs_running", Count(server.jobs_running), 1, 10_000),
            ("server.json_depth", Count(server.json_depth), 1, MOST_COUNT),
            ("jobs.lease", Time(jobs.lease), 300, LONGEST),
            ("jobs.attempts", Count(jobs.attempts), 1, 1000),
            ("jobs.attempts_limit", Count(jobs.attempts_limit), 1, 1000),
            ("jobs.backoff", Time(jobs.backoff), SHORTEST, LONGEST),
            (
                "jobs.backoff_limit",
                Time(jobs.backoff_limit),
                SHORTEST,
                LONGEST,
            ),
            ("jobs.ttl", Time(jobs.ttl), 1, 366 * LONGEST),
            ("jobs.delay", Time(jobs.delay), 0, 366 * LONGEST),
            ("jobs.weight", Count(jobs.weight), 1, 1000),
            (
                "jobs.callback_attempts",
                Count(jobs.callback_attempts),
                1,
                100,
            ),
            ("server.head_size", Size(server.head_size), 1 << 10, 1 << 30),
            ("server.uri_size", Size(server.uri_size), 64, 1 << 30),
            (
                "server.head_wait",
                Time(server.head_wait),
                SHORTEST,
                LONGEST,
            ),
            (
                "server.body_wait",
                Time(server.body_wait),
                SHORTEST,
                LONGEST,
            ),
            (
                "server.write_wait",
                Time(server.write_wait),
                SHORTEST,
                LONGEST,
            ),
            ("otlp.timeout", Time(self.otlp.timeout), SHORTEST, LONGEST),
            ("otlp.interval", Time(self.otlp.interval), SHORTEST, LONGEST),
            (
                "otlp.metrics_interval",
                Time(self.otlp.metrics_interval),
                SHORTEST,
                LONGEST,
            ),
            ("console.step", Time(console.step), 100, 60 * 60 * 1000),
            ("console.sessions", Count(console.sessions), 1, 1_000_000),
            ("console.streams", Count(console.streams), 1, 10_000),
            ("console.attempts", Count(console.attempts), 1, MOST_COUNT),
            ("limits.wall_time", Time(limits.wall_time), 1, LONGEST),
            ("limits.guest_cpu", Time(limits.guest_cpu), 1, LONGEST),
            ("limits.memory", Size(limits.memory), 64 << 10, 4 << 30),
            ("limits.stack", Size(limits.stack), 16 << 10, 16 << 20),
            (
                "compile.compile_time",
                Time(compile.compile_time),
                1000,
                LONGEST,
            ),
            (
                "compile.compile_memory",
                Size(compile.compile_memory),
                96 << 20,
                1 << 40,
            ),
            ("compile.module_size", Size(compile.module_size), 8, 1 << 30),
            (
                "server.multipart_parts",
                Count(server.multipart_parts),
                1,
                10_000,
            ),
            ("server.log_rows", Count(server.log_rows), 0, 100_000),
            (
                "second_state.callback_depth",
                Count(second_state.callback_depth),
                0,
                100,
            ),
        ];
        for (name, quantity, least, most) in ranges {
            if !(least..=most).contains(&quantity.value()) {
                let (least, most) = (quantity.written(least), quantity.written(most));
                return Err(format!(
                    "{name} must be between {least} and {most}: got {}",
                    quantity.written(quantity.value())
                ));
            }
        }
        Ok(())
    }

    /// Refuses two settings that name the same port, because only one listener can have it.
    fn addresses_differ(&self) -> Result<(), String> {
        let named = [
            ("listen", Some(self.listen)),
            ("tls.listen", self.https_address()?),
            ("metrics.listen", self.metrics_address()?),
        ];
        let named: Vec<_> = named
            .into_iter()
            .filter_map(|(name, address)| Some((name, address?)))
            .collect();
        for (at, (name, address)) in named.iter().enumerate() {
            let takes = |(_, other): &&(&str, SocketAddr)| {
                let (ip, other_ip) = (address.ip(), other.ip());
                // An unspecified address includes the other one.
                let overlap = ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified();
                address.port() != 0 && address.port() == other.port() && overlap
            };
            if let Some((other, taken)) = named.iter().take(at).find(takes) {
                return Err(format!(
                    "{name}: got {address}, and {other} is {taken}. Choose another port for one of them."
                ));
            }
        }
        Ok(())
    }

    /// The address of HTTPS, if there is one.
    pub(crate) fn https_address(&self) -> Result<Option<SocketAddr>, String> {
        match self.tls.listen.as_str() {
            "" if !self.tls.acme.names.is_empty() => Err(
                "tls.acme.names is set, but tls.listen is not. State where to listen for HTTPS, as in tls.listen = \"0.0.0.0:8443\"."
                    .to_owned(),
            ),
            "" if !self.tls.certificate.as_os_str().is_empty() => Err(
                "tls.certificate is set, but tls.listen is not. State where to listen for HTTPS, as in tls.listen = \"0.0.0.0:8443\"."
                    .to_owned(),
            ),
            "" => Ok(None),
            text => listen::parse(text)
                .map(Some)
                .map_err(|error| format!("tls.listen: {error}")),
        }
    }

    /// The address of metrics, if there is one.
    pub(crate) fn metrics_address(&self) -> Result<Option<SocketAddr>, String> {
        match self.metrics.listen.as_str() {
            "" => Ok(None),
            text => listen::parse(text)
                .map(Some)
                .map_err(|error| format!("metrics.listen: {error}")),
        }
    }

    /// The public URL of the server, if it has one.
    pub(crate) fn public_url(&self) -> Result<Option<Url>, String> {
        let text = self.public_url.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        let url =
            iof_egress::parse_outbound_url(text).map_err(|error| format!("public_url: {error}"))?;
        if url.path() != "/" || url.query().is_some() {
            return Err(format!(
                "public_url: {text:?} has a path; write scheme, host and port only, such as https://f.example.com"
            ));
        }
        Ok(Some(url))
    }

    /// Checks the domain of functions' host names.
    fn domain(&self) -> Result<(), String> {
        let domain = self.server.domain.as_str();
        if domain.is_empty() {
            return Ok(());
        }
        let is_label = |label: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(known)
        };
        let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        let is_domain = domain.len() <= 190
            && domain.split('.').all(is_label)
            && !domain.rsplit('.').next().is_some_and(is_number);
        if !is_domain {
            return Err(format!(
                "server.domain: {domain:?} is not a domain; write a name without scheme, port and *, such as fn.example.com"
            ));
        }
        let url = self.public_url()?;
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        match host.strip_suffix(&domain.to_ascii_lowercase()) {
            Some(name) if name.ends_with('.') => Err(format!(
                "server.domain: the host of public_url, {host}, is below {domain}, where hosts are functions; use another domain, \
                 such as fn.{domain}"
            )),
            _ => Ok(()),
        }
    }

    /// The keys of secrets, if the settings have any. This reads a file, so it is called only at start.
    ///
    /// # Errors
    /// A message that names the setting, and never shows a key.
    pub(crate) fn secret_keys(&self) -> Result<Option<SecretKeys>, String> {
        let Some((setting, text)) = self.secret_key_lines()? else {
            return Ok(None);
        };
        let keys = SecretKeys::parse(&text).map_err(|error| format!("{setting}: {error}"))?;
        Ok(Some(keys))
    }

    /// The keys of secrets as text, one per line, and the setting that has them; `None` if there is none.
    ///
    /// # Errors
    /// A message that names the setting.
    pub(crate) fn secret_key_lines(
        &self,
    ) -> Result<Option<(&'static str, Zeroizing<String>)>, String> {
        let Secrets { key_file, keys } = &self.secrets;
        match (key_file.as_os_str().is_empty(), keys.is_empty()) {
            (true, true) => Ok(None),
            (false, true) => {
                let text = read(key_file).map_err(|error| format!("secrets.key_file: {error}"))?;
                Ok(Some(("secrets.key_file", Zeroizing::new(text))))
            }
            (true, false) => Ok(Some(("secrets.keys", Zeroizing::new(keys.join("\n"))))),
            (false, false) => {
                Err("secrets.key_file and secrets.keys are both set; remove one of them".into())
            }
        }
    }

    /// Reads the files that settings name, as a start does.
    ///
    /// # Errors
    /// A message that names the setting.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        self.secret_keys()?;
        self.otlp.check()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        if self.https_address()?.is_some() {
            runtime.block_on(async { Https::check(&self.tls).await })?;
        }
        Ok(())
    }
}

/// Warns of a key file that other users of the machine can read.
pub(crate) fn warn_of_readers(setting: &str, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(
            "{setting}: other users can read {path}; `chmod 600 {path}` restricts it to this one"
        );
    }
}
