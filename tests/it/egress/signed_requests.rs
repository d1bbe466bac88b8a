//! Requests that the host signs for AWS on their way out (`sigv4` of a secret): the key is in no request, and a signature is
//! over what really leaves.

use crate::egress::secrets::keyed;
use iof_tests::{guests::guest, server::Server, upstream::Upstream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// HMAC-SHA-256 (RFC 2104), made here and not by what is tested.
pub(crate) fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        let mut block = key.to_vec();
        block.resize(64, 0);
        block.iter().map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(data)
        .finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner);
    outer.finalize().to_vec()
}

/// The signature of a request that was seen, as the service would make it.
fn expected(seen: &Value, path: &str, query: &str, body: &str) -> String {
    let header = |name: &str| {
        seen["headers"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let authorization = header("authorization");
    let names = authorization.split("SignedHeaders=").nth(1).unwrap();
    let names = names.split(',').next().unwrap();
    let lines = names.split(';').fold(String::new(), |mut lines, name| {
        writeln!(lines, "{name}:{}", header(name)).unwrap();
        lines
    });
    let content = hex(&Sha256::digest(body));
    assert_eq!(header("x-amz-content-sha256"), content);
    let method = seen["method"].as_str().unwrap();
    let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{content}");
    let time = header("x-amz-date");
    let (day, scope) = (
        &time[..8],
        format!("{}/eu-central-1/s3/aws4_request", &time[..8]),
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(request))
    );
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, "eu-central-1", "s3", "aws4_request", &text] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex(&key);
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/{scope}, SignedHeaders={names}, Signature={signature}"
    )
}

async fn sent(server: &Server, id: u64, args: &[&str], stdin: &str) -> Value {
    let request = json!({ "program": "http_proxy", "args": args, "stdin": stdin });
    let answer = server.run(id, "run_ssvm", request.to_string()).await.json();
    assert_eq!(answer["status"], 0, "{answer}");
    serde_json::from_str(answer["stdout"].as_str().unwrap()).unwrap()
}

fn declared(sigv4: &str) -> String {
    format!(
        "commands = [\"http_proxy\"]\noutbound = [\"* http://bucket.example.com\", \"* http://other.example.com\"]\n\
         [[secrets]]\nvalue = \"{{AWS_SECRET}}\"\nsigv4 = {sigv4}\nto = \"* http://bucket.example.com\"\n"
    )
}

const SIGV4: &str =
    "{ access_key_id = \"AKIAEXAMPLE\", region = \"eu-central-1\", service = \"s3\" }";

#[tokio::test]
async fn a_request_is_signed_as_it_leaves() {
    let upstream = Upstream::start().await;
    let pins = ["bucket.example.com", "other.example.com"].map(|host| upstream.pin(host, 80));
    let server = keyed().config(pins.join("\n")).start().await;
    let function = server.deploy(guest("command"), &declared(SIGV4)).await;
    server.set_secret(&function, "AWS_SECRET", SECRET).await;
    for (method, path, query, body, headers) in [
        ("get", "/echo", "list-type=2&prefix=a%2Fb", "", "{}"),
        (
            "put",
            "/echo",
            "",
            "the object",
            r#"{"content-type": "text/plain", "x-amz-acl": "private"}"#,
        ),
        (
            "post",
            "/echo",
            "uploads=",
            "",
            r#"{"authorization": "the function's own"}"#,
        ),
    ] {
        let question = if query.is_empty() { "" } else { "?" };
        let url = format!("http://bucket.example.com{path}{question}{query}");
        let seen = sent(&server, function.id, &[method, &url, headers], body).await;
        let authorization = expected(&seen, path, query, body);
        assert_eq!(seen["headers"]["authorization"], authorization, "{seen}");
        assert!(!seen.to_string().contains(SECRET), "{seen}");
    }
    let other = sent(
        &server,
        function.id,
        &["get", "http://other.example.com/echo"],
        "",
    )
    .await;
    assert_eq!(other["headers"]["authorization"], Value::Null, "{other}");
    assert_eq!(other["headers"]["x-amz-date"], Value::Null, "{other}");
    let egress = format!("/v1/egress?function={}", function.id);
    let egress = server.read_as(&function, &egress).await.to_string();
    assert!(
        egress.contains("AWS_SECRET") && !egress.contains(SECRET),
        "{egress}"
    );
    assert!(!server.log().contains(SECRET));
}

/// Temporary credentials: the id of the key changes with them, and a token goes along and is signed.
#[tokio::test]
async fn temporary_credentials_are_three_secrets() {
    let upstream = Upstream::start().await;
    let server = keyed()
        .config(upstream.pin("bucket.example.com", 80))
        .start()
        .await;
    let temporary = SIGV4.replace("AKIAEXAMPLE", "{AWS_KEY_ID}");
    let declaration = declared(&temporary)
        + "[[secrets]]\nvalue = \"{AWS_SESSION_TOKEN}\"\nheader = \"x-amz-security-token\"\nto = \"* http://bucket.example.com\"\n";
    let function = server.deploy(guest("command"), &declaration).await;
    server.set_secret(&function, "AWS_SECRET", SECRET).await;
    let unset = server.run(function.id, "run_ssvm", "{}").await;
    assert_eq!(unset.fault(), "secret-not-set", "{}", unset.text());
    server
        .set_secret(&function, "AWS_KEY_ID", "AKIAEXAMPLE")
        .await;
    const TOKEN: &str = "FwoGZXIvYXdzEJr//token+of/a==session";
    server
        .set_secret(&function, "AWS_SESSION_TOKEN", TOKEN)
        .await;
    let args = [
        "get",
        "http://bucket.example.com/echo",
        r#"{"x-amz-security-token": "the function's own"}"#,
    ];
    let mut seen = sent(&server, function.id, &args, "").await;
    let authorization = seen["headers"]["authorization"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        authorization.contains("Credential=AKIAEXAMPLE/")
            && authorization.contains(
                "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
            ),
        "{seen}"
    );
    // What comes back is masked; that it was sent shows in the signature.
    assert!(!seen.to_string().contains(TOKEN), "{seen}");
    seen["headers"]["x-amz-security-token"] = TOKEN.into();
    assert_eq!(authorization, expected(&seen, "/echo", "", ""), "{seen}");
    // Another id, and the next request has it, without a deploy.
    server
        .set_secret(&function, "AWS_KEY_ID", "ASIAOTHER")
        .await;
    let seen = sent(&server, function.id, &args, "").await;
    assert!(seen.to_string().contains("Credential=ASIAOTHER/"), "{seen}");
}

#[tokio::test]
async fn what_cannot_sign_is_refused_at_the_deploy() {
    let server = keyed().start().await;
    for sigv4 in [
        "{ access_key_id = \"AKIA\", region = \"eu\" }",
        "{ access_key_id = \"AKIA/x\", region = \"eu\", service = \"s3\" }",
        "{ access_key_id = \"\", region = \"eu\", service = \"s3\" }",
        "{ access_key_id = \"AKIA\", region = \"eu\", service = \"s3\", token = \"x\" }",
        "{ access_key_id = \"{small}\", region = \"eu\", service = \"s3\" }",
    ] {
        let refused = server.try_deploy(guest("command"), &declared(sigv4)).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (422, "declaration"),
            "{sigv4}"
        );
    }
    let around = declared(SIGV4).replace("{AWS_SECRET}", "Bearer {AWS_SECRET}");
    let refused = server.try_deploy(guest("command"), &around).await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (422, "declaration")
    );
}
