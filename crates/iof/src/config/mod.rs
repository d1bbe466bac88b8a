//! Settings: what was typed, the environment, the file and the defaults become one [`Config`].
//!
//! The defaults are the list of settings: they are written out as TOML, and every other source may only replace what is
//! in it. So each setting has its environment variable and its `--set` name without being listed anywhere twice, and a
//! name that does not exist is an error wherever it is written, with the nearest one that does.

mod sources;

use self::sources::{merge, names, set, unknown, variable_of};
use crate::args::Serve;
use iof_command::Grants;
use iof_commands::native::Declaration;
use iof_engine::{CompileLimits, Limits};
use iof_jail::Demand;
use iof_server::{Auth, MetricsSettings, RecordSettings, SecondState, Secrets, Settings, Tls};
use iof_store::SecretKeys;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use url::Url;
use zeroize::Zeroizing;

/// All settings of a server.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Where functions are kept.
    pub(crate) data: PathBuf,
    /// What the log shows.
    pub(crate) log: String,
    /// By which URL clients reach the server, if they do; calls back to it stay inside.
    pub(crate) public_url: String,
    /// What to do where this machine lacks a part of the jail that native commands run in.
    pub(crate) jail: Demand,
    pub(crate) auth: Auth,
    pub(crate) tls: Tls,
    pub(crate) server: Settings,
    pub(crate) second_state: SecondState,
    pub(crate) limits: Limits,
    pub(crate) compile: CompileLimits,
    pub(crate) egress: iof_egress::Config,
    /// What a module that was uploaded without grants may use.
    pub(crate) defaults: Grants,
    /// The most that a version may declare.
    pub(crate) ceiling: Grants,
    pub(crate) secrets: Secrets,
    pub(crate) records: RecordSettings,
    pub(crate) metrics: MetricsSettings,
    #[cfg(feature = "infer")]
    pub(crate) infer: iof_infer::Config,
    /// Native programs that functions may be granted, by the name under which they run them.
    pub(crate) commands: BTreeMap<String, Declaration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: "iof-data".into(),
            log: "info".into(),
            public_url: String::new(),
            jail: Demand::default(),
            auth: Auth::default(),
            tls: Tls::default(),
            server: Settings::default(),
            second_state: SecondState::default(),
            limits: Limits::default(),
            compile: CompileLimits::default(),
            egress: iof_egress::Config::default(),
            defaults: Grants::as_shipped(),
            ceiling: Grants::as_shipped(),
            secrets: Secrets::default(),
            records: RecordSettings::default(),
            metrics: MetricsSettings::default(),
            #[cfg(feature = "infer")]
            infer: iof_infer::Config::default(),
            commands: BTreeMap::new(),
        }
    }
}

/// The answer to a setting of models where there are none.
const NO_MODELS: &str =
    "[infer] does nothing in this iof, which runs no models. Build iof with its feature `infer`.";

/// Keys shorter than this can be guessed.
const KEY_LENGTH: usize = 16;

impl Config {
    /// Joins all sources and checks the result.
    ///
    /// # Errors
    /// A message that names the setting, where it was written, and what would be right.
    pub(crate) fn resolve(args: &Serve) -> Result<Self, String> {
        let environment = std::env::vars().filter(|(name, _)| is_ours(name));
        let file = match &args.config {
            Some(path) => Some((path.as_path(), read(path)?)),
            None => None,
        };
        Self::join(args, environment, file)
    }

    fn join(
        args: &Serve,
        environment: impl Iterator<Item = (String, String)>,
        file: Option<(&Path, String)>,
    ) -> Result<Self, String> {
        let mut settings = Table::try_from(Self::default()).map_err(|error| error.to_string())?;
        let names = names(&settings);
        if let Some((path, text)) = file {
            let path = path.display();
            if cfg!(not(feature = "infer"))
                && text
                    .parse::<Table>()
                    .is_ok_and(|file| file.contains_key("infer"))
            {
                return Err(format!("{path}: {NO_MODELS}"));
            }
            // Read as what it should be first: the message then shows the line.
            toml::from_str::<Self>(&text).map_err(|error| format!("{path}: {error}"))?;
            let table: Table = text.parse().map_err(|error| format!("{path}: {error}"))?;
            merge(&mut settings, table);
        }
        for (variable, value) in environment {
            let name = names
                .iter()
                .find(|name| variable_of(name) == variable)
                .ok_or_else(|| unknown(&variable, names.iter().map(|name| variable_of(name))))?;
            set(&mut settings, name, &value).map_err(|error| format!("{variable}: {error}"))?;
        }
        for pair in &args.set {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("--set {pair}: write it as NAME=VALUE"))?;
            if !names.iter().any(|known| known == name) {
                return Err(unknown(name, names.iter().cloned()));
            }
            set(&mut settings, name, value).map_err(|error| format!("--set {name}: {error}"))?;
        }
        let mut config: Self = settings
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        if let Some(listen) = args.listen {
            config.listen = listen;
        }
        if let Some(data) = &args.data {
            config.data.clone_from(data);
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.auth.keys.iter().any(|key| key.len() < KEY_LENGTH) {
            return Err(format!(
                "auth.keys: a key needs at least {KEY_LENGTH} characters; `openssl rand -hex 24` makes one"
            ));
        }
        self.public_url()?;
        self.metrics_address()?;
        let https = self.https_address()?;
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
        let ranges = [
            (
                "server.concurrency",
                u64::from(self.server.concurrency),
                1,
                10_000,
            ),
            (
                "limits.memory",
                self.limits.memory.as_u64(),
                64 << 10,
                4 << 30,
            ),
            (
                "limits.stack",
                self.limits.stack.as_u64(),
                16 << 10,
                16 << 20,
            ),
            (
                "second_state.multipart_parts",
                u64::from(self.second_state.multipart_parts),
                1,
                10_000,
            ),
            (
                "second_state.log_rows",
                u64::from(self.second_state.log_rows),
                0,
                100_000,
            ),
            (
                "second_state.callback_depth",
                u64::from(self.second_state.callback_depth),
                0,
                100,
            ),
            (
                "compile.compile_memory",
                self.compile.compile_memory.as_u64(),
                96 << 20,
                1 << 40,
            ),
            (
                "compile.module_size",
                self.compile.module_size.as_u64(),
                8,
                1 << 30,
            ),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(format!(
                    "{name} must be between {least} and {most}, and is {value}"
                ));
            }
        }
        Ok(())
    }

    /// The address of HTTPS, if there is one.
    pub(crate) fn https_address(&self) -> Result<Option<SocketAddr>, String> {
        match self.tls.listen.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                format!("tls.listen: {text:?} is no address and port, such as 127.0.0.1:8443")
            }),
        }
    }

    /// The address of metrics, if there is one. A port is one of the loopback address.
    pub(crate) fn metrics_address(&self) -> Result<Option<SocketAddr>, String> {
        let text = self.metrics.listen.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
        let address = match port {
            Ok(port) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
            Err(_) => text.parse(),
        };
        address.map(Some).map_err(|_| {
            format!(
                "metrics.listen is not an address: got {text:?}. Write a port, such as 9464, or an address and a port, \
                 such as 10.0.0.1:9464."
            )
        })
    }

    /// The name of the server to the outside, if it has one.
    pub(crate) fn public_url(&self) -> Result<Option<Url>, String> {
        let text = self.public_url.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        let url =
            iof_egress::parse_outbound_url(text).map_err(|error| format!("public_url: {error}"))?;
        if url.path() != "/" || url.query().is_some() {
            return Err(format!(
                "public_url: {text:?} has a path; write scheme, host and port alone, such as https://f.example.com"
            ));
        }
        Ok(Some(url))
    }

    /// What secrets are encrypted under, if there is a key. Reads a file, so at start alone.
    ///
    /// # Errors
    /// A message that names the setting, and never shows a key.
    pub(crate) fn secret_keys(&self) -> Result<Option<SecretKeys>, String> {
        let Some(text) = self.secret_key_text()? else {
            return Ok(None);
        };
        let setting = match self.secrets.keys.is_empty() {
            true => "secrets.key_file",
            false => "secrets.keys",
        };
        let keys = SecretKeys::parse(&text).map_err(|error| format!("{setting}: {error}"))?;
        Ok(Some(keys))
    }

    /// The keys that secrets are encrypted under as text, a line each, if there are any.
    ///
    /// # Errors
    /// A message that names the setting.
    pub(crate) fn secret_key_text(&self) -> Result<Option<Zeroizing<String>>, String> {
        let Secrets { key_file, keys } = &self.secrets;
        match (key_file.as_os_str().is_empty(), keys.is_empty()) {
            (true, true) => Ok(None),
            (false, true) => {
                warn_of_readers(key_file);
                Ok(Some(Zeroizing::new(read(key_file)?)))
            }
            (true, false) => Ok(Some(Zeroizing::new(keys.join("\n")))),
            (false, false) => {
                Err("secrets.key_file and secrets.keys are both set; one of them has to go".into())
            }
        }
    }

    /// All settings as they apply, secrets left out.
    pub(crate) fn to_toml(&self) -> String {
        let mut table = Table::try_from(self).unwrap_or_default();
        for name in ["auth", "secrets"] {
            let keys = table.get_mut(name).and_then(|inner| inner.get_mut("keys"));
            if let Some(keys) = keys.and_then(Value::as_array_mut) {
                keys.fill(Value::from("(hidden)"));
            }
        }
        table.to_string()
    }
}

#[expect(clippy::disallowed_methods, reason = "once, before there is a runtime")]
fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))
}

/// A key that everybody on the machine can read protects from nobody there.
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(
            "secrets.key_file: other users can read {path}; `chmod 600 {path}` keeps it to this one"
        );
    }
}

/// Whether an environment variable is meant for us.
fn is_ours(name: &str) -> bool {
    // Kubernetes gives every pod such variables for a service of the name `iof`.
    let kubernetes =
        name.starts_with("IOF_SERVICE_") || name == "IOF_PORT" || name.starts_with("IOF_PORT_");
    // Those of the commands that talk to a server.
    let clients = matches!(
        name,
        "IOF_CONFIG" | "IOF_SERVER" | "IOF_KEY" | "IOF_PROFILE"
    );
    name.starts_with("IOF_") && !clients && !kubernetes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(args: &Serve, environment: &[(&str, &str)], file: &str) -> Result<Config, String> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::join(
            args,
            environment,
            Some((Path::new("iof.toml"), file.to_owned())),
        )
    }

    #[test]
    fn flags_over_environment_over_file_over_defaults() {
        let file = "listen = \"127.0.0.1:1\"\n[limits]\nwall_time = \"1s\"\nguest_cpu = \"1s\"\ncommands = 1\n";
        let environment = [
            ("IOF_LISTEN", "127.0.0.1:2"),
            ("IOF_LIMITS_GUEST_CPU", "2s"),
            ("IOF_LIMITS_COMMANDS", "2"),
        ];
        let args = Serve {
            listen: Some("127.0.0.1:3".parse().unwrap()),
            set: vec!["limits.commands=3".into()],
            ..Serve::default()
        };
        let config = join(&args, &environment, file).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.limits.wall_time.as_secs(), 1);
        assert_eq!(config.limits.guest_cpu.as_secs(), 2);
        assert_eq!(config.limits.commands, 3);
        assert_eq!(config.limits.memory, Limits::default().memory);
    }

    #[test]
    fn every_error_names_the_setting_and_its_place() {
        let error = |environment: &[(&str, &str)], set: &str, file: &str| {
            let set = if set.is_empty() {
                vec![]
            } else {
                vec![set.to_owned()]
            };
            join(
                &Serve {
                    set,
                    ..Serve::default()
                },
                environment,
                file,
            )
            .unwrap_err()
        };
        for (message, wanted) in [
            (
                error(&[], "", "[limits]\nwall_tmie = \"1s\"\n"),
                vec!["iof.toml", "wall_tmie", "wall_time"],
            ),
            (error(&[], "", "listen = 5\n"), vec!["iof.toml", "listen"]),
            (
                error(&[("IOF_LIMITS_WALL_TMIE", "1s")], "", ""),
                vec!["IOF_LIMITS_WALL_TMIE", "IOF_LIMITS_WALL_TIME"],
            ),
            (
                error(&[("IOF_LIMITS_WALL_TIME", "soon")], "", ""),
                vec!["IOF_LIMITS_WALL_TIME", "soon"],
            ),
            (
                error(&[], "limits.memory=lots", ""),
                vec!["limits.memory", "lots"],
            ),
            (
                error(&[], "limits.commands=-1", ""),
                vec!["limits.commands"],
            ),
            (error(&[], "limits", ""), vec!["NAME=VALUE"]),
            (error(&[], "limit.memory=1", ""), vec!["limits.memory"]),
            (
                error(&[], "listen=0.0.0.0:80", ""),
                vec!["0.0.0.0:80", "auth.keys", "127.0.0.1"],
            ),
            (error(&[], "auth.keys=short", ""), vec!["auth.keys", "16"]),
            (
                error(&[], "server.concurrency=0", ""),
                vec!["server.concurrency", "between 1"],
            ),
        ] {
            for part in wanted {
                assert!(message.contains(part), "{part:?} is missing in: {message}");
            }
        }
    }

    #[test]
    fn a_public_address_needs_keys() {
        let key = "0123456789abcdef0123";
        let config = join(
            &Serve::default(),
            &[("IOF_AUTH_KEYS", key)],
            "listen = \"0.0.0.0:80\"\n",
        )
        .unwrap();
        assert_eq!(config.auth.keys, [key]);
        assert!(!config.to_toml().contains(key), "keys are never printed");
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let config = Config::default();
        let again: Config = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(again.to_toml(), config.to_toml());
    }
}
