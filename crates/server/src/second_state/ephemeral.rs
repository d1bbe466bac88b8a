//! Ephemeral storage: JSON under a key, for an hour.
//!
//! The original kept it in memory, together with its own data about compiled code, which anyone could read. Here it is
//! in the database, so that a restart loses nothing, and contains only what clients stored. A server with keys requires
//! one; on a server without keys, every address has a share, so that one client cannot fill the storage for all.

use super::answer::error_body;
use super::arguments;
use super::executables::admit;
use crate::app::App;
use crate::body::larger_than;
use crate::connection::network;
use crate::http::{content_type, essence};
use crate::memory::SMALL;
use crate::parsing::Budget;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::{EphemeralPut, EphemeralShare};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

const NOT_JSON: &str = "Mime type in request headers must be application/json";
/// The longest key that a client may choose.
const KEY: usize = 256;

/// The address that a request came from, for limits that count by address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// `POST /api/ephemeral_storage`: stores under a key that the server makes.
pub(super) async fn create(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    put(&app, Uuid::new_v4().to_string(), request).await
}

/// `PUT /api/ephemeral_storage/{key}`: stores under a key that the client chose, and replaces what is there.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    put(&app, key, request).await
}

async fn put(app: &App, key: String, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let stored = async {
        admit(app, &parts.headers)?;
        if essence(&parts.headers) != "application/json" {
            return Err(Fault::new(FaultKind::ContentType, NOT_JSON));
        }
        if key.len() > KEY {
            return Err(Fault::new(
                FaultKind::EphemeralKey,
                format!("The key is longer than {KEY} bytes."),
            ));
        }
        let settings = &app.second_state;
        let limit = settings.ephemeral_value;
        let held = app
            .bodies
            .read(&parts.headers, body, limit, || {
                larger_than(
                    FaultKind::EphemeralValue,
                    format_args!("second_state.ephemeral_value = {limit}"),
                )
            })
            .await?;
        // The original's parser made an empty object of an empty body.
        let value = match held.bytes.is_empty() {
            true => "{}".to_owned(),
            false => rewritten(app, &parts.headers, held.bytes.clone()).await?,
        };
        let (total, share) = (settings.ephemeral_total, settings.ephemeral_share);
        let client = parts.extensions.get::<ClientAddress>();
        let owner = client.filter(|_| !app.keys.are_set());
        let owner = owner.map(|client| EphemeralShare {
            owner: network(client.0).to_string(),
            limit: share.as_u64(),
        });
        let life = settings.ephemeral_time;
        let put = app
            .store
            .put_ephemeral(key.clone(), value, life, total.as_u64(), owner);
        match put.await? {
            EphemeralPut::Done => Ok(json!({ "key": key }).to_string()),
            EphemeralPut::ShareFull => Err(Fault::new(
                FaultKind::EphemeralShare,
                format!(
                    "The share of this address in the ephemeral storage is full: second_state.ephemeral_share = {share}. \
                     Delete a value, or try again later."
                ),
            )),
            EphemeralPut::Full => Err(Fault::new(
                FaultKind::EphemeralTotal,
                format!(
                    "The ephemeral storage is full: second_state.ephemeral_total = {total}. Try again later."
                ),
            )),
        }
    };
    match stored.await {
        Ok(body) => reply::ok(StatusCode::OK, reply::HTML, body),
        Err(fault) if fault.kind == FaultKind::ContentType => {
            tracing::debug!(content_type = content_type(&parts.headers), "not JSON");
            reply::ok_but(&fault, reply::HTML, error_body(NOT_JSON))
        }
        Err(fault) => reply::failure(&fault),
    }
}

async fn rewritten(app: &App, headers: &HeaderMap, body: Bytes) -> Result<String, Fault> {
    let depth = app.settings.json_depth;
    if body.len() <= SMALL {
        let budget = &mut Budget::default();
        return arguments::rewritten(content_type(headers), body, depth, budget);
    }
    let content_type = content_type(headers).to_owned();
    let rewrite =
        move |budget: &mut Budget| arguments::rewritten(&content_type, body, depth, budget);
    let deadline = Instant::now() + app.wall_time;
    Ok(app.bodies.parse(deadline, rewrite).await?.0)
}

/// `GET /api/ephemeral_storage/{key}`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let value = async {
        admit(&app, &headers)?;
        app.store.ephemeral(&key).await.map_err(Fault::from)
    };
    match value.await {
        // The value was valid JSON when it was stored.
        Ok(Some(value)) => {
            let body = format!(r#"{{"value":{value}}}"#);
            reply::ok(StatusCode::OK, reply::HTML, body)
        }
        Ok(None) => {
            let fault = Fault::new(FaultKind::NoSuchKey, "There is nothing under this key.");
            reply::ok_but(&fault, reply::HTML, error_body("Key not found"))
        }
        Err(fault) => reply::failure(&fault),
    }
}

/// `DELETE /api/ephemeral_storage/{key}`: the same answer whether the key existed or not.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let deleted = async {
        admit(&app, &headers)?;
        let deleted = app.store.delete_ephemeral(key.clone()).await;
        deleted.map_err(Fault::from)
    };
    match deleted.await {
        Ok(_) => {
            let body = json!({ "key": key }).to_string();
            reply::ok(StatusCode::OK, reply::HTML, body)
        }
        Err(fault) => reply::failure(&fault),
    }
}
