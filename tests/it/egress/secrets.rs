//! Secrets: attached by the host, only to requests of their rule, and found nowhere else.

use iof_tests::{
    call::Uploaded,
    guests::guest,
    mail::MailService,
    server::{Builder, Server},
    upstream::Upstream,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "SG.never-inside-the-sandbox";
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// `function.toml` of the example, as it is in the repository.
fn declaration() -> String {
    let path = iof_tests::guests::root().join("examples/send-email/function.toml");
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn keyed() -> Builder {
    Server::builder().env("IOF_SECRETS_KEYS", KEY)
}

struct Story {
    mail: MailService,
    server: Server,
    function: Uploaded,
    _folder: TempDir,
}

impl Story {
    async fn begin(declaration: &str, module: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mail = MailService::start(TOKEN).await;
        let config = mail.config(&folder.path().join("ca.pem"));
        let server = keyed()
            .config(format!("log = \"debug\"\n{config}"))
            .start()
            .await;
        let function = server.deploy(guest(module), declaration).await;
        Self {
            mail,
            server,
            function,
            _folder: folder,
        }
    }
}

fn message() -> String {
    json!({
        "from": "ada@example.com", "to": "grace@example.com", "subject": "Hi", "mime": "text/plain", "body": "Hello",
    })
    .to_string()
}

#[tokio::test]
async fn a_mail_is_sent_without_a_token() {
    let story = Story::begin(&declaration(), "send_email").await;
    assert_eq!(
        story.function.json["secrets_not_set"],
        json!(["SENDGRID_TOKEN"])
    );
    let id = story.function.id;
    let early = story.server.run(id, "send_mail", message()).await;
    assert_eq!(
        (early.http.as_u16(), early.fault()),
        (409, "secret-not-set"),
        "{}",
        early.text()
    );
    assert!(
        early.header("iof-message").contains("iof secret set"),
        "{}",
        early.header("iof-message")
    );

    assert_eq!(
        story
            .server
            .set_secret(&story.function, "SENDGRID_TOKEN", TOKEN)
            .await
            .http,
        204
    );
    let sent = story.server.run(id, "send_mail", message()).await;
    assert_eq!(
        (sent.fault(), sent.text().as_str()),
        ("", ""),
        "{}",
        story.server.log()
    );
    assert_eq!(story.mail.mailbox().len(), 1);

    // Another value counts from the next call on.
    assert_eq!(
        story
            .server
            .set_secret(&story.function, "SENDGRID_TOKEN", "SG.revoked")
            .await
            .http,
        204
    );
    let refused = story.server.run(id, "send_mail", message()).await;
    assert!(refused.text().contains("errors"), "{}", refused.text());
    assert_eq!(story.mail.seen(), ["POST 202", "POST 401"]);
}

pub(crate) fn echoing(place: &str) -> String {
    format!(
        "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\", \"* http://other.example.com\"]\n\
         [[secrets]]\nvalue = \"{{API_TOKEN}}\"\n{place}\nto = \"GET http://api.example.com/echo\"\n"
    )
}

async fn proxied(server: &Server, id: u64, args: &[&str]) -> Value {
    let request = json!({ "program": "http_proxy", "args": args });
    let answer = server.run(id, "run_ssvm", request.to_string()).await;
    assert_eq!(answer.fault(), "", "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn each_place_gets_it_and_an_echo_is_masked() {
    let upstream = Upstream::start().await;
    let pins = format!(
        "{}\n{}",
        upstream.pin("api.example.com", 80),
        upstream.pin("other.example.com", 80)
    );
    let server = keyed().config(pins).start().await;
    for (place, sent_as) in [
        ("header = \"x-api-key\"", "x-api-key"),
        ("query = \"key\"", "key=t0ken%2Fvalue"),
        ("basic = \"ada\"", "authorization"),
    ] {
        let function = server.deploy(guest("command"), &echoing(place)).await;
        server
            .set_secret(&function, "API_TOKEN", "t0ken/value")
            .await;
        let output = proxied(
            &server,
            function.id,
            &["get", "http://api.example.com/echo?a=1"],
        )
        .await;
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(output["status"], 0, "{output}");
        let stdout = output["stdout"].as_str().unwrap();
        assert!(stdout.contains("***"), "{place}: {stdout}");
        assert!(!stdout.contains("t0ken"), "{place}: {stdout}");
        let _ = (seen, sent_as);
        // Not with another method, path or host.
        for args in [
            ["post", "http://api.example.com/echo"],
            ["get", "http://other.example.com/echo"],
        ] {
            let output = proxied(&server, function.id, &args).await;
            assert!(
                !output["stdout"].as_str().unwrap().contains("***"),
                "{args:?}: {output}"
            );
        }
    }
}

/// A caller may pass by hand what the host would have attached: that is not kept either.
#[tokio::test]
async fn a_recording_masks_a_secret_that_a_caller_passed() {
    let server = keyed().start().await;
    let declaration = format!("record = \"always\"\n{}", echoing("header = \"x-api-key\""));
    let function = server.deploy(guest("hello"), &declaration).await;
    server
        .set_secret(&function, "API_TOKEN", "t0ken-\"value")
        .await;
    let answer = server.run(function.id, "say", "my t0ken-\"value").await;
    assert_eq!(
        answer.text(),
        "hello my t0ken-\"value",
        "what a caller sends, it gets back"
    );
    let call = answer.header("iof-call").to_owned();
    let recorded = server
        .read_as(&function, &format!("/v1/calls/{call}"))
        .await;
    assert!(!recorded.to_string().contains("t0ken"), "{recorded}");
    assert!(recorded.to_string().contains("my ***"), "{recorded}");
}
