//! Settings of the store: `[store]` in `iof.toml`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::postgres;

/// `[store]`: the database, and the modules of functions.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The database of a fleet: `postgres://user@host:5432/database`. Its nodes share it, and a user's functions are on all
    /// of them. Empty for the data directory's own (SQLite), which one server uses. Parameters: `sslmode` (`verify-full`
    /// unless the host is this machine; `verify-ca`, `require`, `prefer`, `disable`), `sslrootcert`, `sslcert`, `sslkey`,
    /// `application_name`, and `host` for the folder of a socket.
    pub url: String,
    /// A file with the password for the database, and nothing else.
    pub password_file: PathBuf,
    /// The folder of modules, which all nodes of a fleet share: a file system that has them all, such as NFS. Empty for
    /// one in the data directory.
    pub sources: PathBuf,
    /// Connections of this node that read from PostgreSQL. Three more write and follow changes.
    pub connections: u32,
    /// The time within which PostgreSQL has to answer. Fault `store-unreachable`.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The time without an answer of PostgreSQL from when on this node refuses changes at once, and says so. It keeps
    /// serving the functions that it has loaded. Fault `store-unreachable`.
    #[serde(with = "humantime_serde")]
    pub stale_limit: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            password_file: PathBuf::new(),
            sources: PathBuf::new(),
            connections: 3,
            timeout: Duration::from_secs(10),
            stale_limit: Duration::from_secs(5),
        }
    }
}

/// Omits the address, which may have a password.
impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings")
            .field("postgres", &!self.url.is_empty())
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl StoreSettings {
    /// Checks what can be checked without a database.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the setting and the next step.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |what: &str| Err(Error::Invalid { what: what.into() });
        if self.url.is_empty() {
            if !self.password_file.as_os_str().is_empty() {
                return invalid(
                    "store.password_file is set, but store.url is not. Set store.url, or leave both out",
                );
            }
            return Ok(());
        }
        if !(1..=100).contains(&self.connections) {
            return invalid("store.connections is not 1 to 100. Choose 3, for instance");
        }
        if self.timeout < Duration::from_millis(100) || self.timeout > Duration::from_secs(600) {
            return invalid("store.timeout is not 100ms to 10m. Choose 10s, for instance");
        }
        if self.stale_limit < Duration::from_secs(2) {
            return invalid(
                "store.stale_limit is less than 2s, within which a node looks at the database. Choose 5s, for instance",
            );
        }
        postgres::Address::read(&self.url, None).map(drop)
    }

    /// The host and the name of the database of a fleet, for people.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        let address = postgres::Address::read(&self.url, None).ok()?;
        Some(address.label())
    }

    /// The address of the database without its password.
    #[must_use]
    pub fn shown_url(&self) -> String {
        match url::Url::parse(&self.url) {
            Ok(mut url) if url.password().is_some() => {
                // A URL with a password has a host, so this cannot fail.
                let _ = url.set_password(Some("(hidden)"));
                url.to_string()
            }
            Ok(url) => url.to_string(),
            Err(_) if self.url.is_empty() => String::new(),
            Err(_) => "(hidden)".into(),
        }
    }

    /// The database of a fleet; `None` for the data directory's own. It reads the file of the password.
    pub(crate) fn database(&self) -> Result<Option<postgres::Use>, Error> {
        self.check()?;
        if self.url.is_empty() {
            return Ok(None);
        }
        let password = password(&self.password_file)?;
        Ok(Some(postgres::Use {
            address: postgres::Address::read(&self.url, password.as_deref())?,
            connections: self.connections,
            timeout: self.timeout,
            stale_limit: self.stale_limit,
        }))
    }

    /// The folder of modules, if it is not in the data directory.
    pub(crate) fn sources(&self) -> Option<PathBuf> {
        (!self.sources.as_os_str().is_empty()).then(|| self.sources.clone())
    }
}

fn password(file: &Path) -> Result<Option<String>, Error> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).map_err(Error::at(file))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        return Err(Error::Invalid {
            what: format!(
                "store.password_file is not a file of one line: {}. Write the password in it, and nothing else",
                file.display()
            ),
        });
    }
    Ok(Some(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let settings = StoreSettings {
            url: "postgres://iof:hush@db/iof".into(),
            ..StoreSettings::default()
        };
        assert_eq!(settings.shown_url(), "postgres://iof:(hidden)@db/iof");
        assert!(!format!("{settings:?}").contains("hush"));
        assert_eq!(settings.label().unwrap(), "db:5432/iof");
        let broken = StoreSettings {
            url: "postgres//iof:hush@db/iof".into(),
            ..settings
        };
        assert!(!broken.check().unwrap_err().to_string().contains("hush"));
        assert!(
            !broken.shown_url().contains("hush"),
            "{}",
            broken.shown_url()
        );
    }
}
