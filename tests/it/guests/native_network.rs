//! The network of native programs: requests through the proxy, by the rules of their function.

use super::native::{of, script};
use iof_tests::guests::guest;
use iof_tests::server::Server;
use iof_tests::upstream::Upstream;

/// A bash script that sends a request through the proxy that the environment names.
const FETCH: &str = r#"p=${http_proxy#http://}; p=${p%/}; exec 3<>/dev/tcp/${p%:*}/${p#*:}
printf '%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$1" "$2" >&3; cat <&3"#;

#[tokio::test]
async fn a_program_has_the_rules_of_its_function() {
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let declared = script("fetch", FETCH, "network = \"egress\"") + &pin;
    let of_function = "commands = [\"fetch\"]\noutbound = [\"GET http://api.example.com/echo\"]";
    let config = format!(
        "[ceiling]\ncommands = [\"fetch\"]\noutbound = [\"* http://*\", \"* https://*\"]\n{declared}"
    );
    let server = Server::start(config).await;
    let function = server.deploy(guest("command"), of_function).await;
    for (method, url, expected) in [
        ("GET", "http://api.example.com/echo", "HTTP/1.1 200"),
        ("POST", "http://api.example.com/echo", "HTTP/1.1 403"),
        (
            "GET",
            "http://api.example.com/status/200",
            "no outbound rule",
        ),
        ("GET", "http://127.0.0.1/", "HTTP/1.1 403"),
        ("GET", "/echo", "HTTP/1.1 400"),
        ("CONNECT", "api.example.com:443", "which a tunnel needs"),
        ("CONNECT", "api.example.com", "HTTP/1.1 403"),
    ] {
        let output = of(&server, &function, "fetch", &[method, url]).await;
        let stdout = output["stdout"].as_str().unwrap();
        assert!(stdout.contains(expected), "{method} {url}: {output}");
    }
    assert_eq!(upstream.seen().len(), 1);
    let rows = server.read_as(&function, "/v1/egress").await;
    let outcomes: Vec<_> = rows["sent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert!(outcomes.contains(&"ok".to_owned()), "{outcomes:?}");
    assert!(
        outcomes.contains(&"egress-denied".to_owned()),
        "{outcomes:?}"
    );
}

/// A tunnel carries bytes both ways, only to an origin that a rule allows completely.
#[tokio::test]
async fn a_tunnel_needs_a_rule_for_the_whole_origin() {
    const TUNNEL: &str = r#"p=${http_proxy#http://}; p=${p%/}; exec 3<>/dev/tcp/${p%:*}/${p#*:}
printf 'CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n' "$1" "$1" >&3
read -r -u 3 line; echo "$line"; while read -r -u 3 line && [ "$line" != $'\r' ]; do :; done
printf 'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3; cat <&3"#;
    let upstream = Upstream::start().await;
    let config = format!(
        "[ceiling]\ncommands = [\"tunnel\"]\noutbound = [\"* https://*:*\"]\n{}{}",
        script("tunnel", TUNNEL, "network = \"egress\""),
        upstream.pin("api.example.com", 4430)
    );
    let server = Server::start(config).await;
    for (rule, reaches) in [
        ("* https://api.example.com:4430", true),
        ("GET https://api.example.com:4430", false),
        ("* https://api.example.com:4430/echo", false),
        ("* https://other.example.com:4430", false),
    ] {
        let declaration = format!("commands = [\"tunnel\"]\noutbound = [\"{rule}\"]");
        let function = server.deploy(guest("command"), &declaration).await;
        let output = of(&server, &function, "tunnel", &["api.example.com:4430"]).await;
        let stdout = output["stdout"].as_str().unwrap();
        assert_eq!(stdout.contains("\"method\""), reaches, "{rule}: {output}");
        assert_eq!(
            stdout.starts_with("HTTP/1.1 200"),
            reaches,
            "{rule}: {output}"
        );
    }
    assert_eq!(upstream.seen().len(), 1);
}
