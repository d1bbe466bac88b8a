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

/// The token reaches the mail service, and is in nothing that anybody can read afterwards: not in the function's memory
/// after the request, not in a log, in the record of what left, in a recorded call, in an answer of the API or in a file.
#[tokio::test]
async fn the_token_is_nowhere_to_be_found() {
    let declaration = declaration()
        .replace("errors", "always")
        .replace("16MiB", "64MiB");
    let story = Story::begin(&declaration, "command").await;
    let (server, function) = (&story.server, &story.function);
    server.set_secret(function, "SENDGRID_TOKEN", TOKEN).await;
    let mail = json!({
        "personalizations": [{ "to": [{ "email": "grace@example.com" }] }],
        "from": { "email": "ada@example.com" }, "subject": "Hi",
        "content": [{ "type": "text/plain", "value": "Hello" }],
    });
    let request = json!({
        "program": "http_proxy",
        "args": ["--include", "post", "https://api.sendgrid.com/v3/mail/send", "{\"Content-Type\":\"application/json\"}"],
        "stdin": mail.to_string(),
    });
    let dump = server
        .request(
            "POST",
            &format!("/api/run/{}/run_and_dump/bytes", function.id),
        )
        .header("Content-Type", "text/plain")
        .body(request.to_string());
    let dump = server.answer(dump).await;
    assert_eq!(dump.fault(), "", "{}", server.log());
    assert_eq!(story.mail.mailbox().len(), 1, "{}", server.log());
    // The dump is of the memory that ran the request: it holds the answer.
    assert!(
        dump.body.len() > 64 << 10 && holds(&dump.body, "HTTP/2 202"),
        "{} bytes",
        dump.body.len()
    );
    let call = dump.header("iof-call").to_owned();

    let mut places = vec![
        ("memory", dump.body),
        ("headers", format!("{:?}", dump.headers).into_bytes()),
        ("log", server.log().into_bytes()),
    ];
    for path in [
        format!("/v1/functions/{}", function.id),
        format!("/v1/functions/{}/secrets", function.id),
        format!("/v1/functions/{}/calls", function.id),
        format!("/v1/egress?function={}", function.id),
        format!("/v1/calls/{call}"),
    ] {
        let read = server.read_as(function, &path).await;
        places.push(("an answer", read.to_string().into_bytes()));
    }
    let log = server
        .request("GET", &format!("/api/log/{}", function.id))
        .header("SSVM_Admin_Key", &function.admin_key);
    places.push(("the log of 2020", server.answer(log).await.body));
    let executable = server
        .request("GET", &format!("/api/executables/{}", function.id))
        .header("SSVM_Admin_Key", &function.admin_key);
    places.push(("the executable", server.answer(executable).await.body));
    let sent = server
        .read_as(
            function,
            &format!("/v1/egress?call={call}&function={}", function.id),
        )
        .await;
    let request = sent["sent"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["method"] == "POST")
        .unwrap();
    assert_eq!(
        (&request["secrets"], &request["status"]),
        (&json!(["SENDGRID_TOKEN"]), &json!(202)),
        "{sent}"
    );
    for file in files(&server.data()) {
        places.push(("a file", std::fs::read(file).unwrap()));
    }
    for (place, bytes) in places {
        for spelt in spellings() {
            assert!(
                !holds(&bytes, &spelt),
                "the token is in {place}, as {spelt}"
            );
        }
    }
}

/// As it is, in hexadecimal, and in base64 at each of three offsets.
fn spellings() -> Vec<String> {
    let hex: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        TOKEN.into(),
        hex,
        "U0cubmV2ZXItaW5zaWRl".into(),
        "Ny5uZXZlci1pbnNpZG".into(),
        "TRy5uZXZlci1pbnNpZG".into(),
    ]
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
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
