//! What TLS trusts, and which protocols it offers.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::ConfigError;

/// Mozilla's roots and the operator's. The provider is named here: a process-wide default would be
/// whatever another crate installed first.
pub(crate) fn client_config(ca_files: &[PathBuf]) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for path in ca_files {
        let problem = |problem: String| ConfigError::CaFile {
            path: path.clone(),
            problem,
        };
        let mut found = 0;
        for certificate in
            CertificateDer::pem_file_iter(path).map_err(|e| problem(e.to_string()))?
        {
            let certificate = certificate.map_err(|e| problem(e.to_string()))?;
            roots.add(certificate).map_err(|e| problem(e.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(problem("no certificate in PEM form in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ConfigError::Tls(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
