//! The native commands of a server: the jail, and the programs that `iof.toml` declares.

use crate::OURSELVES;
use crate::config::Config;
use iof_command::Registry;
use iof_commands::native::Native;
use iof_commands::signing;
use iof_egress::Egress;
use iof_jail::{Demand, Jail, Settings};
use std::path::PathBuf;

/// Sets up the jail of the settings.
///
/// # Errors
/// A message that names the missing part, with the next step.
pub(crate) async fn jail(demand: Demand, denied: Vec<PathBuf>) -> Result<Jail, String> {
    let settings = Settings {
        demand,
        denied,
        ..Settings::default()
    };
    Jail::new(settings, OURSELVES).await.map_err(|error| match error {
        iof_jail::StartError::Lacks { feature, why, remedy } => format!(
            "native commands need a jail, and this machine lacks a part of it, {feature}: {why}. Either {remedy}; or set \
             jail = \"available\" to use only the available parts; `iof doctor` shows all parts"
        ),
        error => format!("native commands need a jail: {error}"),
    })
}

/// Adds the declared programs. Without programs, no jail is set up.
///
/// # Errors
/// A message that names the setting.
pub(crate) async fn register(
    config: &Config,
    registry: &mut Registry,
    egress: &Egress,
) -> Result<(), String> {
    if config.commands.is_empty() {
        return Ok(());
    }
    // An unset path is empty.
    let own = [&config.data, &config.secrets.key_file, &config.tls.key];
    let mut denied = Vec::new();
    for path in own.into_iter().filter(|path| !path.as_os_str().is_empty()) {
        let absolute = std::path::absolute(path);
        denied.push(absolute.map_err(|error| format!("{}: {error}", path.display()))?);
    }
    let jail = match (jail(config.jail, denied).await, config.jail) {
        (Ok(jail), _) => jail,
        // All parts may be missing: functions are served even without their commands.
        (Err(why), Demand::Available) => {
            let names: Vec<&str> = config.commands.keys().map(String::as_str).collect();
            tracing::error!(
                commands = names.join(", "),
                "native commands do not run on this server, and are not there for functions: {why}. Run `iof doctor` as \
                 the server's user"
            );
            return Ok(());
        }
        (Err(why), Demand::Required) => return Err(why),
    };
    for finding in jail.report().findings() {
        if let Err(why) = &finding.outcome {
            tracing::warn!(
                part = ?finding.feature,
                why,
                "the jail of native commands lacks a part: {}",
                finding.feature.without()
            );
        }
    }
    for (name, declaration) in &config.commands {
        if signing::NAMES.contains(&name.as_str()) {
            return Err(format!(
                "commands.{name}: a program of this name would run for every function with a secret that signs. Give it \
                 another name"
            ));
        }
        let native = Native::new(name, declaration.clone(), &jail, egress.clone())?;
        if registry.register(native).is_some() {
            tracing::info!(
                command = name,
                "a native program replaces the built-in command"
            );
        }
    }
    Ok(())
}
