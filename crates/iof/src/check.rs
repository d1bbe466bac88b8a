//! `iof serve --check`.

use crate::config::Config;
#[cfg(feature = "infer")]
use crate::models;
use crate::{fail, native, secret_keys, upgrade};
use iof_command::Registry;
use iof_egress::Egress;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `--check`: states whether a server would start with these settings, as far as that is known without starting one.
pub(crate) fn run(config: &Config) -> ExitCode {
    if let Err(message) = config
        .check_files()
        .and_then(|()| parts(config))
        .and_then(|()| data(config))
    {
        return fail(2, message);
    }
    let in_use = match addresses_are_free(config) {
        Ok(in_use) => in_use,
        Err(message) => return fail(2, message),
    };
    crate::print(&format!(
        "the settings are fine: listen on http://{}, data in {}\n{in_use}",
        config.listen,
        config.data.display()
    ))
}

/// Makes the parts of a server that have no side effects, as a start does.
///
/// # Errors
/// The error with which a start would end.
pub(crate) fn parts(config: &Config) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let egress = Egress::new(config.egress.clone()).map_err(|error| error.to_string())?;
    #[cfg(feature = "infer")]
    drop(runtime.block_on(async { models::inference(config) })?);
    let mut registry = Registry::with_observers(vec![]);
    runtime.block_on(native::register(config, &mut registry, &egress))
}

/// Checks the data directory: this release can use it and its secrets have their keys, or it can be created.
fn data(config: &Config) -> Result<(), String> {
    match upgrade::inspect(config)? {
        None => match unwritable(&config.data) {
            Some((folder, error)) => Err(format!(
                "data: {} cannot be created in {}: {error}. Give this user write access, or choose another place.",
                config.data.display(),
                folder.display()
            )),
            // No secret is stored, so no key is needed yet.
            None => secret_keys::check(config, &[]),
        },
        Some(found) => match upgrade::problem(&found) {
            Some(problem) => Err(format!("data: {}: {problem}", config.data.display())),
            None => secret_keys::check(config, &found.secret_keys),
        },
    }
}

/// The nearest existing folder above a path, if this user cannot write in it.
fn unwritable(place: &Path) -> Option<(PathBuf, String)> {
    let whole = std::path::absolute(place).ok()?;
    let folder = whole.ancestors().find(|folder| folder.exists())?;
    if !folder.is_dir() {
        return Some((folder.to_owned(), "it is a file".into()));
    }
    // Permissions are not enough: some file systems are read-only for everyone.
    match tempfile::Builder::new()
        .prefix(".iof-check-")
        .tempfile_in(folder)
    {
        Ok(_) => None,
        Err(error) => Some((folder.to_owned(), error.to_string())),
    }
}

/// Listens at each address for a moment. Addresses in use by a server of the same data are fine, because that server is
/// the one to be restarted. Returns a line that states this.
fn addresses_are_free(config: &Config) -> Result<String, String> {
    let wanted = [
        ("listen", Some(config.listen)),
        ("tls.listen", config.https_address()?),
        ("metrics.listen", config.metrics_address()?),
    ];
    let mut in_use = String::new();
    for (setting, address) in wanted {
        let Some(address) = address else { continue };
        let Err(error) = TcpListener::bind(address) else {
            continue;
        };
        let taken = error.kind() == ErrorKind::AddrInUse;
        match iof_store::holder(&config.data) {
            Ok(Some(pid)) if taken => {
                let by = pid.map_or(String::new(), |pid| format!(", process {pid}"));
                in_use += &format!("{address} is in use, as a server has this data now{by}\n");
            }
            _ => {
                let next = match error.kind() {
                    ErrorKind::AddrInUse => {
                        "Another program uses it: `ss -ltnp` names it. Stop that program, or choose another address; if it is the server to be restarted with these settings, name its data (--data)."
                    }
                    ErrorKind::AddrNotAvailable => {
                        "It is not an address of this machine: `ip address` lists these."
                    }
                    ErrorKind::PermissionDenied => {
                        "Ports below 1024 need the capability CAP_NET_BIND_SERVICE: choose another port, or grant it (AmbientCapabilities in a unit)."
                    }
                    _ => "Choose another address.",
                };
                return Err(format!(
                    "{setting}: cannot listen on {address}: {error}. {next}"
                ));
            }
        }
    }
    Ok(in_use)
}
