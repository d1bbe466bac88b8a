//! `[tls.acme]`: a certificate ordered from Pebble, the small authority that Let's Encrypt tests clients with.

use crate::egress::attacks::dns::{Dns, DnsAnswer};
use iof_tests::Identity;
use iof_tests::joey::client_config;
use iof_tests::server::Server;
use rustls::pki_types::ServerName;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;

const NAME: &str = "functions.iof.test";

/// An authority and its address.
struct Pebble {
    child: Child,
    directory: String,
    management: String,
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts an authority that validates names at `port` of the addresses that `dns` answers.
async fn pebble(home: &Path, dns: &Dns, port: u16) -> Pebble {
    let identity = Identity::new(&["localhost"]);
    for (name, pem) in [
        ("ca.pem", &identity.ca_pem),
        ("cert.pem", &identity.certificate_pem),
        ("key.pem", &identity.key_pem),
    ] {
        fs::write(home.join(name), pem).unwrap();
    }
    let (directory, management) = (free_port(), free_port());
    let config = json!({"pebble": {
        "listenAddress": format!("127.0.0.1:{directory}"),
        "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": home.join("cert.pem"),
        "privateKey": home.join("key.pem"),
        "httpPort": 1,
        "tlsPort": port,
    }});
    let file = home.join("pebble.json");
    fs::write(&file, config.to_string()).unwrap();
    let child = Command::new("pebble")
        .arg("-config")
        .arg(file)
        .args(["-dnsserver", &dns.address()])
        // Without this variable it waits some seconds, like a real authority.
        .env("PEBBLE_VA_NOSLEEP", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("pebble. `cargo xtask test` installs it");
    Pebble {
        child,
        directory: format!("https://localhost:{directory}/dir"),
        management: format!("https://localhost:{management}"),
    }
}

async fn root(home: &Path, pebble: &Pebble) -> String {
    let url = format!("{}/roots/0", pebble.management);
    let mut curl = Command::new("curl");
    curl.args([
        "-sf",
        "--retry",
        "20",
        "--retry-connrefused",
        "--retry-delay",
        "1",
        "--cacert",
    ]);
    let printed = curl.arg(home.join("ca.pem")).arg(url).output().await;
    String::from_utf8(printed.unwrap().stdout).unwrap()
}

/// The answer of `/healthz` over TLS for a client that trusts only `root`.
async fn health(port: u16, root: &str) -> Result<String, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let config = client_config(root, &[b"http/1.1"]);
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(NAME).unwrap(), stream.unwrap())
        .await
        .map_err(|error| error.to_string())?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .map_err(|error| error.to_string())?;
    Ok(answer)
}

async fn health_in_time(server: &Server, port: u16, root: &str) -> String {
    let began = Instant::now();
    loop {
        match health(port, root).await {
            Ok(answer) => return answer,
            Err(error) if began.elapsed() > Duration::from_secs(60) => {
                panic!("{error}\n{}", server.log());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

#[tokio::test]
async fn a_certificate_is_ordered_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let dns = Dns::start(|_| DnsAnswer::are(&["127.0.0.1"])).await;
    let port = free_port();
    let mut pebble = pebble(home.path(), &dns, port).await;
    let root = root(home.path(), &pebble).await;
    let config = format!(
        "public_url = \"https://{NAME}\"\n[tls]\nlisten = \"127.0.0.1:{port}\"\n[tls.acme]\nnames = [\"{NAME}\"]\n\
         contact = \"ops@iof.test\"\ndirectory = \"{}\"\n[egress]\nca_files = [\"{}\"]\n",
        pebble.directory,
        home.path().join("ca.pem").display(),
    );
    let mut server = Server::start(config).await;
    let answer = health_in_time(&server, port, &root).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(dns.was_asked_for(NAME));
    let folder = server.data().join("acme");
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );

    // The next start does not need the authority.
    pebble.child.kill().await.unwrap();
    assert!(server.stop().await.success());
    let server = server.restart().await;
    let began = Instant::now();
    let answer = health_in_time(&server, port, &root).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

/// Without a certificate no handshake succeeds; HTTP is still served, and the log names the problem.
#[tokio::test]
async fn an_authority_that_cannot_be_reached_is_named() {
    let port = free_port();
    let config = format!(
        "[tls]\nlisten = \"127.0.0.1:{port}\"\n[tls.acme]\nnames = [\"{NAME}\"]\ndirectory = \"https://127.0.0.1:1/dir\"\n"
    );
    let server = Server::start(config).await;
    let identity = Identity::new(&["localhost"]);
    assert!(health(port, &identity.ca_pem).await.is_err());
    assert_eq!(server.get("/healthz").await.http, 200);
    let began = Instant::now();
    while !server.log().contains("the authority was not reached") {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn names_that_cannot_be_certified_are_refused() {
    for (settings, output) in [
        (
            "names = [\"*.iof.test\"]",
            "This challenge is for single names",
        ),
        ("names = [\"127.0.0.1\"]", "Write a DNS name"),
        ("names = [\"\"]", "Write a DNS name"),
        ("names = [\"a b\"]", "Write a DNS name"),
        (
            "names = [\"functions.example.com\"]\ncontact = \"mailto:x@iof.test\"",
            "Write one mail address",
        ),
        (
            "names = [\"functions.example.com\"]\ncontact = \"x@iof.test\\u0007\"",
            "Write one mail address",
        ),
        (
            "names = [\"functions.example.com\"]\ncontact = \"@\"",
            "Write one mail address",
        ),
        ("names = [\"localhost\"]", "public DNS names only"),
        ("names = [\"a.internal\"]", "public DNS names only"),
        (
            "names = [\"iof.test\"]\ndirectory = \"http://iof.test\"",
            "tls.acme.directory: got",
        ),
        ("name = [\"iof.test\"]", "unknown field"),
    ] {
        let config = format!("[tls]\nlisten = \"127.0.0.1:0\"\n[tls.acme]\n{settings}\n");
        let refused = Server::builder().config(config).refused().await;
        assert!(refused.log.contains(output), "{settings}: {}", refused.log);
    }
    let nowhere = "[tls.acme]\nnames = [\"iof.test\"]\n";
    let refused = Server::builder().config(nowhere).refused().await;
    assert!(
        refused.log.contains("but tls.listen is not"),
        "{}",
        refused.log
    );
    let both = "[tls]\nlisten = \"127.0.0.1:0\"\nkey = \"k.pem\"\n[tls.acme]\nnames = [\"functions.example.com\"]\n";
    let refused = Server::builder().config(both).refused().await;
    assert!(
        refused.log.contains("Remove one of them"),
        "{}",
        refused.log
    );
}
