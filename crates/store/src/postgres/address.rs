//! The address of a database: `store.url`, read and checked.
//!
//! Parts that are not understood are refused, by name. A message never shows the address, because it may have a password.

use std::net::IpAddr;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::error::Error;

/// The parameters that an address may have.
const PARAMETERS: [&str; 6] = [
    "host",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
];

/// A database, and how it is reached.
#[derive(Clone)]
pub(crate) struct Address(PgConnectOptions);

impl Address {
    /// Reads an address; `password` is that of a file of its own. TLS is verified in full where the address says nothing
    /// of it, except on this machine.
    ///
    /// # Errors
    /// [`Error::Invalid`]
    pub(crate) fn read(url: &str, password: Option<&str>) -> Result<Self, Error> {
        let parsed = Url::parse(url).map_err(|error| invalid(&format!("{error}")))?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(invalid(&format!(
                "its scheme is not postgres: got {}",
                parsed.scheme()
            )));
        }
        if parsed.path().trim_start_matches('/').is_empty() {
            return Err(invalid("it names no database"));
        }
        let mut here = match parsed.host_str() {
            None | Some("") | Some("localhost") => true,
            Some(host) => host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback()),
        };
        let mut says_mode = false;
        for (name, value) in parsed.query_pairs() {
            if !PARAMETERS.contains(&&*name) {
                return Err(invalid(&format!(
                    "the parameter {name:?} is not known. These are: {}",
                    PARAMETERS.join(", ")
                )));
            }
            here |= name == "host" && value.starts_with('/');
            says_mode |= name == "sslmode";
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| match error {
            // It says what is wrong with a value, and shows at most that value.
            sqlx::Error::Configuration(why) => invalid(&why.to_string()),
            _ => invalid("it cannot be read"),
        })?;
        let options = match says_mode || here {
            true => options,
            false => options.ssl_mode(PgSslMode::VerifyFull),
        };
        Ok(Self(match password {
            None => options,
            Some(password) => options.password(password),
        }))
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.0
    }

    /// The host and the database, for logs.
    pub(crate) fn label(&self) -> String {
        let host = self.0.get_socket().map_or_else(
            || format!("{}:{}", self.0.get_host(), self.0.get_port()),
            |socket| socket.display().to_string(),
        );
        format!("{host}/{}", self.0.get_database().unwrap_or_default())
    }
}

fn invalid(why: &str) -> Error {
    Error::Invalid {
        what: format!(
            "store.url is not the address of a database: {why}. Write it as postgres://user@host:5432/database, with the password in store.password_file"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_understood_or_refused_without_showing_a_password() {
        for (url, said) in [
            ("mysql://u:hush@h/d", "its scheme is not postgres"),
            ("postgres://u:hush@h:99999/d", "invalid port"),
            ("postgres://u:hush@h", "names no database"),
            (
                "postgres://u:hush@h/d?sslmod=require",
                "\"sslmod\" is not known",
            ),
            (
                "postgres://u@h/d?password=hush",
                "\"password\" is not known",
            ),
            ("postgres://u:hush@h/d?sslmode=sometimes", "sometimes"),
            ("hush", "relative URL"),
        ] {
            let error = Address::read(url, None).err().expect(url).to_string();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn tls_is_verified_unless_the_address_says_otherwise_or_is_here() {
        let verifies = |url: &str| {
            let address = Address::read(url, Some("hush")).unwrap();
            let mode = format!("{:?}", address.options().get_ssl_mode());
            assert!(!address.label().contains("hush"));
            mode == "VerifyFull"
        };
        assert!(verifies("postgres://u@db.example.com/iof"));
        assert!(verifies("postgres://u@203.0.113.7:5433/iof"));
        assert!(verifies("postgres://u@localhost/iof?sslmode=verify-full"));
        assert!(!verifies("postgres://u@db.example.com/iof?sslmode=require"));
        assert!(!verifies("postgres://u@127.0.0.1/iof"));
        assert!(!verifies("postgres://u@[::1]/iof"));
        assert!(!verifies("postgres://u@localhost/iof?host=/run/postgresql"));
    }
}
