//! HTTPS: the certificate of `[tls]`, read at the start and again whenever its file changes, or ordered (`[tls.acme]`).
//!
//! Programs renew certificates every few weeks by replacing the files; a server that had to be restarted for that would
//! sooner or later serve an expired one. A certificate that expires soon causes a warning when it is read, and once a
//! day.

mod acme;
mod validity;

pub use validity::{Expiry, Validity};

use crate::settings::Tls;
use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use validity::DailyWarning;

/// The interval of the checks for changed files.
const LOOK: Duration = Duration::from_secs(30);

/// The TLS side of a listener.
pub struct Https {
    pub(crate) acceptor: TlsAcceptor,
    /// The certificate that is read from files; `None` if it is ordered.
    certificate: Option<Certificate>,
    /// The task that renews or rereads the certificate; it ends with the server.
    _watch: JoinSet<()>,
}

impl Https {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A message that names the setting.
    pub async fn of_files(settings: &Tls) -> Result<Self, String> {
        check_one(settings)?;
        let key = load(settings).await?;
        warn(settings, &key);
        let current = Arc::new(CurrentCertificate(RwLock::new(key)));
        let certificate = Certificate {
            settings: settings.clone(),
            current: Arc::clone(&current),
        };
        let config = server_config(current)?;
        let mut watching = JoinSet::new();
        watching.spawn(watch(certificate.clone()));
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: Some(certificate),
            _watch: watching,
        })
    }

    /// Orders a certificate, and renews it. It is kept for the next start in `folder`, which is created; `roots` are
    /// trusted for the authority's own certificate. Until there is a certificate, no handshake succeeds.
    ///
    /// # Errors
    /// A message that names the setting.
    pub fn of_acme(settings: &Tls, roots: RootCertStore, folder: &Path) -> Result<Self, String> {
        check_one(settings)?;
        let order = acme::Order::new(&settings.acme, roots, folder)?;
        let mut config = server_config(order.resolver())?;
        config.alpn_protocols.push(acme::PROTOCOL.to_vec());
        let mut watching = JoinSet::new();
        watching.spawn(order.renew());
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: None,
            _watch: watching,
        })
    }

    /// Checks that certificate and key can be read and belong together, or that a certificate can be ordered.
    ///
    /// # Errors
    /// The errors of [`Https::of_files`] and [`Https::of_acme`].
    pub async fn check(settings: &Tls) -> Result<(), String> {
        check_one(settings)?;
        match settings.acme.names.is_empty() {
            true => load(settings).await.map(drop),
            false => acme::check(&settings.acme),
        }
    }

    /// The certificate that is read from files, to be read again; `None` if it is ordered.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.certificate.clone()
    }
}

/// Returns whether a connection served only to answer the authority's challenge, which the handshake has done.
pub(crate) fn is_challenge<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(acme::PROTOCOL)
}

/// Checks that the certificate is either ordered or read from files.
fn check_one(settings: &Tls) -> Result<(), String> {
    let files = [&settings.certificate, &settings.key];
    if settings.acme.names.is_empty() || files.iter().all(|file| file.as_os_str().is_empty()) {
        return Ok(());
    }
    Err(
        "tls.acme.names is set together with tls.certificate or tls.key. Remove one of them: a certificate is either ordered or read from files."
            .to_owned(),
    )
}

fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, String> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("tls: {error}"))?
        .with_no_client_auth();
    let mut config = config.with_cert_resolver(resolver);
    // HTTP/1.1 comes first, for clients that support both: the bare quotation marks that clients of 2020 write in a URL
    // can be rewritten in the first request line, but not in the compressed headers of HTTP/2.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    Ok(config)
}

/// The certificate of a server, and the files that it is read from.
#[derive(Clone, Debug)]
pub struct Certificate {
    settings: Tls,
    current: Arc<CurrentCertificate>,
}

impl Certificate {
    /// Reads certificate and key again for new connections; open connections keep theirs.
    ///
    /// # Errors
    /// A message that names the setting; the current certificate then stays in use.
    pub async fn reload(&self) -> Result<(), String> {
        let key = load(&self.settings).await?;
        warn(&self.settings, &key);
        *self.current.0.write() = key;
        Ok(())
    }
}

/// The certificate that new connections get.
#[derive(Debug)]
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl CurrentCertificate {
    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read())
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
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

/// Logs a warning for a certificate that clients refuse or will soon refuse.
fn warn(settings: &Tls, key: &CertifiedKey) {
    let file = settings.certificate.display();
    match Validity::of(&key.cert).map(|validity| validity.expiry(SystemTime::now())) {
        Ok(None) => {}
        Ok(Some(expiry)) => tracing::warn!(%file, "{expiry}"),
        Err(error) => {
            tracing::warn!(%file, error, "the validity of the certificate is unknown");
        }
    }
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
        return Err(format!(
            "{setting} is missing: tls.listen needs it, or tls.acme.names to order a certificate"
        ));
    }
    let read = tokio::fs::read(path).await;
    read.map_err(|error| format!("{setting}: {}: {error}", path.display()))
}

/// Replaces the certificate when one of its files changes, and warns once a day of one that expires soon.
async fn watch(certificate: Certificate) {
    let settings = &certificate.settings;
    let mut seen = modified(settings).await;
    let mut warned = DailyWarning::given_now();
    loop {
        tokio::time::sleep(LOOK).await;
        if warned.is_due() {
            warn(settings, &certificate.current.get());
        }
        let now = modified(settings).await;
        if now == seen {
            continue;
        }
        match certificate.reload().await {
            Ok(()) => {
                tracing::info!("the certificate was replaced");
                seen = now;
            }
            // A renewal may be half done: check again.
            Err(error) => tracing::warn!(
                error,
                "the new certificate cannot be used; the old one stays in use"
            ),
        }
    }
}

async fn modified(settings: &Tls) -> [Option<SystemTime>; 2] {
    let of = async |path: &Path| tokio::fs::metadata(path).await.ok()?.modified().ok();
    [of(&settings.certificate).await, of(&settings.key).await]
}
