//! Real HTTP and HTTPS servers on loopback, and functions that use them.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use iof_egress::{Config, Egress, Error, Outbound, Pin, Rules, SecretInjections};
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

/// A server; it stops when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

type Answer = Response<Full<Bytes>>;

impl Upstream {
    /// Starts a server of HTTP/1.1 and HTTP/2 with prior knowledge.
    pub(crate) async fn http(
        answer: impl Fn(&Parts, Bytes) -> Answer + Send + Sync + 'static,
    ) -> Upstream {
        let answer = Arc::new(answer);
        Upstream::raw(move |stream| serve(stream, answer.clone())).await
    }

    /// The protocols offered by `tls`.
    pub(crate) async fn https(
        tls: ServerConfig,
        answer: impl Fn(&Parts, Bytes) -> Answer + Send + Sync + 'static,
    ) -> Upstream {
        let (answer, acceptor) = (Arc::new(answer), TlsAcceptor::from(Arc::new(tls)));
        Upstream::raw(move |stream| {
            let (answer, acceptor) = (answer.clone(), acceptor.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, answer).await;
                }
            }
        })
        .await
    }

    /// Starts a server that runs `talk` on each connection.
    pub(crate) async fn raw<F, T>(talk: F) -> Upstream
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                open.spawn(talk(stream));
            }
        });
        Upstream {
            address,
            connections,
            _tasks: tasks,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of connections that were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A pin of `host` and this server's port to this server.
    pub(crate) fn pin(&self, host: &str) -> Pin {
        Pin {
            host: host.to_owned(),
            port: self.port(),
            to: self.address,
        }
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port())
    }
}

/// Serves one connection.
pub(crate) async fn serve<S, F>(stream: S, answer: Arc<F>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(&Parts, Bytes) -> Answer + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(answer(&parts, body))
        }
    });
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) fn redirect(status: u16, location: &str) -> Answer {
    Response::builder()
        .status(status)
        .header("location", location)
        .body(Full::default())
        .unwrap()
}

/// Reads a request's head and, by its content-length, its body.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse::<usize>().unwrap());
            if body.len() >= length {
                return text.into_owned();
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&read).into_owned();
        }
    }
}

/// A certificate authority in a file, and server configurations signed by it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would differ only in their signatures.
        let name = Uuid::now_v7().to_string();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority {
            issuer,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn file(&self) -> PathBuf {
        let path = self.directory.path().join("ca.pem");
        tokio::fs::write(&path, self.issuer.pem()).await.unwrap();
        path
    }

    pub(crate) fn server(&self, name: &str, alpn: &[&str]) -> ServerConfig {
        self.server_with(name, alpn, Arc::new(NoClientAuth))
    }

    /// A configuration that requires a certificate of this authority.
    pub(crate) fn server_asking(&self, name: &str, alpn: &[&str], insists: bool) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match insists {
            true => verifier,
            false => verifier.allow_unauthenticated(),
        };
        self.server_with(name, alpn, verifier.build().unwrap())
    }

    fn server_with(
        &self,
        name: &str,
        alpn: &[&str],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> ServerConfig {
        let (leaf, key) = self.leaf(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        config
    }

    fn leaf(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A certificate and its key, in files.
    pub(crate) async fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (leaf, key) = self.leaf(name);
        let path = |end: &str| self.directory.path().join(format!("{name}.{end}"));
        let files = (path("pem"), path("key"));
        tokio::fs::write(&files.0, leaf.pem()).await.unwrap();
        tokio::fs::write(&files.1, key.serialize_pem())
            .await
            .unwrap();
        files
    }
}

/// Settings with short timeouts, yet long enough for a busy machine.
pub(crate) fn quick() -> Config {
    Config {
        // Nothing listens there: a test that needs names starts its own server.
        dns_servers: vec!["127.0.0.1:9".parse().unwrap()],
        connect_timeout: Duration::from_secs(4),
        first_byte_timeout: Duration::from_secs(20),
        total_timeout: Duration::from_secs(30),
        ..Config::default()
    }
}

pub(crate) fn rules(rules: &[&str]) -> Rules {
    rules.iter().map(|rule| rule.parse().unwrap()).collect()
}

/// A rule for every request, so that only the policy of addresses can refuse it.
pub(crate) fn any_rule() -> Rules {
    rules(&["* http://*:*", "* https://*:*"])
}

pub(crate) async fn send(
    egress: &Egress,
    rules: &Rules,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Error> {
    egress.send(&outbound(rules), request).await
}

/// A call with half a minute left.
pub(crate) fn outbound(rules: &Rules) -> Outbound<'_> {
    Outbound {
        call: Uuid::now_v7(),
        function: "test",
        function_id: 7,
        version: 2,
        rules,
        secrets: SecretInjections::NONE,
        depth: 0,
        deadline: Instant::now() + Duration::from_secs(30),
        max_redirects: None,
        retries: 0,
        decode: false,
        trace: None,
    }
}

pub(crate) async fn get(
    egress: &Egress,
    rules: &Rules,
    url: &str,
) -> Result<Response<Bytes>, Error> {
    // A URL that http::Uri itself refuses cannot be put into a request.
    let uri: http::Uri = iof_egress::parse_outbound_url(url)?
        .as_str()
        .parse()
        .unwrap();
    send(egress, rules, Request::get(uri).body(Bytes::new()).unwrap()).await
}
