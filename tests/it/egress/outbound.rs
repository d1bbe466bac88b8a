//! The answers of `http_proxy` when the network is closed, broken or slow: one line, and the server stays healthy.

use iof_tests::{
    guests::guest,
    server::Server,
    upstream::{Rude, Upstream},
};
use serde_json::{Value, json};

/// A server whose functions may call `api.example.com` on port 80, which is `upstream`, and no other host.
async fn server(upstream: &Upstream, more: &str) -> (Server, u64) {
    let pin = upstream.pin("api.example.com", 80);
    let server = Server::start(format!(
        "[defaults]\noutbound = [\"* http://api.example.com\", \"* http://slow.example.com\"]\n\
         [egress]\n{more}\n{pin}"
    ))
    .await;
    let id = server.upload(guest("command")).await.id;
    (server, id)
}

async fn get(server: &Server, id: u64, args: &[&str]) -> Value {
    let request = json!({ "program": "http_proxy", "args": args, "timeout": 8000 });
    let answer = server.run(id, "run_ssvm", request.to_string()).await;
    assert_eq!(answer.fault(), "", "{answer:?}\n{}", server.log());
    answer.json()
}

/// A status that is not zero, nothing on stdout, one line on stderr with these words and none of a panic.
fn assert_failed(output: &Value, words: &[&str]) {
    let stderr = output["stderr"].as_str().unwrap();
    assert_ne!(output["status"], 0, "{output}");
    assert_eq!(output["stdout"], "", "{output}");
    assert!(
        stderr.starts_with("http_proxy: ") && stderr.ends_with('\n') && stderr.lines().count() == 1,
        "{stderr:?}"
    );
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
    }
    for panic in ["panicked", "unwrap", "Err(", "src/"] {
        assert!(!stderr.contains(panic), "{stderr:?}");
    }
}

#[tokio::test]
async fn a_status_is_no_failure() {
    let upstream = Upstream::start().await;
    let (server, id) = server(&upstream, "").await;
    for status in [404, 500] {
        let output = get(
            &server,
            id,
            &["get", &format!("http://api.example.com/status/{status}")],
        )
        .await;
        assert_eq!(
            output,
            json!({ "status": 0, "stdout": format!("status {status}"), "stderr": "" })
        );
    }
    assert_eq!(
        get(&server, id, &["get", "http://api.example.com/nothing"]).await["stdout"],
        ""
    );
    // A function of today asks for the head as well.
    let output = get(
        &server,
        id,
        &["--include", "get", "http://api.example.com/status/404"],
    )
    .await;
    let text = output["stdout"].as_str().unwrap();
    assert!(
        text.starts_with("HTTP/1.1 404") && text.ends_with("\r\n\r\nstatus 404"),
        "{text:?}"
    );
}

#[tokio::test]
async fn methods_are_those_that_were_named() {
    let upstream = Upstream::start().await;
    let (server, id) = server(&upstream, "").await;
    for method in ["get", "POST", "Put", "patch", "delete", "options"] {
        let output = get(&server, id, &[method, "http://api.example.com/echo"]).await;
        let echo: Value = serde_json::from_str(output["stdout"].as_str().unwrap()).unwrap();
        assert_eq!(echo["method"], method.to_uppercase());
        assert_eq!(
            echo["headers"]["content-type"], "text/plain",
            "the default of 2020"
        );
        assert!(echo["headers"]["user-agent"].is_null());
    }
    let output = get(&server, id, &["gte", "http://api.example.com/echo"]).await;
    assert_failed(&output, &["gte", "get", "post", "options"]);
}

#[tokio::test]
async fn a_denied_way_names_its_reason() {
    let upstream = Upstream::start().await;
    let (server, id) = server(&upstream, "").await;
    for (url, words) in [
        ("http://other.example.com/", vec!["other.example.com"]),
        ("https://api.example.com/", vec![]),
        ("http://127.0.0.1/", vec![]),
        ("http://169.254.169.254/latest/meta-data/", vec![]),
        ("http://[::ffff:127.0.0.1]/", vec![]),
        ("file:///etc/passwd", vec![]),
        ("not a url", vec![]),
    ] {
        assert_failed(&get(&server, id, &["get", url]).await, &words);
    }
    let far = upstream.url("/echo").replace("http://", "");
    for status in [301, 302, 303, 307, 308] {
        let url = format!("http://api.example.com/redirect/{status}?http://{far}");
        assert_failed(&get(&server, id, &["get", &url]).await, &[]);
    }
    assert!(
        upstream
            .seen()
            .iter()
            .all(|seen| seen.path.starts_with("/redirect")),
        "{:?}",
        upstream.seen()
    );
}

/// As shipped, a function of 2020 reaches public addresses alone, and never this server.
#[tokio::test]
async fn nothing_inside_is_reachable_as_shipped() {
    let server = Server::start("").await;
    let id = server.upload(guest("command")).await.id;
    let port = server.url.rsplit_once(':').unwrap().1;
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "2130706433",
        "10.0.0.1",
        "192.168.0.1",
    ] {
        let output = get(
            &server,
            id,
            &["get", &format!("http://{host}:{port}/api/executables")],
        )
        .await;
        assert_failed(&output, &[]);
        assert_failed(
            &get(&server, id, &["get", &format!("http://{host}/")]).await,
            &[],
        );
    }
}

/// Not even an operator's pin leads a function back to this server.
#[tokio::test]
async fn a_pin_does_not_open_our_own_listener() {
    let probe = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = Server::builder()
        .config(format!(
            "[[egress.pin]]\nhost = \"self.example.com\"\nport = 80\nto = \"{probe}\"\n"
        ))
        .arg("--listen")
        .arg(probe.to_string())
        .start()
        .await;
    let id = server.upload(guest("command")).await.id;
    assert_failed(
        &get(
            &server,
            id,
            &["get", "http://self.example.com/api/executables"],
        )
        .await,
        &[],
    );
}

#[tokio::test]
async fn broken_and_slow_upstreams_end_in_one_line() {
    let upstream = Upstream::start().await;
    let more = "first_byte_timeout = \"400ms\"\nidle_timeout = \"400ms\"\ntotal_timeout = \"3s\"\nmax_response = \"100KiB\"";
    let (server, id) = server(&upstream, more).await;
    for (path, words) in [
        ("/slow/3000", vec![]),
        ("/drip/20/1000", vec![]),
        ("/endless", vec!["max_response"]),
        ("/size/200000", vec!["max_response"]),
        ("/cut/100", vec![]),
        ("/headers/5000", vec![]),
        ("/loop", vec!["redirect"]),
    ] {
        let output = get(
            &server,
            id,
            &["get", &format!("http://api.example.com{path}")],
        )
        .await;
        assert_failed(&output, &words);
    }
    let output = get(&server, id, &["get", "http://api.example.com/gzip"]).await;
    assert_eq!(output["status"], 0, "squeezed bytes pass as they are");
    assert_eq!(
        get(&server, id, &["get", "http://api.example.com/status/200"]).await["stdout"],
        "status 200"
    );
}

#[tokio::test]
async fn an_unreachable_or_rude_host_ends_in_one_line() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let rude = Rude::start("no HTTP at all\r\n\r\n").await;
    let server = Server::start(format!(
        "[[egress.pin]]\nhost = \"closed.example.com\"\nport = 80\nto = \"{closed}\"\n\
         [[egress.pin]]\nhost = \"rude.example.com\"\nport = 80\nto = \"{}\"\n",
        rude.address()
    ))
    .await;
    let id = server.upload(guest("command")).await.id;
    assert_failed(
        &get(&server, id, &["get", "http://closed.example.com/"]).await,
        &["closed.example.com"],
    );
    assert_failed(
        &get(&server, id, &["get", "http://rude.example.com/"]).await,
        &[],
    );
}

#[tokio::test]
async fn headers_that_belong_to_the_client_are_refused() {
    let upstream = Upstream::start().await;
    let (server, id) = server(&upstream, "").await;
    for header in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Proxy-Authorization",
    ] {
        let headers = json!({ header: "x" }).to_string();
        let output = get(
            &server,
            id,
            &["get", "http://api.example.com/echo", &headers],
        )
        .await;
        assert_failed(&output, &[&header.to_lowercase()]);
    }
    for headers in ["[]", "{\"a\":1}", "nonsense", "{\"a\":\"b\\r\\nx: y\"}"] {
        assert_failed(
            &get(
                &server,
                id,
                &["get", "http://api.example.com/echo", headers],
            )
            .await,
            &[],
        );
    }
    assert!(upstream.seen().is_empty());
}
