//! The stand-in for SendGrid: a real HTTPS server that takes `POST /v3/mail/send` and keeps the mails.
//!
//! It answers as the service does: 202 and no body for an accepted mail, 401 for an unknown token, 400 naming the wrong
//! field. Its certificate is for `api.sendgrid.com`, from its own authority, so a function keeps its true URL and an
//! operator's setting pins the name to it ([`MailService::config`]).

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::listener::{Identity, Listener};

/// The name in the certificate.
pub const HOST: &str = "api.sendgrid.com";

/// A running stand-in. It ends when it is dropped.
pub struct MailService {
    listener: Listener,
    ca_pem: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// The only token that it accepts.
    token: String,
    /// The payloads that it accepted, unchanged.
    mailbox: Mutex<Vec<Value>>,
    /// Every request, accepted or not: `METHOD path status`.
    seen: Mutex<Vec<String>>,
}

impl MailService {
    /// Starts the service on a free port of loopback; `token` is the only one that it accepts.
    pub async fn start(token: &str) -> Self {
        let identity = Identity::new(&[HOST]);
        let shared = Arc::new(Shared {
            token: token.into(),
            mailbox: Mutex::default(),
            seen: Mutex::default(),
        });
        let router = Router::new()
            .route("/v3/mail/send", post(send))
            .route("/mailbox", get(mailbox))
            .with_state(Arc::clone(&shared));
        let listener = Listener::start(router, Some(identity.config)).await;
        Self {
            listener,
            ca_pem: identity.ca_pem,
            shared,
        }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// The authority of its certificate, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The lines of `iof.toml` that pin the service's name to it and trust its authority, which is written to `ca`.
    ///
    /// They end in a table, so other tables may follow, but no other `[egress]` keys.
    pub fn config(&self, ca: &Path) -> String {
        std::fs::File::create(ca)
            .and_then(|mut file| std::io::Write::write_all(&mut file, self.ca_pem.as_bytes()))
            .expect("a place for the authority's certificate");
        format!(
            "[egress]\nca_files = [{ca:?}]\n\n[[egress.pin]]\nhost = \"{HOST}\"\nport = 443\nto = \"{}\"\n",
            self.address()
        )
    }

    /// The mails that it accepted, oldest first, each as its payload.
    pub fn mailbox(&self) -> Vec<Value> {
        self.shared
            .mailbox
            .lock()
            .expect("no test panics inside")
            .clone()
    }

    /// Every request that arrived for a mail, as `POST 202`.
    pub fn seen(&self) -> Vec<String> {
        self.shared
            .seen
            .lock()
            .expect("no test panics inside")
            .clone()
    }
}

async fn mailbox(State(shared): State<Arc<Shared>>) -> Response {
    let mails = Value::from(
        shared
            .mailbox
            .lock()
            .expect("no test panics inside")
            .clone(),
    );
    (
        [(header::CONTENT_TYPE, "application/json")],
        format!("{mails:#}\n"),
    )
        .into_response()
}

async fn send(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = take(&shared, &headers, &body);
    let status = outcome
        .as_ref()
        .err()
        .map_or(StatusCode::ACCEPTED, |(status, _)| *status);
    shared
        .seen
        .lock()
        .expect("no test panics inside")
        .push(format!("POST {}", status.as_u16()));
    match outcome {
        Ok(mail) => {
            shared
                .mailbox
                .lock()
                .expect("no test panics inside")
                .push(mail);
            status.into_response()
        }
        Err((status, errors)) => (
            status,
            [(header::CONTENT_TYPE, "application/json")],
            errors.to_string(),
        )
            .into_response(),
    }
}

type Refusal = (StatusCode, Value);

fn refusal(status: StatusCode, field: Option<&str>, message: &str) -> Refusal {
    (
        status,
        json!({ "errors": [{ "message": message, "field": field, "help": null }] }),
    )
}

fn take(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if text(header::AUTHORIZATION) != format!("Bearer {}", shared.token) {
        let message = "The provided authorization grant is invalid, expired, or revoked";
        return Err(refusal(StatusCode::UNAUTHORIZED, None, message));
    }
    if text(header::CONTENT_TYPE).split(';').next() != Some("application/json") {
        let message = "Content-Type should be application/json.";
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, message));
    }
    let mail: Value = serde_json::from_slice(body)
        .map_err(|e| refusal(StatusCode::BAD_REQUEST, None, &format!("Bad Request: {e}")))?;
    check(&mail)?;
    Ok(mail)
}

/// The required fields of a mail, by the name that the service gives a wrong field.
fn check(mail: &Value) -> Result<(), Refusal> {
    let need = |field: &str, value: Option<&Value>| match value.and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(()),
        _ => {
            let message = format!("The field {field} is required and must be a non-empty string.");
            Err(refusal(StatusCode::BAD_REQUEST, Some(field), &message))
        }
    };
    let list = |field: &str, value: Option<&Value>| match value.and_then(Value::as_array) {
        Some(list) if !list.is_empty() => Ok(list.clone()),
        _ => {
            let message = format!("The field {field} is required and must be a non-empty array.");
            Err(refusal(StatusCode::BAD_REQUEST, Some(field), &message))
        }
    };
    for (i, personalization) in list("personalizations", mail.get("personalizations"))?
        .iter()
        .enumerate()
    {
        for (k, to) in list(
            &format!("personalizations.{i}.to"),
            personalization.get("to"),
        )?
        .iter()
        .enumerate()
        {
            let field = format!("personalizations.{i}.to.{k}.email");
            need(&field, to.get("email"))?;
            if !to["email"]
                .as_str()
                .is_some_and(|email| email.contains('@'))
            {
                let message = "Does not contain a valid address.";
                return Err(refusal(StatusCode::BAD_REQUEST, Some(&field), message));
            }
        }
    }
    need("from.email", mail.pointer("/from/email"))?;
    need("subject", mail.get("subject"))?;
    for (i, content) in list("content", mail.get("content"))?.iter().enumerate() {
        need(&format!("content.{i}.type"), content.get("type"))?;
        need(&format!("content.{i}.value"), content.get("value"))?;
    }
    Ok(())
}
