//! `iof serve --check`.

use crate::config::Config;
use crate::fail;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::ExitCode;

/// `--check`: whether a server would start with these settings, as far as that is known without starting one.
pub(crate) fn run(config: &Config) -> ExitCode {
    if let Err(message) = config.check_files() {
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

/// Listens at each address, and lets it go. Addresses that a server of the same data has are fine: that is the one which
/// starts again. Returns a line that says so.
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
                        "Another program has it: `ss -ltnp` names it. Stop that, or choose another address."
                    }
                    ErrorKind::AddrNotAvailable => {
                        "It is not an address of this machine: `ip address` lists these."
                    }
                    ErrorKind::PermissionDenied => {
                        "Ports below 1024 take the right CAP_NET_BIND_SERVICE: choose another port, or give it (AmbientCapabilities in a unit)."
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
