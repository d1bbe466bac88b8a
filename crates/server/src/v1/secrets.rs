//! `/v1/functions/{function}/secrets`: written, listed by name, deleted, and never read.

use super::{administered, answer, time};
use crate::app::App;
use crate::functions::store_fault;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use bytesize::ByteSize;
use http::{HeaderMap, Request, Response, StatusCode};
use iof_engine::Fault;
use iof_store::MAX_SECRET_VALUE;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// `GET /v1/functions/{function}/secrets`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        let id = administered(&app, &id, &headers).await?.wasm_id;
        let names = app.store.secret_names(id).await.map_err(store_fault)?;
        let names = names.into_iter().map(|secret| {
            json!({ "name": secret.name, "set_at": time(secret.created_at), "key": secret.key_id })
        });
        Ok(json!({ "secrets": names.collect::<Vec<Json>>() }))
    };
    answer(StatusCode::OK, list.await)
}

/// `PUT /v1/functions/{function}/secrets/{name}`: the body is the value, as it is.
pub(super) async fn set(
    State(app): State<Arc<App>>,
    Path((id, name)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let set = async {
        let id = administered(&app, &id, &parts.headers).await?.wasm_id;
        let keys = app.functions.secret_keys()?;
        let too_long = || {
            Fault::limit(
                "secret-value",
                413,
                format!("A secret has at most {MAX_SECRET_VALUE} bytes."),
            )
        };
        let held = app
            .bodies
            .read(body, ByteSize(MAX_SECRET_VALUE as u64), too_long)
            .await?;
        let value = String::from_utf8(held.bytes.to_vec())
            .map_err(|_| wrong("The secret is no UTF-8.".into()))?;
        // As an attachment will read it.
        iof_egress::SecretValue::new(value.as_str()).map_err(|error| wrong(format!("{error}.")))?;
        let set = app.store.set_secret(keys, id, name, value.into()).await;
        set.map_err(|error| match error {
            iof_store::Error::Invalid { what } => wrong(format!("{what}.")),
            other => store_fault(other),
        })?;
        app.functions.changed(id);
        Ok::<_, Fault>(())
    };
    done(set.await)
}

/// `DELETE /v1/functions/{function}/secrets/{name}`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    let deleted = async {
        let id = administered(&app, &id, &headers).await?.wasm_id;
        let deleted = app
            .store
            .delete_secret(id, name)
            .await
            .map_err(store_fault)?;
        app.functions.changed(id);
        if deleted {
            return Ok(());
        }
        Err(
            Fault::client("no-such-secret", "The function has no secret of that name.")
                .with_status(404),
        )
    };
    done(deleted.await)
}

fn done(result: Result<(), Fault>) -> Response<Body> {
    match result {
        Ok(()) => {
            let mut response = reply::ok(StatusCode::NO_CONTENT, reply::JSON, "");
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().remove(http::header::CONTENT_TYPE);
            response
        }
        Err(fault) => answer(StatusCode::OK, Err(fault)),
    }
}

fn wrong(message: String) -> Fault {
    Fault::client("secret", message)
}
