//! `send_email` and `send_mail`: a JSON message in, nothing out when the mail is on its way.
//!
//! The function cannot open a connection. It runs the command `http_proxy`, which the operator of the server
//! grants, and hands it a method, an address, headers and a body. Any non-empty answer says what went wrong: the
//! mail service's own words, the status of a command that failed, or an `error:` about the message.
//!
//! `send_email` is the function of 2020: its caller passes the token along. `send_mail` never sees one: the host adds it
//! to the request on its way out, as `function.toml` says.

mod message;

use iof::Output;
pub use message::{HEADERS, Message, WithToken, headers_with, payload};

/// The address at which SendGrid takes mail, v3 of its API.
pub const ENDPOINT: &str = "https://api.sendgrid.com/v3/mail/send";

/// Sends one mail with the token in its message.
pub fn send_with_token(
    message: &str,
    http_proxy: impl FnOnce([&str; 3], &str) -> Output,
) -> String {
    match serde_json::from_str::<WithToken>(message) {
        Ok(WithToken { token, message }) => send(&message, &headers_with(&token), http_proxy),
        Err(e) => format!(
            "error: {e}. A message is a JSON object with the texts from, token, to, subject, mime and body"
        ),
    }
}

/// Sends one mail with the token that the host adds.
pub fn send_without_token(
    message: &str,
    http_proxy: impl FnOnce([&str; 3], &str) -> Output,
) -> String {
    match serde_json::from_str::<Message>(message) {
        Ok(message) => send(&message, HEADERS, http_proxy),
        Err(e) => format!(
            "error: {e}. A message is a JSON object with the texts from, to, subject, mime and body"
        ),
    }
}

/// Runs `http_proxy`, which is given its three arguments and its standard input.
fn send(
    message: &Message,
    headers: &str,
    http_proxy: impl FnOnce([&str; 3], &str) -> Output,
) -> String {
    let done = http_proxy(["post", ENDPOINT, headers], &payload(message));
    let stdout = String::from_utf8_lossy(&done.stdout);
    if done.status != 0 {
        // What is printed becomes the log of the call.
        println!("Code: {}", done.status);
        println!("STDERR: {}", String::from_utf8_lossy(&done.stderr));
        println!("STDOUT: {stdout}");
        return done.status.to_string();
    }
    stdout.into_owned()
}

fn http_proxy(arguments: [&str; 3], body: &str) -> Output {
    iof::Command::new("http_proxy")
        .args(arguments)
        .stdin(body)
        .output()
}

/// Sends a mail, whose message has the token of the service.
#[iof::function]
fn send_email(message: &str) -> String {
    send_with_token(message, http_proxy)
}

/// Sends a mail with the token that the server adds.
#[iof::function]
fn send_mail(message: &str) -> String {
    send_without_token(message, http_proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"from":"a@example.com","token":"TKN","to":"b@example.com","subject":"Hi","mime":"text/plain","body":"Hello é"}"#;

    fn answered(status: i32, stdout: &str) -> Output {
        Output {
            status,
            stdout: stdout.into(),
            stderr: "denied".into(),
        }
    }

    #[test]
    fn the_command_gets_what_the_2020_function_gave_it() {
        let sent = send_with_token(MESSAGE, |[method, url, headers], body| {
            assert_eq!(
                (method, url),
                ("post", "https://api.sendgrid.com/v3/mail/send")
            );
            assert_eq!(
                headers,
                r#"{"Content-Type": "application/json","authorization": "Bearer TKN"}"#
            );
            assert_eq!(
                body,
                r#"{"content":[{"type":"text/plain","value":"Hello é"}],"from":{"email":"a@example.com"},"personalizations":[{"to":[{"email":"b@example.com"}]}],"subject":"Hi"}"#
            );
            answered(0, "")
        });
        assert_eq!(sent, "", "an empty answer means sent");
    }

    #[test]
    fn what_the_service_says_is_the_answer() {
        let body = r#"{"errors":[{"message":"The provided authorization grant is invalid"}]}"#;
        assert_eq!(send_with_token(MESSAGE, |_, _| answered(0, body)), body);
    }

    #[test]
    fn a_failed_command_answers_its_status() {
        assert_eq!(send_with_token(MESSAGE, |_, _| answered(-1, "half")), "-1");
    }

    #[test]
    fn a_bad_message_says_what_to_fix_and_runs_nothing() {
        let refused =
            |message| send_with_token(message, |_, _| unreachable!("nothing may be sent"));
        let answer = refused(r#"{"from":"a","token":"t","to":"b","mime":"text/plain","body":""}"#);
        assert!(
            answer.starts_with("error: missing field `subject`"),
            "{answer}"
        );
        for message in ["", "hello", "[]", r#"{"from":1}"#] {
            assert!(refused(message).starts_with("error: "), "{message}");
        }
    }

    #[test]
    fn without_a_token_there_is_no_authorization() {
        let sent = send_without_token(MESSAGE, |[_, _, headers], body| {
            assert_eq!(headers, r#"{"Content-Type": "application/json"}"#);
            assert!(!body.contains("TKN"), "{body}");
            answered(0, "")
        });
        assert_eq!(sent, "");
    }
}
