//! The main job: from an uploaded module to a sent mail (issue 2).

use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    mail::MailService,
    server::Server,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "SG.the-right-one";

/// A server whose operator pins the mail service's name to the stand-in, and the function on it.
struct Story {
    mail: MailService,
    server: Server,
    function: Uploaded,
    /// Holds the stand-in's authority for as long as the server may read it.
    _folder: TempDir,
}

impl Story {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mail = MailService::start(TOKEN).await;
        let server = Server::start(mail.config(&folder.path().join("ca.pem"))).await;
        let function = server.upload(guest("send_email")).await;
        Self {
            mail,
            server,
            function,
            _folder: folder,
        }
    }

    async fn send(&self, message: &Value) -> Answer {
        self.server
            .run(self.function.id, "send_email", message.to_string())
            .await
    }
}

fn message(token: &str) -> Value {
    json!({
        "from": "ada@example.com", "token": token, "to": "grace@example.com",
        "subject": "Lunch \"on\" Tuesday", "mime": "text/plain", "body": "Shall we meet at noon? é",
    })
}

#[tokio::test]
async fn a_mail_is_sent() {
    let story = Story::begin().await;
    let answer = story.send(&message(TOKEN)).await;
    assert_eq!(
        (
            answer.http.as_u16(),
            answer.status(),
            answer.text().as_str()
        ),
        (200, 200, ""),
        "{}",
        story.server.log()
    );
    assert_eq!(answer.fault(), "");
    assert!(
        !answer.header("iof-call").is_empty(),
        "every run names its call"
    );
    assert_eq!(
        story.mail.mailbox(),
        [json!({
            "personalizations": [{ "to": [{ "email": "grace@example.com" }] }],
            "from": { "email": "ada@example.com" },
            "subject": "Lunch \"on\" Tuesday",
            "content": [{ "type": "text/plain", "value": "Shall we meet at noon? é" }],
        })]
    );
}

#[tokio::test]
async fn a_wrong_token_answers_what_the_service_said() {
    let story = Story::begin().await;
    let answer = story.send(&message("SG.another")).await;
    // The call itself went well: the function answered, with the words of the service.
    assert_eq!((answer.http.as_u16(), answer.status()), (200, 200));
    assert!(
        answer.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("authorization"),
        "{}",
        answer.text()
    );
    assert_eq!(story.mail.mailbox(), Vec::<Value>::new());
    assert_eq!(story.mail.seen(), ["POST 401"]);
}

#[tokio::test]
async fn a_quote_in_the_token_adds_no_header() {
    let story = Story::begin().await;
    let token = format!(r#"{TOKEN}","x-evil": "1"#);
    let answer = story.send(&message(&token)).await;
    assert!(!answer.text().is_empty(), "the token is not the right one");
    assert_eq!(story.mail.seen(), ["POST 401"]);
}

#[tokio::test]
async fn a_missing_field_is_named_and_nothing_is_sent() {
    let story = Story::begin().await;
    for field in ["from", "token", "to", "subject", "mime", "body"] {
        let mut message = message(TOKEN);
        message.as_object_mut().unwrap().remove(field);
        let answer = story.send(&message).await;
        assert!(
            answer
                .text()
                .starts_with(&format!("error: missing field `{field}`")),
            "{}",
            answer.text()
        );
    }
    assert_eq!(story.mail.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn without_the_grant_nothing_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let mail = MailService::start(TOKEN).await;
    let config = mail.config(&folder.path().join("ca.pem"));
    let server = Server::start(format!("{config}\n[defaults]\ncommands = []\n")).await;
    let function = server.upload(guest("send_email")).await;
    let answer = server
        .run(function.id, "send_email", message(TOKEN).to_string())
        .await;
    assert_eq!(
        answer.text(),
        "-1",
        "what a missing program answered in 2020"
    );
    assert_eq!(mail.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn the_upload_takes_headers_with_dashes_and_with_underscores() {
    let server = Server::start("").await;
    for spelling in ["SSVM-Description", "SSVM_Description"] {
        let request = server
            .request("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .header(spelling, "send email")
            .body(guest("send_email"));
        let uploaded = server.answer(request).await.json();
        let id = uploaded["wasm_id"].as_u64().unwrap();
        assert_eq!(
            uploaded["SSVM_Usage_Key"],
            "00000000-0000-0000-0000-000000000000"
        );
        assert_eq!(uploaded["SSVM_Admin_Key"].as_str().unwrap().len(), 36);
        let digest = uploaded["wasm_sha256"].as_str().unwrap();
        assert!(digest.starts_with("0x") && digest.len() == 66, "{digest}");
        let shown = server.get(&format!("/api/executables/{id}")).await.json();
        assert_eq!(shown["wasm_description"], "send email", "{spelling}");
    }
}

#[tokio::test]
async fn a_private_function_needs_its_usage_key() {
    let server = Server::start("").await;
    for (create, usage) in [
        ("SSVM-Create-Usage-Key", "SSVM-Usage-Key"),
        ("SSVM_Create_Usage_Key", "SSVM_Usage_Key"),
    ] {
        let request = server
            .request("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .header(create, "true")
            .body(guest("hello"));
        let uploaded = server.answer(request).await.json();
        let (id, key) = (
            uploaded["wasm_id"].as_u64().unwrap(),
            uploaded["SSVM_Usage_Key"].as_str().unwrap(),
        );
        let refused = server.run(id, "say", "world").await;
        assert_eq!(
            refused.json()["error"],
            format!("Wrong usage key ... {id} can not be accessed.")
        );
        let run = server.request("POST", &format!("/api/run/{id}/say"));
        let run = run
            .header("Content-Type", "text/plain")
            .header(usage, key)
            .body("world");
        assert_eq!(server.answer(run).await.text(), "hello world");
    }
}

#[tokio::test]
async fn an_upload_outlives_kill_9() {
    let mut story = Story::begin().await;
    story.server.kill().await;
    story.server = story.server.restart().await;
    assert_eq!(story.send(&message(TOKEN)).await.text(), "");
    assert_eq!(story.mail.mailbox().len(), 1);
    assert!(
        story.server.stop().await.success(),
        "{}",
        story.server.log()
    );
}
