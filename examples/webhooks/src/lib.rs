//! Webhooks of GitHub, Stripe and Slack: each checks that its sender signed the request, and answers.
//!
//! The secrets that they share with their senders are in no module: the server compares the signatures
//! ([function.toml](../function.toml)).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iof::serde_json::Value;
use iof::signing::verify;
use iof::{Error, Request, Response, Result};

/// The greatest age of a signed time, and the most by which a sender's clock may be ahead.
const TOLERANCE: u64 = 5 * 60;

/// Takes an event of GitHub (`X-Hub-Signature-256`).
#[iof::function]
fn github(request: Request) -> Result<Response> {
    let signature = header(&request, "x-hub-signature-256")?;
    let signature = signature.strip_prefix("sha256=").ok_or_else(unsigned)?;
    if !verify("GITHUB_SECRET", request.body(), signature)? {
        return Err(unsigned());
    }
    let event: Value = request.json()?;
    Ok(match (header(&request, "x-github-event")?, event["action"].as_str()) {
        ("ping", _) => Response::text("pong\n"),
        (name, Some(action)) => Response::text(format!("{name} {action}\n")),
        (name, None) => Response::text(format!("{name}\n")),
    })
}

/// Takes an event of Stripe (`Stripe-Signature: t=…,v1=…`).
#[iof::function]
fn stripe(request: Request) -> Result<Response> {
    let given = header(&request, "stripe-signature")?;
    let field = |wanted| {
        let fields = given.split(',').filter_map(|field| field.split_once('='));
        fields.filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let time = field("t").next().ok_or_else(unsigned)?;
    fresh(time)?;
    let signed = [time.as_bytes(), b".", request.body()].concat();
    // While its secret is changed, Stripe signs with the old one and the new one.
    for signature in field("v1") {
        if verify("STRIPE_SECRET", &signed, signature)? {
            let event: Value = request.json()?;
            let kind = event["type"].as_str().unwrap_or("an event");
            return Ok(Response::text(format!("{kind}\n")));
        }
    }
    Err(unsigned())
}

/// Answers a command of Slack, such as `/echo` (`X-Slack-Signature`).
#[iof::function]
fn slack(request: Request) -> Result<Response> {
    let time = header(&request, "x-slack-request-timestamp")?;
    fresh(time)?;
    let signature = header(&request, "x-slack-signature")?;
    let signature = signature.strip_prefix("v0=").ok_or_else(unsigned)?;
    let signed = [b"v0:", time.as_bytes(), b":", request.body()].concat();
    if !verify("SLACK_SECRET", &signed, signature)? {
        return Err(unsigned());
    }
    let text = request.form_value("text").unwrap_or_default();
    let answer = iof::serde_json::json!({ "response_type": "ephemeral", "text": text });
    Ok(Response::json(&answer)?)
}

fn header<'a>(request: &'a Request, name: &str) -> Result<&'a str> {
    request.header(name).ok_or_else(unsigned)
}

/// Refuses a time that is too long ago: a request that somebody kept is not sent again.
fn fresh(time: &str) -> Result<()> {
    let time: u64 = time.parse().map_err(|_| unsigned())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    match now.as_secs().abs_diff(time) <= TOLERANCE {
        true => Ok(()),
        false => Err(unsigned()),
    }
}

/// One answer for all: who guesses learns nothing.
fn unsigned() -> Error {
    Error::new("signature", "The request is not signed by its sender.").with_status(401)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iof::testing::{Output, commands};

    #[test]
    fn an_event_of_github_needs_its_signature() {
        let host = commands(|run| match run.args.last().map(String::as_str) {
            Some("c0ffee") => Output::ok(""),
            _ => Output::failed(1, "verify: the signature does not match"),
        });
        let signed = |signature: &str| {
            let request = Request::new("POST")
                .with_header("x-github-event", "issues")
                .with_header("x-hub-signature-256", signature)
                .with_body(r#"{"action":"opened"}"#);
            github(request)
        };
        assert_eq!(signed("sha256=c0ffee").unwrap().body(), b"issues opened\n");
        assert_eq!(host.runs()[0].stdin, br#"{"action":"opened"}"#);
        for wrong in ["sha256=00", "c0ffee", ""] {
            assert_eq!(signed(wrong).unwrap_err().status(), Some(401));
        }
    }
}
