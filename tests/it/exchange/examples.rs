//! The examples that answer HTTP: what they pass on, they pass on while it arrives.

use super::{LONG, path};
use crate::egress::secrets::keyed;
use futures::StreamExt;
use iof_tests::{call::Uploaded, guests::handler_component, server::Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A server of one response in two parts: the second one leaves when the test says so. Answers with the request.
struct Parts {
    port: u16,
    go_on: oneshot::Sender<()>,
    request: oneshot::Receiver<String>,
}

impl Parts {
    async fn serve(kind: &'static str, parts: [&'static str; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (go_on, wait) = oneshot::channel();
        let (tell, request) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![];
            // A body of JSON ends with a brace.
            loop {
                let count = stream.read_buf(&mut seen).await.unwrap();
                let text = String::from_utf8_lossy(&seen);
                let is_whole = match text.starts_with("POST") {
                    true => text.contains("}]") && text.contains("\r\n\r\n"),
                    false => text.ends_with("\r\n\r\n"),
                };
                if is_whole || count == 0 {
                    break;
                }
            }
            tell.send(String::from_utf8_lossy(&seen).into_owned())
                .unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
            let first = head + &chunk(parts[0]);
            stream.write_all(first.as_bytes()).await.unwrap();
            wait.await.unwrap();
            let last = chunk(parts[1]) + "0\r\n\r\n";
            stream.write_all(last.as_bytes()).await.unwrap();
        });
        Self {
            port,
            go_on,
            request,
        }
    }

    /// An example on a server for which this one is `up.test`.
    async fn example(&self, name: &str, declaration: &str) -> (Server, Uploaded) {
        let pin = format!(
            "[[egress.pin]]\nhost = \"up.test\"\nport = 80\nto = \"127.0.0.1:{}\"\n",
            self.port
        );
        let server = keyed().config(pin).start().await;
        let function = server.deploy(handler_component(name), declaration).await;
        (server, function)
    }
}

/// The declaration of an example, for a site of the test's own.
pub(super) fn declared(name: &str, replaced: &[(&str, &str)]) -> String {
    let file = format!(
        "{}/../examples/{name}/function.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut text = std::fs::read_to_string(file).unwrap();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}: {text}");
        text = text.replace(from, to);
    }
    text
}

#[tokio::test]
async fn a_page_is_rewritten_while_it_arrives() {
    let parts = Parts::serve("text/html", ["<p>An Example Dom", "ain.</p>"]).await;
    let declaration = declared("rewriter", &[("https://example.com", "http://up.test")]);
    let (server, function) = parts.example("rewriter", &declaration).await;
    let request = server.request("GET", &path(&function, "/a?b=c")).send();
    let response = timeout(LONG, request).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html");
    let mut body = response.bytes_stream();
    let first = timeout(LONG, body.next()).await.unwrap().unwrap().unwrap();
    // What may begin the text waits for the rest of it.
    assert_eq!(first, "<p>An ");
    let seen = parts.request.await.unwrap();
    assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{seen}");
    parts.go_on.send(()).unwrap();
    let mut rest = vec![];
    while let Some(piece) = timeout(LONG, body.next()).await.unwrap() {
        rest.extend(piece.unwrap());
    }
    assert_eq!(String::from_utf8_lossy(&rest), "Sample Domain.</p>");

    let refused = server
        .answer(server.request("POST", &path(&function, "/")))
        .await;
    assert_eq!(
        (refused.http.as_u16(), &*refused.text()),
        (405, "Only pages are passed on: use GET.\n")
    );
}

#[tokio::test]
async fn a_model_is_asked_with_a_key_that_the_component_never_holds() {
    let words = |text: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let parts: [&'static str; 2] = [
        words("The Zug").leak(),
        (words("spitze.") + "data: [DONE]\n\n").leak(),
    ];
    let parts = Parts::serve("text/event-stream", parts).await;
    let declaration = declared("assistant", &[("https://api.openai.com", "http://up.test")]);
    let (server, function) = parts.example("assistant", &declaration).await;
    server.set_secret(&function, "API_KEY", "sk-7f3a91").await;
    let request = server
        .request("POST", &path(&function, "/"))
        .body("Which is the highest mountain of Bavaria?")
        .send();
    let response = timeout(LONG, request).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.bytes_stream();
    let first = timeout(LONG, body.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first, "The Zug", "before the second event was sent");
    let seen = parts.request.await.unwrap();
    assert!(
        seen.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains("authorization: Bearer sk-7f3a91\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains("highest mountain of Bavaria?") && seen.contains("\"stream\":true"),
        "{seen}"
    );
    parts.go_on.send(()).unwrap();
    let mut rest = vec![];
    while let Some(piece) = timeout(LONG, body.next()).await.unwrap() {
        rest.extend(piece.unwrap());
    }
    assert_eq!(String::from_utf8_lossy(&rest), "spitze.\n");
}

#[tokio::test]
async fn a_model_that_no_rule_allows_is_not_asked() {
    let server = keyed().start().await;
    let declaration = "[variables]\nAPI = \"http://up.test/\"\nMODEL = \"m\"\n";
    let function = server
        .deploy(handler_component("assistant"), declaration)
        .await;
    let request = server.request("POST", &path(&function, "/")).body("Why?");
    let answer = server.answer(request).await;
    assert_eq!(answer.http.as_u16(), 502, "{}", answer.text());
    assert!(
        answer.text().contains("HttpRequestDenied"),
        "{}",
        answer.text()
    );
}

/// A signature in hexadecimal digits, as Slack makes it.
fn hmac(key: &str, text: &str) -> String {
    let code = crate::egress::signed_requests::hmac(key.as_bytes(), text.as_bytes());
    code.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_slash_command_is_answered_if_the_chat_signed_it() {
    let server = keyed().start().await;
    let function = server
        .deploy(handler_component("slash"), &declared("slash", &[]))
        .await;
    server
        .set_secret(
            &function,
            "SLACK_SECRET",
            "8f742231b10e8888abcd99yyyzzz85a5",
        )
        .await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let body = "command=%2Froll&text=2d1&user_name=ada";
    let send = async |time: u64, signed: &str| {
        let signature = hmac(
            "8f742231b10e8888abcd99yyyzzz85a5",
            &format!("v0:{time}:{signed}"),
        );
        let request = server
            .request("POST", &path(&function, "/"))
            .header("x-slack-request-timestamp", time.to_string())
            .header("x-slack-signature", format!("v0={signature}"));
        server.answer(request.body(body)).await
    };
    let answer = send(now, body).await;
    assert_eq!(answer.http.as_u16(), 200, "{}", answer.text());
    let said = answer.json();
    assert_eq!(said["text"], "ada rolled 1 + 1 = 2", "{said}");
    assert_eq!(said["response_type"], "in_channel", "{said}");
    for refused in [send(now, "text=another").await, send(now - 301, body).await] {
        assert_eq!(refused.http.as_u16(), 401, "{}", refused.text());
    }
    let unsigned = server.request("POST", &path(&function, "/")).body(body);
    assert_eq!(server.answer(unsigned).await.http.as_u16(), 401);
}
