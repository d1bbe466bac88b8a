//! The checks for servers: the machine and the settings.

use super::{Check, Part};
use crate::config::Config;
use crate::{check as start_check, host, secret_keys, upgrade};
use iof_engine::{Bound, SLOT};
use iof_server::Validity;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of functions below which advice is given.
const FEW: u32 = 100;
/// The free bytes below which a server soon runs out of room.
const ROOM: u64 = 1 << 30;
/// The beginning of 2025: a correct clock shows at least this.
const WRITTEN: Duration = Duration::from_secs(1_735_689_600);

pub(super) fn checks(config: &Config, fix: bool) -> Vec<Check> {
    let mut checks = vec![
        kernel(),
        address_space(config),
        functions(config),
        descriptors(config),
        clock(),
        store(config),
        keys(config),
        secrets(config, fix),
    ];
    checks.extend(certificate(config));
    if let Err(problem) = start_check::parts(config) {
        let advice = "the server will not start: correct that, and try `iof serve --check`";
        checks.push(check("parts", problem, Some(advice.to_owned())));
    }
    checks
}

fn check(name: &str, found: impl Into<String>, advice: Option<String>) -> Check {
    Check::new(Part::Server, name, found, advice)
}

/// Checks for PAGEMAP_SCAN, by which the engine finds the pages that a call wrote (Linux 6.7).
fn kernel() -> Check {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let advice = (!host::scans_pages()).then(|| {
        "calls work, but take longer: a kernel from 6.7 on can report which pages a call wrote (PAGEMAP_SCAN)".to_owned()
    });
    check("kernel", format!("Linux {release}"), advice)
}

/// Checks the number of functions that can be kept loaded, and names the limit to raise.
fn functions(config: &Config) -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let capacity = host::capacity(config, limit.unwrap_or(u64::MAX));
    let functions = capacity.functions;
    let more = match capacity.bound {
        Bound::Maps => format!(
            "raise vm.max_map_count, which is {} (sysctl -w vm.max_map_count=262144)",
            host::maps()
        ),
        Bound::Descriptors => "raise the limit of open files (ulimit -n, LimitNOFILE)".to_owned(),
        Bound::AddressSpace => "raise the limit of address space (ulimit -v)".to_owned(),
        Bound::Memory => "raise server.loaded_memory".to_owned(),
    };
    let found = format!("{functions} can be kept ready; for more, {more}");
    let advice = (functions < FEW).then(|| {
        format!(
            "functions beyond these are loaded for each call, if their number in use is higher: {more}"
        )
    });
    check("functions", found, advice)
}

fn address_space(config: &Config) -> Check {
    let wanted = u64::from(config.server.concurrency).saturating_mul(SLOT);
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let found = match limit {
        None => "no limit".to_owned(),
        Some(limit) => format!("{} GiB", limit >> 30),
    };
    let short = limit.is_some_and(|limit| limit < wanted);
    check(
        "address space",
        found,
        short.then(|| {
            format!(
                "{} calls at once reserve {} GiB: raise the limit (ulimit -v), or lower server.concurrency",
                config.server.concurrency,
                wanted >> 30
            )
        }),
    )
}

fn descriptors(config: &Config) -> Check {
    // The descriptors are divided as in `iof serve`.
    let connections = u64::from(config.server.connections).saturating_mul(2);
    let wanted = connections.max(u64::from(config.server.open_files).saturating_mul(4));
    // The program may raise the soft limit itself.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let found = limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let short = limit.is_some_and(|limit| limit < wanted);
    check(
        "open files",
        found,
        short.then(|| {
            format!(
                "{} connections and {} files of calls at once want {wanted}, and there will be fewer: raise the limit \
                 (ulimit -n, LimitNOFILE), or lower server.connections and server.open_files",
                config.server.connections, config.server.open_files
            )
        }),
    )
}

fn clock() -> Check {
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let found = humantime_serde::re::humantime::format_rfc3339_seconds(now).to_string();
    let wrong = since < WRITTEN;
    check(
        "clock",
        found,
        wrong.then(|| "it is behind: certificates and keys will seem to be from the future; set it, or start chrony".to_owned()),
    )
}

/// Checks that the data directory can be created or written, and has room.
fn store(config: &Config) -> Check {
    let data = &config.data;
    let there = data.ancestors().find(|folder| folder.is_dir());
    let there = there.unwrap_or(Path::new("."));
    let writable = rustix::fs::access(
        there,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    );
    let found = format!(
        "{} ({})",
        data.display(),
        if data.is_dir() {
            "there"
        } else {
            "not there yet"
        }
    );
    if writable.is_err() {
        let advice = format!(
            "this user cannot write to {}: choose another with --data, or run as its owner",
            there.display()
        );
        return check("store", found, Some(advice));
    }
    if let Err(error) = iof_store::check_database(data) {
        return check("store", found, Some(error.to_string()));
    }
    let free =
        rustix::fs::statvfs(there).map_or(u64::MAX, |of| of.f_bavail.saturating_mul(of.f_frsize));
    let advice = (free < ROOM).then(|| {
        format!(
            "{} MiB are free: make room, or choose another disk with --data",
            free >> 20
        )
    });
    check("store", found, advice)
}

fn keys(config: &Config) -> Check {
    let public = !config.listen.ip().is_loopback();
    let found = match config.auth.keys.len() {
        0 => format!("none, on {}", config.listen),
        n => format!("{n}, on {}", config.listen),
    };
    let advice = (public && config.auth.keys.is_empty()).then(|| {
        "anyone could deploy, so the server will not start: set auth.keys, or listen on 127.0.0.1".to_owned()
    });
    check("keys of the server", found, advice)
}

/// Checks the certificate of a server with HTTPS.
#[expect(clippy::disallowed_methods, reason = "a check may block")]
fn certificate(config: &Config) -> Option<Check> {
    config.https_address().ok().flatten()?;
    let (name, file) = ("certificate", &config.tls.certificate);
    let acme = &config.tls.acme;
    if !acme.names.is_empty() {
        let from = format!(
            "ordered from {} for {}",
            acme.directory,
            acme.names.join(", ")
        );
        return Some(check(name, from, None));
    }
    let read = fs::read(file).map_err(|error| error.to_string());
    Some(match read.and_then(|pem| Validity::of_pem(&pem)) {
        Ok(validity) => {
            let expiry = validity.expiry(SystemTime::now());
            check(
                name,
                format!("{}, {validity}", file.display()),
                expiry.map(|expiry| expiry.to_string()),
            )
        }
        Err(problem) => check(
            name,
            format!("{}: {problem}", file.display()),
            Some("name a PEM file with the server's certificate in tls.certificate".to_owned()),
        ),
    })
}

fn secrets(config: &Config, fix: bool) -> Check {
    let name = "key of secrets";
    if let Ok(Some(found)) = upgrade::inspect(config)
        && let Err(problem) = secret_keys::check(config, &found.secret_keys)
    {
        return check(
            name,
            problem,
            Some("correct that before the start".to_owned()),
        );
    }
    let file = match (
        config.secrets.key_file.as_os_str().is_empty(),
        config.secrets.keys.len(),
    ) {
        (true, 0) => config.data.join("secrets.key"),
        (true, n) => return check(name, format!("{n} in secrets.keys"), None),
        (false, _) => config.secrets.key_file.clone(),
    };
    let is_own = config.secrets.key_file.as_os_str().is_empty();
    let shown = file.display();
    let mode = match fs::metadata(&file) {
        Ok(found) => found.permissions().mode(),
        Err(error) if is_own && error.kind() == ErrorKind::NotFound => {
            return check(name, format!("{shown}: made at the first start"), None);
        }
        Err(error) => {
            return check(
                name,
                format!("secrets.key_file: {shown}: {error}"),
                Some("the server will not start: make one with `(umask 077; openssl rand -base64 32 > FILE)`".to_owned()),
            );
        }
    };
    if mode & 0o077 == 0 {
        return check(name, shown.to_string(), None);
    }
    if fix && fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).is_ok() {
        return check(
            name,
            format!("{shown}: fixed: only its user can read it now"),
            None,
        );
    }
    check(
        name,
        format!("{shown}: other users can read it"),
        Some(format!("`chmod 600 {shown}`, or `iof doctor --fix`")),
    )
}
