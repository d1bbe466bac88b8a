//! A client of the API of 2020, which sends the bytes of `curl` 7.68 and Node 14. They are written by hand, because
//! current HTTP libraries would normalise them.
//!
//! | | `curl` | Node (`https.request`, as in the original's own tests) |
//! |---|---|---|
//! | body | with a length | in chunks |
//! | large body | waits for `100 Continue` | sent at once |
//! | connection | left open, and closed by the client | `Connection: close` |
//! | `Content-Type` | as given, a form if none is | as given, none if none is |
//!
//! Header names keep their underscores and their case. Every exchange has a deadline: an answer that never comes, which
//! the original was known for, fails the test.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    call::{Answer, Uploaded},
    server::Server,
};

mod wire;

/// The longest that any answer may take.
const DEADLINE: Duration = Duration::from_secs(40);
/// The size from which `curl` sends `Expect: 100-continue`.
const EXPECT: usize = 1024;

/// The habits of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// `curl --location --request …`, as in every article.
    #[default]
    Curl,
    /// `https.request(options)` with `req.write` and `req.end`.
    Node,
}

/// A client of one server.
#[derive(Clone)]
pub struct Joey {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    manner: Manner,
    /// The address from which it calls, if that matters.
    from: Option<IpAddr>,
}

impl Joey {
    /// A client over HTTP.
    ///
    /// # Panics
    /// If the server's URL is not an address.
    pub fn http(server: &Server) -> Self {
        Self::at(&server.url, None)
    }

    /// A client over HTTPS, as in 2020.
    ///
    /// # Panics
    /// If the server was started without TLS.
    pub fn https(server: &Server) -> Self {
        let url = server.tls_url.as_deref().expect("a server with TLS");
        let ca = server.ca_pem().expect("a server with TLS");
        // Node offers only its own protocol, so none is negotiated.
        Self::at(
            url,
            Some(TlsConnector::from(Arc::new(client_config(ca, &[])))),
        )
    }

    /// A client over HTTP of any server, such as a stand-in that examines its requests.
    pub fn to(address: SocketAddr) -> Self {
        Self::at(&address.to_string(), None)
    }

    fn at(url: &str, tls: Option<TlsConnector>) -> Self {
        let authority = url.rsplit('/').next().unwrap_or_default();
        Self {
            address: authority.parse().expect("an address and a port"),
            tls,
            manner: Manner::Curl,
            from: None,
        }
    }

    /// The same client with other habits.
    #[must_use]
    pub fn like(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// The same client at another address of loopback.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// Begins a request. The path is sent as it is written.
    pub fn call(&self, method: &str, path: impl Into<String>) -> Call<'_> {
        Call {
            joey: self,
            method: method.to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// `GET path`.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.call("GET", path).send().await
    }

    /// `POST /api/run/{id}/{function}` with a body of this type.
    pub async fn run(
        &self,
        id: u64,
        function: &str,
        content_type: &str,
        body: impl AsRef<[u8]>,
    ) -> Answer {
        self.call("POST", format!("/api/run/{id}/{function}"))
            .header("Content-Type", content_type)
            .body(body)
            .send()
            .await
    }

    /// Uploads a module that must be accepted, described as `Hello`.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(&self, module: impl AsRef<[u8]>) -> Uploaded {
        let answer = self
            .call("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .header("SSVM_Description", "Hello")
            .body(module)
            .send()
            .await;
        assert_eq!(answer.http.as_u16(), 200, "{}", answer.text());
        let json = answer.json();
        let key = json["SSVM_Admin_Key"].as_str();
        Uploaded {
            id: json["wasm_id"]
                .as_u64()
                .unwrap_or_else(|| panic!("no wasm_id in {json}")),
            admin_key: key
                .unwrap_or_else(|| panic!("no admin key in {json}"))
                .to_owned(),
            json,
        }
    }

    async fn exchange(&self, call: &Call<'_>) -> std::io::Result<Answer> {
        let stream = match self.from {
            None => TcpStream::connect(self.address).await?,
            Some(from) => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(from, 0))?;
                socket.connect(self.address).await?
            }
        };
        match &self.tls {
            None => wire::converse(stream, call).await,
            Some(tls) => {
                let name = ServerName::try_from("localhost").expect("a name");
                wire::converse(tls.connect(name, stream).await?, call).await
            }
        }
    }
}

/// The settings of a client that trusts this authority and offers these protocols.
///
/// # Panics
/// If the text is not a certificate.
pub fn client_config(ca_pem: &str, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("a certificate");
    roots.add(ca).expect("a certificate of an authority");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

/// A request that is not sent yet.
#[derive(Clone)]
pub struct Call<'a> {
    joey: &'a Joey,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call<'_> {
    /// Adds a header, with exactly this spelling.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// Sends it, and reads the whole answer.
    ///
    /// # Panics
    /// If there is none, or none in time.
    pub async fn send(self) -> Answer {
        match timeout(DEADLINE, self.joey.exchange(&self)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => panic!("{} {}: {e}", self.method, self.path),
            Err(_) => panic!("{} {}: no answer in {DEADLINE:?}", self.method, self.path),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// The head of the request, and whether the client waits before it sends the body.
    fn head(&self) -> (String, bool) {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let mut line = |name: &str, value: &str| {
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        let length = self.body.as_ref().map(Vec::len);
        let mut waits = false;
        match self.joey.manner {
            Manner::Curl => {
                line("Host", &self.joey.address.to_string());
                line("User-Agent", "curl/7.68.0");
                line("Accept", "*/*");
                for (name, value) in &self.headers {
                    line(name, value);
                }
                if let Some(length) = length {
                    line("Content-Length", &length.to_string());
                    if !self.has("Content-Type") {
                        line("Content-Type", "application/x-www-form-urlencoded");
                    }
                    waits = length > EXPECT;
                    if waits {
                        line("Expect", "100-continue");
                    }
                }
            }
            Manner::Node => {
                for (name, value) in &self.headers {
                    line(name, value);
                }
                line("Host", &self.joey.address.to_string());
                line("Connection", "close");
                if length.is_some() {
                    line("Transfer-Encoding", "chunked");
                }
            }
        }
        head.push_str("\r\n");
        (head, waits)
    }
}
