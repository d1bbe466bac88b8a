//! Certificates that the server orders and renews (RFC 8555), by the challenge TLS-ALPN-01 (RFC 8737): the authority
//! connects to the server's own port, so no other port and no files of a web server are needed.

use crate::settings::Acme;
use futures::StreamExt as _;
use rustls::crypto::ring;
use rustls::pki_types::DnsName;
use rustls::{ClientConfig, RootCertStore};
use rustls_acme::acme::ACME_TLS_ALPN_NAME;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState, EventError, EventOk, OrderError, ResolvesServerCertAcme};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The protocol of a handshake that answers the challenge.
pub(super) const PROTOCOL: &[u8] = ACME_TLS_ALPN_NAME;
/// The most names that authorities put into one certificate.
const NAMES: usize = 100;

/// The last labels of names that no public resolver has (RFC 6761, RFC 6762, RFC 9476, and ICANN's `internal`).
const PRIVATE: [&str; 8] = [
    "localhost",
    "local",
    "internal",
    "test",
    "invalid",
    "example",
    "alt",
    "onion",
];

/// The order of a certificate, and its renewals.
pub(super) struct Order {
    state: AcmeState<io::Error>,
    directory: String,
}

impl Order {
    /// Keeps account and certificate in `folder`, which is created for the server's user only.
    ///
    /// # Errors
    /// A message that names the setting, or the folder.
    pub(super) fn new(
        settings: &Acme,
        roots: RootCertStore,
        folder: &Path,
    ) -> Result<Self, String> {
        check(settings)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("tls.acme: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut config = AcmeConfig::new_with_client_config(&settings.names, Arc::new(client))
            .directory(&settings.directory)
            .cache(DirCache::<PathBuf>::new(folder.to_owned()));
        if !settings.contact.is_empty() {
            config = config.contact_push(format!("mailto:{}", settings.contact));
        }
        Ok(Self {
            state: config.state(),
            directory: settings.directory.clone(),
        })
    }

    /// The resolver that chooses the certificate of each handshake.
    pub(super) fn resolver(&self) -> Arc<ResolvesServerCertAcme> {
        self.state.resolver()
    }

    /// Orders a certificate, and renews it after two thirds of its lifetime. Failures are logged and retried later.
    pub(super) async fn renew(mut self) {
        let directory = &*self.directory;
        while let Some(event) = self.state.next().await {
            match event {
                Ok(EventOk::DeployedNewCert) => tracing::info!("a new certificate is in use"),
                Ok(EventOk::DeployedCachedCert) => {
                    tracing::info!("the certificate of an earlier order is in use");
                }
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
                Err(EventError::Order(error @ OrderError::Acme(_))) => tracing::warn!(
                    directory,
                    %error,
                    "no certificate was issued: the authority was not reached or refused the order; the server tries again"
                ),
                Err(EventError::Order(error)) => tracing::warn!(
                    directory,
                    %error,
                    "no certificate was issued. Port 443 of each of tls.acme.names has to lead to tls.listen; the server tries again"
                ),
                Err(error) => tracing::warn!(%error, "a file of an ordered certificate failed"),
            }
        }
    }
}

/// Refuses names for which no public authority would issue a certificate.
///
/// # Errors
/// A message that names the setting.
pub(super) fn check(settings: &Acme) -> Result<(), String> {
    // A private authority can issue certificates for any name.
    let is_public = settings.directory == Acme::default().directory;
    for name in &settings.names {
        let refused = |why: &str| Err(format!("tls.acme.names: got {name:?}. {why}"));
        if name.starts_with("*.") {
            return refused(
                "This challenge is for single names. Write them out, or name files in tls.certificate and tls.key.",
            );
        }
        if DnsName::try_from(name.as_str()).is_err() || name.ends_with('.') {
            return refused("Write a DNS name, such as functions.example.com.");
        }
        let last = name
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if is_public && (!name.contains('.') || PRIVATE.contains(&&*last)) {
            return refused(
                "The authority issues certificates for public DNS names only, such as functions.example.com. For others, name files in tls.certificate and tls.key, or an authority of your own in tls.acme.directory.",
            );
        }
    }
    let count = settings.names.len();
    if count > NAMES {
        return Err(format!(
            "tls.acme.names: got {count} names. One certificate has at most {NAMES}."
        ));
    }
    let contact = &settings.contact;
    let is_foreign =
        |c: char| c.is_control() || c.is_whitespace() || [':', ',', '<', '>'].contains(&c);
    let (user, host) = contact.split_once('@').unwrap_or_default();
    if !contact.is_empty() && (user.is_empty() || host.is_empty() || contact.contains(is_foreign)) {
        return Err(format!(
            "tls.acme.contact: got {contact:?}. Write one mail address, such as ops@example.com."
        ));
    }
    if !settings.directory.starts_with("https://") {
        return Err(format!(
            "tls.acme.directory: got {:?}. Write the https URL of the authority's directory.",
            settings.directory
        ));
    }
    Ok(())
}
