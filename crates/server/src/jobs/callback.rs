//! The sending of an outcome, as [Standard Webhooks](https://www.standardwebhooks.com) describes it.
//!
//! The body is that of `GET /v1/jobs/{job}`. Its signature is HMAC-SHA256 over the job's id, the time and the body, under
//! the secret that the version declares. It is sent under the outbound rules of the function and without its secrets,
//! because a caller named the target; redirects are not followed.

use super::request::JobOutcome;
use super::view::job_json;
use crate::app::App;
use crate::calls::{CallStart, CallerKind, PreparedCall};
use crate::parsing::blocking;
use crate::reply;
use crate::time::unix_ms_now;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request};
use iof_egress::{Outbound, SecretInjections};
use iof_fault::{Fault, FaultKind};
use iof_store::Job;
use sha2::Sha256;
use std::sync::Arc;

static ID: HeaderName = HeaderName::from_static("webhook-id");
static TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Sends the outcome of the job that `job` is for.
///
/// # Errors
/// `egress-…`; `callback-status` for an answer that is not a success; `secret-not-set`.
pub(super) async fn send(
    app: &App,
    job: &Job,
    start: &Arc<CallStart>,
) -> Result<JobOutcome, Fault> {
    let unknown = || Fault::new(FaultKind::NoSuchJob, "The job is not kept any more.");
    let of = job.of_job.ok_or_else(unknown)?;
    let done = app.store.job(of).await?.ok_or_else(unknown)?;
    let (url, _) = job.callback.as_ref().ok_or_else(unknown)?;
    let url = iof_egress::parse_outbound_url(url)
        .map_err(|error| Fault::new(FaultKind::EgressUrl, error.to_string()))?;
    let of_version = (job.function_id, job.version);
    let prepared = PreparedCall::accepted(app, job.id, of_version, CallerKind::Client).await?;
    let key = prepared.function.granted.jobs.callback_key.as_ref();
    let key = key.ok_or_else(|| {
        Fault::new(
            FaultKind::SecretNotSet,
            "The version declares no jobs.callback_secret any more.",
        )
    })?;
    let largest = app.jobs.callback_size.as_u64();
    let body = blocking(move || {
        let whole = job_json(done.clone(), false, None, true)?;
        match whole.len() as u64 > largest {
            true => job_json(done, false, None, false),
            false => Ok(whole),
        }
    });
    let body = body.await?;
    let body = body.map_err(|error| Fault::host("The job could not be written.", error))?;
    let timestamp = unix_ms_now() / 1000;
    let signature = signature(key.value(), &format!("{of}.{timestamp}."), &body)?;
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, reply::JSON);
    for (name, value) in [
        (&ID, of.to_string()),
        (&TIMESTAMP, timestamp.to_string()),
        (&SIGNATURE, format!("v1,{signature}")),
    ] {
        let value = HeaderValue::try_from(value)
            .map_err(|error| Fault::host("The callback could not be written.", error))?;
        headers.insert(name, value);
    }
    let context = &prepared.context;
    let outbound = Outbound {
        call: context.call,
        function: &context.function,
        function_id: context.function_id,
        version: context.version,
        rules: &context.grants.outbound,
        secrets: SecretInjections::WITHHELD,
        depth: context.depth,
        deadline: context.deadline,
        max_redirects: Some(0),
        retries: 0,
        decode: false,
        trace: context.trace.as_deref(),
    };
    start.begin().await;
    let answer = app.egress.send_to(&outbound, url, request).await;
    let answer = answer.map_err(|error| {
        let message = format!("The callback could not be sent: {error}.");
        Fault::new(error.kind().into(), message).with_detail(error.detail().unwrap_or_default())
    })?;
    let status = answer.status();
    if !status.is_success() {
        let message = format!(
            "The callback was answered {}. It has to be answered with a status from 200 to 299.",
            status.as_u16()
        );
        return Err(Fault::new(FaultKind::CallbackStatus, message));
    }
    Ok(JobOutcome::default())
}

/// The signature of a body, in base64. A secret with the prefix of Standard Webhooks is base64 of the key; any other is the
/// key itself.
fn signature(secret: &str, before: &str, body: &str) -> Result<String, Fault> {
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
            Fault::new(
                FaultKind::SecretPlacement,
                "The secret of jobs.callback_secret begins with whsec_ and is not base64 after that. Set it again.",
            )
        })?,
        None => secret.as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)
        .map_err(|error| Fault::host("The callback could not be signed.", error))?;
    mac.update(before.as_bytes());
    mac.update(body.as_bytes());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification of Standard Webhooks, and of its libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let signed = signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.",
            "{\"test\": 2432232314}",
        );
        assert_eq!(
            signed.unwrap(),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert!(signature("whsec_???", "", "").is_err());
    }
}
