//! A loopback listener in front of a router, with TLS or without. It ends when it is dropped.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// A listening socket and its connections.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// The accept loop, which owns the connections in turn. Dropping a JoinSet aborts its tasks.
    _tasks: JoinSet<()>,
}

impl Listener {
    /// Serves the router on a free port of 127.0.0.1.
    pub(crate) async fn start(router: Router, tls: Option<Arc<ServerConfig>>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port on loopback");
        Self::on(socket, router, tls)
    }

    fn on(socket: TcpListener, router: Router, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = socket.local_addr().expect("the address of a bound socket");
        let tls = tls.map(TlsAcceptor::from);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = socket.accept().await else {
                    continue;
                };
                let (router, tls) = (router.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => talk(stream, router).await,
                        // A client that does not trust the certificate may close the connection.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, router).await;
                            }
                        }
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    // The other side sees such errors as the end of its connection.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A certificate authority for tests, and a certificate of it.
pub struct Identity {
    /// The authority that a client has to trust, as PEM.
    pub ca_pem: String,
    /// The certificate, as PEM, for a server that reads files.
    pub certificate_pem: String,
    /// Its key, as PEM.
    pub key_pem: String,
    pub(crate) config: Arc<ServerConfig>,
}

impl Identity {
    /// A new authority, and a certificate for `names`.
    ///
    /// # Panics
    /// If there is no randomness.
    pub fn new(names: &[&str]) -> Self {
        Self::of(names, |_| {})
    }

    /// The same, whose certificate ends at a time.
    ///
    /// # Panics
    /// Without randomness.
    pub fn until(names: &[&str], end: SystemTime) -> Self {
        Self::of(names, |leaf| leaf.not_after = end.into())
    }

    fn of(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority
            .distinguished_name
            .push(DnType::CommonName, "iof test authority");
        let authority_key = KeyPair::generate().expect("a key");
        let ca_pem = authority
            .self_signed(&authority_key)
            .expect("a certificate")
            .pem();
        let issuer = Issuer::new(authority, authority_key);

        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut leaf = CertificateParams::new(names).expect("names for a certificate");
        change(&mut leaf);
        let key = KeyPair::generate().expect("a key");
        let certificate = leaf.signed_by(&key, &issuer).expect("a certificate");
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private.into())
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            ca_pem,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            config: Arc::new(config),
        }
    }
}
