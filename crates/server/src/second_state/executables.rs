//! Functions: upload, replace, list and delete.

use super::answer::{error_body, refuse};
use super::request::{administered, of_admin};
use super::upload;
use crate::app::App;
use crate::auth::key_fault;
use crate::deploy::EMPTY;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, Request, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::{Author, AuthorKey, NewFunction, Rollout, Surface};
use serde_json::json;
use std::sync::Arc;

/// The usage key of a function that needs none.
pub(super) const NIL_KEY: &str = "00000000-0000-0000-0000-000000000000";

/// The message of the original for an upload of no bytes.
const BLANK: &str = "Wasm executable is blank, please check your HTTP request syntax, the wasm file location and also the contents of the wasm file and try again.";

/// `POST /api/executables`: the body is a module.
pub(super) async fn create(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let created = async {
        admit(&app, &parts.headers)?;
        let version = upload::take(&app, &parts.headers, body).await?;
        let (legacy_sha256, sha256) = (version.legacy_sha256.clone(), version.sha256);
        let bytes = version.source.len();
        let (description, private) = upload::wishes(&parts.headers);
        let author = Author {
            surface: Surface::Api,
            key: app
                .keys
                .place_of(&parts.headers)
                .map_or(AuthorKey::None, AuthorKey::Server),
        };
        let created = app
            .store
            .by(author)
            .create_function(NewFunction {
                name: None,
                description,
                private,
                version,
            })
            .await?;
        tracing::info!(function = created.function_id, bytes, "uploaded");
        Ok(format!(
            r#"{{"wasm_id":{},"wasm_sha256":"{legacy_sha256}","SSVM_Usage_Key":"{}","SSVM_Admin_Key":"{}","iof_sha256":"{}"}}"#,
            created.function_id,
            created
                .usage_key
                .as_ref()
                .map_or(NIL_KEY, |key| key.as_str()),
            created.admin_key.as_str(),
            hex::encode(sha256),
        ))
    };
    match created.await {
        Ok(body) => reply::ok(StatusCode::OK, reply::HTML, body),
        Err(fault) => refuse_upload(&fault, "", ""),
    }
}

/// `PUT /api/update_wasm_binary/{wasm_id}`: the body is the module that the function runs from now on.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let updated = async {
        let function = administered(&app, &id, &parts.headers).await?;
        let mut version = upload::take(&app, &parts.headers, body).await?;
        // The new module gets the same grants, because this API cannot declare others.
        let _alone = app.deploys.lock(function.function_id).await;
        let current = app.store.function(function.function_id).await?;
        let current = current.ok_or_else(|| Fault::no_such_function(function.function_id))?;
        version.declaration = current.version.declaration;
        let legacy_sha256 = version.legacy_sha256.clone();
        let uploaded = of_admin(&app, &function)
            .add_version(function.function_id, version, Rollout::Active)
            .await?;
        app.functions.changed(function.function_id);
        tracing::info!(
            function = function.function_id,
            version = uploaded.number,
            "replaced"
        );
        Ok::<_, Fault>(json!({ "wasm_id": id, "wasm_sha256": legacy_sha256 }).to_string())
    };
    match updated.await {
        Ok(body) => reply::ok(StatusCode::OK, reply::HTML, body),
        // The original answered at this point.
        Err(fault) if fault.kind == FaultKind::ContentType => {
            reply::ok_but(&fault, reply::HTML, error_body(&fault.message))
        }
        Err(fault) => refuse_upload(
            &fault,
            &id,
            &format!("Wrong admin key ... {id} can not be updated."),
        ),
    }
}

fn refuse_upload(fault: &Fault, id: &str, wrong_key: &str) -> Response<Body> {
    if fault.message == EMPTY {
        return reply::ok_but(fault, reply::HTML, error_body(BLANK));
    }
    refuse(fault, id, wrong_key)
}

/// `GET /api/executables`
pub(super) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let list = async {
        admit(&app, &headers)?;
        app.store.list().await.map_err(Fault::from)
    };
    match list.await {
        Ok(ids) => {
            let ids = ids.iter().map(|id| format!(r#"{{"wasm_id":{id}}}"#));
            let list = ids.collect::<Vec<_>>().join(",");
            reply::ok(StatusCode::OK, reply::HTML, format!("[{list}]"))
        }
        Err(fault) => reply::failure(&fault),
    }
}

/// `DELETE /api/executables/{wasm_id}`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let deleted = async {
        let function = administered(&app, &id, &headers).await?;
        let number = function.function_id;
        of_admin(&app, &function).delete_function(number).await?;
        app.functions.changed(number);
        tracing::info!(function = number, "deleted");
        Ok(json!({ "wasm_id": id }).to_string())
    };
    match deleted.await {
        Ok(body) => reply::ok(StatusCode::OK, reply::HTML, body),
        Err(fault) => refuse(
            &fault,
            &id,
            &format!("Wrong admin key ... {id} can not be deleted."),
        ),
    }
}

/// Admits holders of a key of the server, or everyone if the server has none.
pub(super) fn admit(app: &App, headers: &HeaderMap) -> Result<(), Fault> {
    if app.keys.admit(headers) {
        return Ok(());
    }
    Err(key_fault())
}
