//! TLS: the trusted roots, the offered protocols, and the hosts that see a client certificate.
//!
//! A client certificate is a credential: it is sent only to the hosts for which it is configured. A separate
//! configuration for each, instead of a resolver that chooses during the handshake (without the host), also separates
//! the TLS sessions: a resumed session carries the identity of the first one (RFC 8446 section 2.2). Connections are
//! pooled by scheme, host and port, and HTTP/2 connections are not shared between hosts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use iof_policy::HostPattern;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use crate::Config;
use crate::config::{ClientCertificate, ConfigError};

/// The configurations of TLS, chosen by host.
pub(crate) struct Tls {
    anonymous: Arc<ClientConfig>,
    /// The client certificates; the first that matches a host is sent to it.
    identified: Vec<ClientIdentity>,
}

struct ClientIdentity {
    host: HostPattern,
    port: Option<u16>,
    config: Arc<ClientConfig>,
}

impl ClientCertificate {
    /// Returns `true` if it is sent to the host of a URL.
    pub(crate) fn is_for(&self, url: &Url) -> bool {
        let (host, port) = (url.host(), url.port_or_known_default());
        let pattern = host.zip(HostPattern::parse(&self.host).ok());
        url.scheme() == "https"
            && (self.port.is_none() || self.port == port)
            && pattern.is_some_and(|(host, pattern)| pattern.contains(&host))
    }
}

impl Tls {
    pub(crate) fn new(config: &Config) -> Result<Tls, ConfigError> {
        let roots = Arc::new(roots(&config.ca_files)?);
        let mut identified = Vec::new();
        for certificate in &config.client_certificate {
            let host = host(certificate)?;
            let port = certificate.port;
            let known = |other: &ClientIdentity| other.host == host && other.port == port;
            if identified.iter().any(known) {
                let problem = format!("{:?} is listed twice", certificate.host);
                return Err(wrong(problem));
            }
            identified.push(ClientIdentity {
                host,
                port,
                config: Arc::new(client_config(roots.clone(), Some(certificate))?),
            });
        }
        Ok(Tls {
            anonymous: Arc::new(client_config(roots, None)?),
            identified,
        })
    }

    pub(crate) fn config_for(&self, host: &Host<String>, port: u16) -> Arc<ClientConfig> {
        let matches_host = |identified: &&ClientIdentity| {
            identified.port.is_none_or(|own| own == port) && identified.host.contains(host)
        };
        let identified = self.identified.iter().find(matches_host);
        identified.map_or(&self.anonymous, |i| &i.config).clone()
    }
}

/// Mozilla's roots and those of the operator, from PEM files.
///
/// # Errors
/// [`ConfigError::CaFile`]
pub fn roots(ca_files: &[PathBuf]) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for path in ca_files {
        let problem = |problem| ConfigError::CaFile {
            path: path.clone(),
            problem,
        };
        for certificate in certificates(path).map_err(problem)? {
            let added = roots.add(certificate);
            added.map_err(|e| problem(e.to_string()))?;
        }
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|e| e.to_string())?
        .collect();
    match found.map_err(|e| e.to_string())? {
        none if none.is_empty() => Err("it contains no certificate in PEM form".to_owned()),
        found => Ok(found),
    }
}

/// Builds a configuration with a named provider: a process-wide default would be whichever another crate installed
/// first.
fn client_config(
    roots: Arc<RootCertStore>,
    certificate: Option<&ClientCertificate>,
) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ConfigError::Tls(e.to_string()))?
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate {
            certificate, key, ..
        }) => {
            let problem = |path: &Path, problem| ConfigError::ClientCertificate {
                path: path.to_owned(),
                problem,
            };
            let chain = certificates(certificate).map_err(|e| problem(certificate, e))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| {
                problem(key, format!("it contains no private key in PEM form: {e}"))
            })?;
            builder.with_client_auth_cert(chain, secret).map_err(|e| {
                problem(
                    key,
                    format!("it is not the key of {}: {e}", certificate.display()),
                )
            })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn host(certificate: &ClientCertificate) -> Result<HostPattern, ConfigError> {
    match HostPattern::parse(&certificate.host).map_err(wrong)? {
        HostPattern::Any => Err(wrong(
            "a certificate cannot be for every host. Write a name or `*.example.com`",
        )),
        _ if certificate.port == Some(0) => Err(wrong("the port is not valid: got 0")),
        pattern => Ok(pattern),
    }
}

fn wrong(problem: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        setting: "client_certificate",
        problem: problem.into(),
    }
}
