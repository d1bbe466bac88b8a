//! HTTPS: the certificate of `[tls]`, read at the start and again whenever its files change.
//!
//! Certificates are renewed every few weeks by programs that replace the files; a server that needed a restart for that
//! would sooner or later be down with an expired one.

use crate::settings::Tls;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The interval at which the files are checked.
const LOOK: Duration = Duration::from_secs(30);

/// The acceptor that turns a connection into one of HTTPS.
pub struct Https {
    pub(crate) acceptor: TlsAcceptor,
    certificate: Certificate,
    /// The watch of the files, which ends with the server.
    _watch: JoinSet<()>,
}

impl Https {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A message that names the setting.
    pub async fn new(settings: &Tls) -> Result<Self, String> {
        let current = Arc::new(Current(RwLock::new(load(settings).await?)));
        let certificate = Certificate {
            settings: settings.clone(),
            current: Arc::clone(&current),
        };
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| format!("tls: {error}"))?
                .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::clone(&current) as _);
        // HTTP/1.1 comes first, for clients that accept either protocol: the bare quotation marks that clients of 2020
        // write in a URL can be rewritten in the first request line, but not in the compressed headers of HTTP/2.
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        let mut watching = JoinSet::new();
        watching.spawn(watch(certificate.clone()));
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
            _watch: watching,
        })
    }

    /// The certificate, for the part that reads it again.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        self.certificate.clone()
    }
}

/// The certificate of a server, and the files from which it is read.
#[derive(Clone, Debug)]
pub struct Certificate {
    settings: Tls,
    current: Arc<Current>,
}

impl Certificate {
    /// Reads certificate and key again, for new connections; open connections keep theirs.
    ///
    /// # Errors
    /// A message that names the setting. The certificate in use stays.
    pub async fn reload(&self) -> Result<(), String> {
        let key = load(&self.settings).await?;
        *self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

async fn load(settings: &Tls) -> Result<Arc<CertifiedKey>, String> {
    let chain = read("tls.certificate", &settings.certificate).await?;
    let key = read("tls.key", &settings.key).await?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|error| bad("certificate", &settings.certificate, &error))?;
    if chain.is_empty() {
        return Err(bad(
            "certificate",
            &settings.certificate,
            &"no certificate in it",
        ));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&key).map_err(|error| bad("key", &settings.key, &error))?;
    let key = CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|error| format!("tls.key does not work with tls.certificate: {error}"))?;
    Ok(Arc::new(key))
}

fn bad(setting: &str, path: &Path, problem: &dyn Display) -> String {
    let path = path.display();
    let wanted = match setting {
        "key" => "its private key",
        _ => "the server's certificate, then those that lead to an authority",
    };
    format!("tls.{setting}: {path}: {problem}; it must be a PEM file with {wanted}")
}

async fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    if path.as_os_str().is_empty() {
        return Err(format!("{setting} is missing: tls.listen needs it"));
    }
    let read = tokio::fs::read(path).await;
    read.map_err(|error| format!("{setting}: {}: {error}", path.display()))
}

/// Replaces the certificate when one of the files was replaced.
async fn watch(certificate: Certificate) {
    let settings = &certificate.settings;
    let mut seen = modified(settings).await;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = modified(settings).await;
        if now == seen {
            continue;
        }
        match certificate.reload().await {
            Ok(()) => {
                tracing::info!("the certificate was replaced");
                seen = now;
            }
            // Perhaps half of a renewal: check again.
            Err(error) => tracing::warn!(
                error,
                "the new certificate cannot be used; the old one stays"
            ),
        }
    }
}

async fn modified(settings: &Tls) -> [Option<SystemTime>; 2] {
    let of = async |path: &Path| tokio::fs::metadata(path).await.ok()?.modified().ok();
    [of(&settings.certificate).await, of(&settings.key).await]
}
