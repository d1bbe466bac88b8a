//! The hosts and paths that are served, over HTTP/1.1 and HTTP/2.

use super::pages::KEYS;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use iof_tests::server::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends bytes, and reads the head and the body of the answer.
pub(super) async fn raw(server: &Server, head: &str) -> (u16, String) {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head.replace('\n', "\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer:?}")), answer)
}

#[tokio::test]
async fn without_keys_a_host_is_a_name_of_the_server() {
    let server = Server::start("public_url = \"https://f.example.com\"\n").await;
    let keyed = Server::start(KEYS).await;
    let get = |path: &str, host: &str| {
        format!("GET {path} HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    };
    let port = server.url.rsplit(':').next().unwrap();
    for host in [
        "localhost",
        "LocalHost:1",
        "localhost.",
        "x.localhost",
        "127.0.0.1",
        "[::1]:9",
        "f.example.com",
        "F.example.com.:443",
    ] {
        for path in ["/healthz", "/v1/functions", "/api/executables"] {
            let (status, answer) = raw(&server, &get(path, host)).await;
            assert_eq!(status, 200, "{host} {path}: {answer}");
        }
    }
    let evil = format!("evil.example:{port}");
    for host in [
        evil.as_str(),
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "0.0.0.0",
        "x.f.example.com",
    ] {
        for path in [
            "/v1/functions",
            "/api/executables",
            "/api/run/1/echo",
            "/healthz",
            "/",
            "/api/nowhere",
        ] {
            let (status, answer) = raw(&server, &get(path, host)).await;
            assert_eq!(status, 421, "{host} {path}: {answer}");
            assert!(
                answer.contains("\"fault\":\"misdirected\"") && answer.contains("iof-request: "),
                "{answer}"
            );
            assert!(
                answer.contains("public_url") && answer.contains("nosniff"),
                "{answer}"
            );
        }
        // A request of a page under that name to its own origin.
        let own = format!(
            "GET /v1/functions HTTP/1.1\nHost: {host}\nOrigin: http://{host}\nConnection: close\n\n"
        );
        assert_eq!(raw(&server, &own).await.0, 421, "{host}");
        // A server with keys serves any name, because it is protected by its keys.
        let open = get("/healthz", host);
        assert_eq!(raw(&keyed, &open).await.0, 200, "{host}");
    }
    // The URL of the request line takes precedence, if there is one.
    let absolute =
        "GET http://evil.example/v1/functions HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    assert_eq!(raw(&server, absolute).await.0, 421);
    let absolute =
        "GET http://localhost/healthz HTTP/1.1\nHost: evil.example\nConnection: close\n\n";
    assert_eq!(raw(&server, absolute).await.0, 200);
}

/// RFC 9112, section 3.2.
#[tokio::test]
async fn a_request_has_one_host() {
    let keyless = Server::start("").await;
    let keyed = Server::start(KEYS).await;
    for server in [&keyless, &keyed] {
        for hosts in [
            "",
            "Host:\n",
            "Host: a b\n",
            "Host: localhost\nHost: localhost\n",
            "Host: localhost\nHost: evil.example\n",
            "Host: localhost, evil.example\n",
            "Host: user@localhost\n",
            "Host: localhost:99999\n",
            "Host: http://localhost\n",
            "Host: :80\n",
            "Host: [::1\n",
            "Host: é\n",
        ] {
            for path in [
                "/healthz",
                "/v1/functions",
                "/api/executables",
                "/api/run/1/echo",
            ] {
                let (status, answer) = raw(
                    server,
                    &format!("GET {path} HTTP/1.1\n{hosts}Connection: close\n\n"),
                )
                .await;
                assert_eq!(status, 400, "{hosts:?} {path}: {answer}");
                assert!(
                    answer.contains("\"fault\":\"host\"") && answer.contains("iof-request: "),
                    "{answer}"
                );
            }
        }
        let old = raw(server, "GET /healthz HTTP/1.0\n\n").await;
        assert_eq!(old.0, 200, "{}", old.1);
    }
}

/// HTTP/2 has the host in a pseudo-header (RFC 9113, section 8.3.1).
#[tokio::test]
async fn over_http_2_the_authority_counts() {
    let server = Server::start("").await;
    let address = server.url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    for (authority, host, status) in [
        ("localhost:8080", None, 200),
        ("127.0.0.1", Some("127.0.0.1"), 200),
        ("evil.example", None, 421),
        ("evil.example", Some("localhost"), 400),
        ("localhost", Some("evil.example"), 400),
        ("user@localhost", None, 400),
    ] {
        let mut request = hyper::Request::get(format!("http://{authority}/v1/functions"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(String::new()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{authority} {host:?}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

/// `%` without two digits, or invalid UTF-8 (RFC 3986, section 2.1).
#[tokio::test]
async fn a_path_that_is_not_text_is_refused() {
    let server = Server::start("").await;
    for path in [
        "/v1/functions/x/call/per%cent",
        "/v1/functions/%ff",
        "/v1/functions/1/secrets/%C3",
        "/v1/jobs/%",
        "/v1/%zz",
        "/healthz/%2",
        "/api/executables/%ff",
        "/api/run/1/%ff",
        "/api/run/%C3/say",
        "/api/ephemeral_storage/%E0%A4%A",
        "/nowhere%",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let request = format!(
                "{method} {path} HTTP/1.1\nHost: localhost\nContent-Length: 0\nConnection: close\n\n"
            );
            let (status, answer) = raw(&server, &request).await;
            assert_eq!(status, 400, "{method} {path}: {answer}");
            assert!(
                answer.contains("\"fault\":\"path\"") && answer.contains("iof-request: "),
                "{answer}"
            );
            assert!(
                answer.contains("application/json; charset=utf-8") && answer.contains("%25"),
                "{answer}"
            );
        }
    }
}
