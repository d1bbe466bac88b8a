//! The example `webhooks` with signatures of GitHub, Stripe and Slack; and the commands that verify and make them,
//! whose secrets never appear.

use crate::egress::secrets::keyed;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::{guest, root},
    server::Server,
};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRETS: [(&str, &str); 3] = [
    ("GITHUB_SECRET", "It's a Secret to Everybody"),
    ("STRIPE_SECRET", "whsec_9ZTs1Lp3nR"),
    ("SLACK_SECRET", "8f742231b10e8888abcd99yyyzzz85a5"),
];

fn hmac(key: &str, data: &str) -> String {
    let code = crate::egress::signed_requests::hmac(key.as_bytes(), data.as_bytes());
    code.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A server with the example, set up as in its README.
async fn example() -> (Server, Uploaded) {
    let server = keyed().start().await;
    let declared = std::fs::read_to_string(root().join("examples/webhooks/function.toml")).unwrap();
    let function = server.deploy(guest("webhooks"), &declared).await;
    assert_eq!(
        function.json["secrets_not_set"],
        json!(["GITHUB_SECRET", "SLACK_SECRET", "STRIPE_SECRET"])
    );
    for (name, value) in SECRETS {
        let set = server.set_secret(&function, name, value).await;
        assert!(set.http.is_success(), "{}", set.text());
    }
    (server, function)
}

async fn send(
    server: &Server,
    function: &Uploaded,
    export: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Answer {
    let mut request = server.request("POST", &format!("/fn/{}/{export}", function.id));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    server.answer(request.body(body.to_owned())).await
}

fn refused(answer: &Answer) {
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (401, "function:signature"),
        "{}",
        answer.text()
    );
}

/// The signature in GitHub's documentation of "validating webhook deliveries".
#[test]
fn the_signatures_of_this_test_match_the_references() {
    let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(hmac(SECRETS[0].1, "Hello, World!"), signature);
    // The signature in Slack's "verifying requests from Slack".
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    assert_eq!(
        hmac(SECRETS[2].1, &format!("v0:1531420618:{body}")),
        signature
    );
}

#[tokio::test]
async fn an_event_of_github_is_accepted_if_github_signed_it() {
    let (server, function) = example().await;
    let body = r#"{"action":"opened","issue":{"number":1}}"#;
    let signature = format!("sha256={}", hmac(SECRETS[0].1, body));
    let event = |signature: &str| {
        [
            ("x-github-event", "issues".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("x-hub-signature-256", signature.to_owned()),
        ]
    };
    let taken = send(&server, &function, "github", &event(&signature), body).await;
    assert_eq!(
        (taken.http.as_u16(), &*taken.text()),
        (200, "issues opened\n"),
        "{}",
        server.log()
    );
    refused(
        &send(
            &server,
            &function,
            "github",
            &event(&signature),
            &format!("{body} "),
        )
        .await,
    );
    refused(&send(&server, &function, "github", &[], body).await);
    for wrong in ["", "sha256=", "sha256=00", "sha1=00", &signature[7..]] {
        refused(&send(&server, &function, "github", &event(wrong), body).await);
    }
    let other = format!("sha256={}", hmac("another secret", body));
    let answer = send(&server, &function, "github", &event(&other), body).await;
    refused(&answer);
    // 8 were refused, and each has one line, with its call.
    let log = server.log();
    let lines = || {
        log.lines()
            .filter(|line| line.contains("function:signature"))
    };
    assert_eq!(lines().count(), 8, "{log}");
    let call = answer.header("iof-call");
    assert_eq!(
        lines().filter(|line| line.contains(call)).count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn an_event_of_stripe_is_accepted_if_it_is_fresh() {
    let (server, function) = example().await;
    let body = r#"{"type":"invoice.paid"}"#;
    let sign = |time: u64, key: &str| hmac(key, &format!("{time}.{body}"));
    let header = |value: String| [("stripe-signature", value)];
    let (key, time) = (SECRETS[1].1, now());
    for value in [
        format!("t={time},v1={}", sign(time, key)),
        format!(
            "t={time},v1={},v1={},v0=old",
            sign(time, "an older secret"),
            sign(time, key)
        ),
    ] {
        let taken = send(&server, &function, "stripe", &header(value), body).await;
        assert_eq!(
            (taken.http.as_u16(), &*taken.text()),
            (200, "invoice.paid\n")
        );
    }
    let old = time - 600;
    for value in [
        format!("t={old},v1={}", sign(old, key)),
        format!("t={time},v1={}", sign(old, key)),
        format!("t={time},v1={}", sign(time, "another secret")),
        format!("t={time}"),
        String::new(),
    ] {
        refused(&send(&server, &function, "stripe", &header(value), body).await);
    }
}

#[tokio::test]
async fn a_command_of_slack_is_answered() {
    let (server, function) = example().await;
    let body = "token=x&command=%2Fecho&text=hello+there&user_id=U1";
    let time = now();
    let headers = |signature: String| {
        [
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("x-slack-request-timestamp", time.to_string()),
            ("x-slack-signature", signature),
        ]
    };
    let good = format!("v0={}", hmac(SECRETS[2].1, &format!("v0:{time}:{body}")));
    let answer = send(&server, &function, "slack", &headers(good.clone()), body).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    assert_eq!(
        answer.json(),
        json!({"response_type": "ephemeral", "text": "hello there"})
    );
    refused(&send(&server, &function, "slack", &headers(good), "text=other").await);
}

/// The secrets are in no answer, log or recording.
#[tokio::test]
async fn no_secret_is_found_anywhere() {
    let server = keyed().config("log = \"trace\"\n").start().await;
    let declared = std::fs::read_to_string(root().join("examples/webhooks/function.toml")).unwrap();
    let function = server
        .deploy(
            guest("webhooks"),
            &format!("record = \"always\"\n{declared}"),
        )
        .await;
    for (name, value) in SECRETS {
        server.set_secret(&function, name, value).await;
    }
    let body = "{}";
    let signature = format!("sha256={}", hmac(SECRETS[0].1, body));
    let headers = [
        ("x-github-event", "ping".to_owned()),
        ("x-hub-signature-256", signature),
    ];
    let answer = send(&server, &function, "github", &headers, body).await;
    assert_eq!(answer.text(), "pong\n");
    let call = answer.header("iof-call").to_owned();
    let recorded = loop {
        let request = server.request("GET", &format!("/v1/calls/{call}"));
        let recorded = server
            .answer(request.bearer_auth(&function.admin_key))
            .await;
        if recorded.http == 200 {
            break recorded.text();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(recorded.contains("verify"), "{recorded}");
    let egress = format!("/v1/egress?function={}", function.id);
    let egress = server.read_as(&function, &egress).await.to_string();
    assert!(egress.contains("verify"), "{egress}");
    for (name, value) in SECRETS {
        for (place, text) in [
            ("recording", &recorded),
            ("record", &egress),
            ("log", &server.log()),
        ] {
            assert!(!text.contains(value), "{name} is in the {place}");
        }
    }
    // A replay needs no secret: it gets the recorded answer of the host.
    let request = server.request("POST", &format!("/v1/calls/{call}/replay"));
    let again = server
        .answer(request.bearer_auth(&function.admin_key))
        .await;
    assert_eq!(again.json()["same"], true, "{}", again.text());
}

/// The guest `command` can run any command, but `sign` works only with a declared secret.
#[tokio::test]
async fn a_secret_signs_for_its_function_and_its_use_only() {
    let server = keyed().start().await;
    let declared =
        "[[signing]]\nsecret = \"OWN_KEY\"\nalgorithm = \"hmac-sha256\"\nuse = [\"sign\"]\n";
    let signs = server.deploy(guest("command"), declared).await;
    let run = async |function: &Uploaded, program: &str, args: &[&str]| {
        let request = json!({"program": program, "args": args, "stdin": "data"});
        server
            .run(function.id, "run_ssvm", request.to_string())
            .await
    };
    let unset = run(&signs, "sign", &["OWN_KEY"]).await;
    assert_eq!(unset.fault(), "secret-not-set", "{}", unset.text());
    server.set_secret(&signs, "OWN_KEY", "Jefe").await;
    let signed = run(&signs, "sign", &["OWN_KEY"]).await.json();
    assert_eq!(signed["status"], 0, "{signed}");
    // It is refused for another use, under another name, and for another function.
    let verifies = run(&signs, "verify", &["OWN_KEY", "00"]).await.json();
    assert_ne!(verifies["status"], 0, "{verifies}");
    let other = run(&signs, "sign", &["OTHER"]).await.json();
    assert_eq!(other["status"], 3, "{other}");
    let plain = server.deploy(guest("command"), "").await;
    let ungranted = run(&plain, "sign", &["OWN_KEY"]).await.json();
    assert_ne!(ungranted["status"], 0, "{ungranted}");
}

#[tokio::test]
async fn no_program_replaces_a_command_that_signs() {
    for name in ["sign", "verify"] {
        let config = format!("[commands.{name}]\nprogram = \"/bin/true\"\n");
        let refused = Server::builder().config(config).refused().await;
        assert!(
            refused.log.contains(&format!("commands.{name}")),
            "{}",
            refused.log
        );
    }
}

/// The first test of RFC 8032, section 7.1: a public key of another party, which needs no secret.
#[tokio::test]
async fn a_public_key_of_another_party_verifies_without_a_secret() {
    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    let server = keyed().start().await;
    let declared = format!(
        "[[signing]]\nkey = \"PARTNER\"\nalgorithm = \"ed25519\"\nuse = [\"verify\"]\npublic_key = \"{KEY}\"\n"
    );
    let function = server.deploy(guest("command"), &declared).await;
    let run = async |program: &str, args: &[&str], stdin: &str| {
        let request = json!({ "program": program, "args": args, "stdin": stdin });
        let answer = server
            .run(function.id, "run_ssvm", request.to_string())
            .await;
        answer.json()["status"].clone()
    };
    assert_eq!(run("verify", &["PARTNER", SIGNATURE], "").await, 0);
    assert_eq!(run("verify", &["PARTNER", SIGNATURE], "x").await, 1);
    assert_eq!(run("verify", &["PARTNER", "00"], "").await, 1);
    assert_ne!(run("sign", &["PARTNER"], "").await, 0);
    for (wrong, part) in [
        (
            declared.replace("verify", "sign"),
            "a public key only verifies",
        ),
        (declared.replace("ed25519", "rs256"), "public_key: "),
        (
            declared.replace(KEY, "-----BEGIN PRIVATE KEY-----"),
            "public_key: a private key",
        ),
    ] {
        let refused = server.try_deploy(guest("command"), &wrong).await;
        assert_eq!(refused.fault(), "declaration", "{wrong}");
        assert!(refused.text().contains(part), "{}", refused.text());
    }
}
