//! SIGHUP: rereads the settings, and applies those that can change while calls run.
//!
//! These are `log`, and the files that `tls.certificate` and `tls.key` name. The log names all others as waiting for a
//! restart, because calls in progress were admitted with the old limits, grants and listeners. Refused settings change
//! nothing.

use crate::args::Serve;
use crate::config::Config;
use crate::log::LogFilter;
use iof_server::Certificate;
use std::sync::Arc;
use toml::{Table, Value};

/// The text that stands for no reloaded setting.
const NOTHING: &str = "nothing";

/// The sources of settings, and the settings in effect.
pub(crate) struct Reload {
    args: Arc<Serve>,
    filter: LogFilter,
    settings: Table,
}

impl Reload {
    /// Prepares reloads of a server that was started with `args` and the resulting `config`.
    pub(crate) fn new(args: Serve, filter: LogFilter, config: &Config) -> Result<Self, String> {
        Ok(Self {
            args: Arc::new(args),
            filter,
            settings: table(config)?,
        })
    }

    /// Reads all settings again. Returns the result for the service manager; the log has more.
    pub(crate) async fn apply(&mut self, certificate: Option<&Certificate>) -> String {
        let (mut reloaded, mut problems) = (vec![], vec![]);
        if let Some(certificate) = certificate {
            match certificate.reload().await {
                Ok(()) => reloaded.push("the certificate".to_owned()),
                Err(problem) => {
                    problems.push(format!("{problem}. The previous certificate stays in use."));
                }
            }
        }
        let mut waiting = vec![];
        match self.settings_now().await {
            Ok((log, settings)) => {
                for name in differences(&self.settings, &settings) {
                    if name != "log" {
                        waiting.push(name);
                        continue;
                    }
                    match self.filter.set(&log) {
                        Ok(()) => {
                            self.settings
                                .insert(name.clone(), Value::String(log.clone()));
                            reloaded.push(name);
                        }
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Err(problem) => problems.push(format!("{problem}. The previous settings stay in use.")),
        }
        for problem in &problems {
            tracing::error!(problem, "not reloaded");
        }
        let reloaded = match reloaded.is_empty() {
            true => NOTHING.to_owned(),
            false => reloaded.join(", "),
        };
        match waiting.is_empty() {
            // The errors above are enough.
            true if reloaded == NOTHING && !problems.is_empty() => {}
            true => tracing::info!("reloaded: {reloaded}"),
            false => tracing::warn!(
                "reloaded: {reloaded}. A restart is needed for: {}",
                waiting.join(", ")
            ),
        }
        match (problems.is_empty(), waiting.is_empty()) {
            (false, _) => "the last reload failed; the log has the reason".to_owned(),
            (true, false) => format!("a restart is needed for: {}", waiting.join(", ")),
            (true, true) => format!("reloaded: {reloaded}"),
        }
    }

    /// The settings that a start would use now, and their `log`.
    async fn settings_now(&self) -> Result<(String, Table), String> {
        let args = Arc::clone(&self.args);
        let config = tokio::task::spawn_blocking(move || Config::resolve(&args))
            .await
            .map_err(|error| error.to_string())??;
        let settings = table(&config)?;
        Ok((config.log, settings))
    }
}

fn table(config: &Config) -> Result<Table, String> {
    Table::try_from(config).map_err(|error| error.to_string())
}

/// The names of the settings that differ; never their values, which may be keys.
fn differences(before: &Table, now: &Table) -> Vec<String> {
    let mut names = vec![];
    let all = before
        .keys()
        .chain(now.keys().filter(|name| !before.contains_key(*name)));
    for name in all {
        match (before.get(name), now.get(name)) {
            (Some(Value::Table(before)), Some(Value::Table(now))) => {
                let inner = differences(before, now);
                names.extend(inner.into_iter().map(|inner| format!("{name}.{inner}")));
            }
            (before, now) if before != now => names.push(name.clone()),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_changed_came_or_went_are_named() {
        let before: Table = "log = \"info\"\n[a]\nx = 1\ny = 2\n[a.b]\nz = [1]\n"
            .parse()
            .unwrap();
        let now: Table = "log = \"debug\"\n[a]\nx = 1\n[a.b]\nz = [2]\nw = 1\n[c]\nd = 1\n"
            .parse()
            .unwrap();
        assert_eq!(
            differences(&before, &now),
            ["a.b.z", "a.b.w", "a.y", "log", "c"]
        );
        assert_eq!(differences(&now, &now), Vec::<String>::new());
    }
}
