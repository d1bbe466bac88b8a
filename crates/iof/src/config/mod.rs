//! Settings: the arguments, the environment, the file and the defaults become one [`Config`].
//!
//! The defaults define the list of settings: they are serialised to TOML, and every other source may only replace
//! values in it. So each setting has its environment variable and its `--set` name without a second list, and an
//! unknown name is an error in every source, with the nearest known name.

mod check;
mod comments;
pub(crate) mod listen;
mod paths;
mod sources;

pub(crate) use self::check::warn_of_readers;
use self::sources::{merge, names, set, unknown, variable_of};
use crate::args::Serve;
use crate::log::LogFormat;
use iof_command::Grants;
use iof_commands::native::Declaration;
use iof_engine::{CompileLimits, Limits};
use iof_jail::Demand;
use iof_server::{
    Auth, ConsoleSettings, JobSettings, MetricsSettings, OtlpSettings, RecordSettings, SecondState,
    Secrets, SettingLine, SettingSource, Settings, Tls,
};
use iof_store::StoreSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// All settings of a server.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The address to listen on.
    #[serde(deserialize_with = "listen::deserialize")]
    pub(crate) listen: SocketAddr,
    /// The data directory, with functions and their data.
    pub(crate) data: PathBuf,
    /// The filter of the log.
    pub(crate) log: String,
    /// The format of the log: `text`, `json`, or `auto`, which is text on a terminal and JSON elsewhere.
    pub(crate) log_format: LogFormat,
    /// The URL by which clients reach the server; requests of functions to it stay inside the server.
    pub(crate) public_url: String,
    /// The behaviour if this machine lacks a part of the jail in which native commands run.
    pub(crate) jail: Demand,
    pub(crate) auth: Auth,
    pub(crate) tls: Tls,
    pub(crate) store: StoreSettings,
    pub(crate) server: Settings,
    pub(crate) jobs: JobSettings,
    pub(crate) second_state: SecondState,
    pub(crate) limits: Limits,
    pub(crate) compile: CompileLimits,
    pub(crate) egress: iof_egress::Config,
    /// The grants of a module that was uploaded without a declaration.
    pub(crate) defaults: Grants,
    /// The most that a version may declare.
    pub(crate) ceiling: Grants,
    pub(crate) secrets: Secrets,
    pub(crate) records: RecordSettings,
    pub(crate) metrics: MetricsSettings,
    pub(crate) otlp: OtlpSettings,
    pub(crate) console: ConsoleSettings,
    #[cfg(feature = "infer")]
    pub(crate) infer: iof_infer::Config,
    /// Native programs that functions may be granted, by command name.
    pub(crate) commands: BTreeMap<String, Declaration>,
    /// True for the server of `iof dev`. Not a setting.
    #[serde(skip)]
    pub(crate) dev: bool,
    /// The sources of settings that are not at their default. Not a setting.
    #[serde(skip)]
    sources: BTreeMap<String, SettingSource>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: "iof-data".into(),
            log: "info".into(),
            log_format: LogFormat::Auto,
            public_url: String::new(),
            jail: Demand::default(),
            auth: Auth::default(),
            tls: Tls::default(),
            store: StoreSettings::default(),
            server: Settings::default(),
            jobs: JobSettings::default(),
            second_state: SecondState::default(),
            limits: Limits::default(),
            compile: CompileLimits::default(),
            egress: iof_egress::Config::default(),
            defaults: Grants::as_shipped(),
            ceiling: Grants::as_shipped(),
            secrets: Secrets::default(),
            records: RecordSettings::default(),
            metrics: MetricsSettings::default(),
            otlp: OtlpSettings::default(),
            console: ConsoleSettings::default(),
            #[cfg(feature = "infer")]
            infer: iof_infer::Config::default(),
            commands: BTreeMap::new(),
            dev: false,
            sources: BTreeMap::new(),
        }
    }
}

/// The message for a setting of models in a build without them.
const NO_MODELS: &str =
    "[infer] does nothing in this iof, which runs no models. Build iof with its feature `infer`.";

impl Config {
    /// Joins all sources and checks the result.
    ///
    /// # Errors
    /// A message that names the setting, its source and valid values.
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
        let mut sources = BTreeMap::new();
        if let Some((path, text)) = file {
            let folder = std::path::absolute(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let folder = folder.parent().unwrap_or(Path::new("/")).to_owned();
            let path = path.display();
            if cfg!(not(feature = "infer"))
                && text
                    .parse::<Table>()
                    .is_ok_and(|file| file.contains_key("infer"))
            {
                return Err(format!("{path}: {NO_MODELS}"));
            }
            let mut table: Table = text.parse().map_err(|error| format!("{path}: {error}"))?;
            let renamed =
                sources::rename(&mut table).map_err(|error| format!("{path}: {error}"))?;
            // The text is deserialised by itself, so that a message shows the line. A table has no lines.
            let alone = match renamed {
                false => toml::from_str::<Self>(&text),
                true => Self::deserialize(table.clone()),
            };
            alone.map_err(|error| format!("{path}: {}", sources::said(&error)))?;
            paths::absolute(&mut table, &folder);
            if let Some(port) = table.get("listen").and_then(Value::as_integer) {
                table.insert("listen".into(), port.to_string().into());
            }
            let own = sources::names(&table);
            sources.extend(own.into_iter().map(|name| (name, SettingSource::File)));
            merge(&mut settings, table);
        }
        for (variable, value) in environment {
            let today = sources::renamed_variable(&variable);
            let name = names
                .iter()
                .find(|name| variable_of(name) == today)
                .ok_or_else(|| unknown(&variable, names.iter().map(|name| variable_of(name))))?;
            set(&mut settings, name, &value).map_err(|error| format!("{variable}: {error}"))?;
            sources.insert(name.clone(), SettingSource::Environment);
        }
        for pair in &args.set {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("--set {pair}: write it as NAME=VALUE"))?;
            let name = sources::renamed(name);
            if !names.iter().any(|known| known == name) {
                return Err(unknown(name, names.iter().cloned()));
            }
            set(&mut settings, name, value).map_err(|error| format!("--set {name}: {error}"))?;
            sources.insert(name.to_owned(), SettingSource::Flag);
        }
        let mut config: Self = settings
            .try_into()
            .map_err(|error: toml::de::Error| sources::clear(error.message()))?;
        if let Some(listen) = args.listen {
            config.listen = listen;
            sources.insert("listen".to_owned(), SettingSource::Flag);
        }
        if let Some(data) = &args.data {
            config.data.clone_from(data);
            sources.insert("data".to_owned(), SettingSource::Flag);
        }
        config.sources = sources;
        // All messages show the absolute path.
        config.data =
            std::path::absolute(&config.data).map_err(|error| format!("data: {error}"))?;
        config.check()?;
        Ok(config)
    }

    /// All effective settings without secrets, optionally with comments.
    pub(crate) fn to_toml(&self, commented: bool) -> String {
        let table = self.table();
        match commented {
            true => comments::add(&table.to_string()),
            false => table.to_string(),
        }
    }
}

impl Config {
    /// All effective settings without secrets, each with its source.
    pub(crate) fn lines(&self) -> Vec<SettingLine> {
        let table = self.table();
        let lines = names(&table).into_iter().map(|name| {
            // The environment of a program may contain a password.
            let hidden = name.starts_with("commands.") && name.contains(".env.");
            let value = match hidden {
                true => None,
                false => sources::value(&table, &name),
            };
            SettingLine {
                source: self.sources.get(&name).copied().unwrap_or_default(),
                value: value.map_or("(hidden)".to_owned(), ToString::to_string),
                name,
            }
        });
        lines.collect()
    }

    /// All effective settings without secrets.
    fn table(&self) -> Table {
        let mut table = Table::try_from(self).unwrap_or_default();
        for name in ["auth", "secrets"] {
            let keys = table.get_mut(name).and_then(|inner| inner.get_mut("keys"));
            if let Some(keys) = keys.and_then(Value::as_array_mut) {
                keys.fill(Value::from("(hidden)"));
            }
        }
        let store = table
            .get_mut("store")
            .and_then(|store| store.get_mut("url"));
        if let Some(url) = store {
            *url = self.store.shown_url().into();
        }
        table
    }
}

#[expect(clippy::disallowed_methods, reason = "once, before there is a runtime")]
fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))
}

/// Returns whether an environment variable is a setting.
fn is_ours(name: &str) -> bool {
    // Kubernetes gives every pod such variables for a service of the name `iof`.
    let kubernetes =
        name.starts_with("IOF_SERVICE_") || name == "IOF_PORT" || name.starts_with("IOF_PORT_");
    // The variables of commands that connect to a server.
    let clients = matches!(
        name,
        "IOF_CONFIG" | "IOF_SERVER" | "IOF_KEY" | "IOF_PROFILE"
    );
    name.starts_with("IOF_") && !clients && !kubernetes
}

#[cfg(test)]
mod tests;
