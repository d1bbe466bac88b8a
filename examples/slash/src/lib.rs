//! Answers a slash command of Slack, if Slack signed it.

mod dice;
mod form;

use dice::Dice;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;
use wasip2::random::random::get_random_u64;

/// The commands of the server.
mod commands {
    wit_bindgen::generate!({ path: "wit", world: "imports" });
    pub use iof::command::run::{Request, run};
}

struct Slash;

wasip2::http::proxy::export!(Slash);

/// The longest request, in bytes.
const LONGEST: usize = 64 << 10;
/// The most by which a signed time may be old, or ahead, in seconds.
const TOLERANCE: u64 = 5 * 60;

impl Guest for Slash {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, answer) = match body(&request).and_then(|body| signed(&request, body)) {
            Some(form) => (200, answer(&form, get_random_u64)),
            None => (
                401,
                serde_json::json!({ "error": "Slack did not sign this." }),
            ),
        };
        send(out, status, answer.to_string().as_bytes());
    }
}

/// The answer to a command, in the words of Slack.
fn answer(form: &str, random: impl FnMut() -> u64) -> serde_json::Value {
    let user = form::value(form, "user_name");
    match Dice::read(&form::value(form, "text")) {
        Some(dice) => serde_json::json!({
            "response_type": "in_channel",
            "text": format!("{user} {}", dice.roll(random)),
        }),
        // Only whoever typed it sees this.
        None => serde_json::json!({ "response_type": "ephemeral", "text": "Try 2d6." }),
    }
}

/// The form of a request that Slack signed, not long ago.
fn signed(request: &IncomingRequest, body: Vec<u8>) -> Option<String> {
    let header = |name: &str| {
        let values = request.headers().get(name);
        let value = values.into_iter().next();
        value.and_then(|value| String::from_utf8(value).ok())
    };
    let time = header("x-slack-request-timestamp")?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    if now.as_secs().abs_diff(time.parse().ok()?) > TOLERANCE {
        return None; // Somebody kept it.
    }
    let signature = header("x-slack-signature")?;
    let verify = commands::Request {
        name: "verify".to_owned(),
        arguments: vec![
            "--hex".to_owned(),
            "SLACK_SECRET".to_owned(),
            signature.strip_prefix("v0=")?.to_owned(),
        ],
        environment: vec![],
        stdin: [b"v0:", time.as_bytes(), b":", &*body].concat(),
        timeout: None,
    };
    let verified = commands::run(&verify);
    match verified.status {
        0 => String::from_utf8(body).ok(),
        1 => None,
        // The secret is not set, or not granted: the log of the call says so.
        _ => {
            eprintln!("{}", String::from_utf8_lossy(&verified.stderr));
            None
        }
    }
}

/// The body of a request; `None` if it is too long, or ends early.
fn body(request: &IncomingRequest) -> Option<Vec<u8>> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut all = vec![];
    loop {
        match stream.blocking_read(16 << 10) {
            Ok(piece) => all.extend(piece),
            Err(StreamError::Closed) => return Some(all),
            Err(StreamError::LastOperationFailed(_)) => return None,
        }
        if all.len() > LONGEST {
            return None;
        }
    }
}

/// Sends a whole response of JSON.
fn send(out: ResponseOutparam, status: u16, text: &[u8]) {
    let headers = Fields::new();
    let _ = headers.append("content-type", b"application/json");
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    let Ok(body) = body else { return };
    let Ok(stream) = body.write() else { return };
    let mut pieces = text.chunks(4096);
    if pieces.all(|piece| stream.blocking_write_and_flush(piece).is_ok()) {
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn a_roll_is_said_in_the_channel_and_a_mistake_to_its_author() {
        let said = answer("user_name=ada&text=2d6", || 2);
        assert_eq!(said["text"], "ada rolled 3 + 3 = 6");
        assert_eq!(said["response_type"], "in_channel");
        assert_eq!(answer("text=two", || 2)["response_type"], "ephemeral");
    }
}
