//! The message that callers send, and the two texts that SendGrid gets of it.

use serde::Deserialize;
use serde_json::{Value, json};

/// The message that a caller sends: all of these texts are needed.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// The sender's address, one that the token may send from.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The kind of the body, such as `text/plain` or `text/html`.
    pub mime: String,
    /// The mail itself.
    pub body: String,
}

/// A message whose caller holds the token.
#[derive(Debug, Deserialize)]
pub struct WithToken {
    /// A SendGrid API key.
    pub token: String,
    /// The rest.
    #[serde(flatten)]
    pub message: Message,
}

/// The headers when the host adds the token, which then nobody here ever sees.
pub const HEADERS: &str = r#"{"Content-Type": "application/json"}"#;

/// The headers with a token, as `http_proxy` takes them: a JSON object of texts.
///
/// The token is quoted as JSON, so that nothing in it can add a header.
pub fn headers_with(token: &str) -> String {
    let authorization = Value::from(format!("Bearer {token}"));
    format!(r#"{{"Content-Type": "application/json","authorization": {authorization}}}"#)
}

/// The body of `POST /v3/mail/send`.
pub fn payload(message: &Message) -> String {
    json!({
        "personalizations": [{ "to": [{ "email": message.to }] }],
        "from": { "email": message.from },
        "subject": message.subject,
        "content": [{ "type": message.mime, "value": message.body }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_the_token_stays_in_the_token() {
        let token = r#"x","x-evil": "1\"#;
        let parsed: Value = serde_json::from_str(&headers_with(token)).unwrap();
        assert_eq!(
            parsed,
            json!({ "Content-Type": "application/json", "authorization": format!("Bearer {token}") })
        );
    }
}
