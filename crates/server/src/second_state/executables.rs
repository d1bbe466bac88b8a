//! Uploading, reading, listing and deleting functions.

use super::{error_body, header, parse_id};
use crate::app::App;
use crate::functions::{no_such_function, store_fault};
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header as names};
use iof_engine::{Fault, Source};
use iof_store::{NewFunction, NewVersion};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

const NIL_KEY: &str = "00000000-0000-0000-0000-000000000000";
/// A description is a line for people; the original kept 255 characters.
const DESCRIPTION: usize = 255;

/// `POST /api/executables`: the body is a module.
pub(super) async fn create(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    match upload(&app, request).await {
        Ok(response) => response,
        Err(fault) => {
            log(&fault, "upload refused");
            reply::failure(&fault)
        }
    }
}

async fn upload(app: &App, request: Request<Body>) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    admit(app, &parts.headers)?;
    let content_type = parts
        .headers
        .get(names::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !essence.eq_ignore_ascii_case("application/octet-stream") {
        return Err(Fault::client(
            "content-type",
            "Content-Type must be application/octet-stream",
        )
        .with_status(415));
    }
    let held = app
        .bodies
        .read(body, app.module_size, || {
            let limit = app.module_size;
            Fault::limit(
                "module-size",
                413,
                format!("The module is larger than compile.module_size = {limit}."),
            )
        })
        .await?;
    let source = held.bytes.clone();
    if source.is_empty() {
        let fault = Fault::client("not-wasm", "The body is empty.");
        let body = error_body(
            "Wasm executable is blank, please check your HTTP request syntax, the wasm file location and also the \
             contents of the wasm file and try again.",
        );
        return Ok(reply::ok_but(&fault, reply::HTML, body));
    }

    let (sha256, legacy_sha256) = digests(source.clone()).await?;
    let kept = app
        .store
        .artefact(app.engine.fingerprint(), sha256)
        .await
        .map_err(store_fault)?;
    let known = kept.and_then(|artefact| app.engine.manifest(&artefact).ok());
    let manifest = match known {
        Some(manifest) => manifest,
        None => {
            let compiled = app.engine.compile(source.clone()).await?;
            app.store
                .put_artefact(app.engine.fingerprint(), sha256, &compiled.artefact)
                .await
                .map_err(store_fault)?;
            compiled.manifest
        }
    };
    app.engine.accept(&manifest)?;
    let description: String = header(&parts.headers, "ssvm_description")
        .unwrap_or("undefined")
        .chars()
        .take(DESCRIPTION)
        .collect();
    let private = matches!(
        header(&parts.headers, "ssvm_create_usage_key"),
        Some("true" | "True")
    );
    let created = app
        .store
        .create_function(NewFunction {
            description,
            private,
            version: NewVersion {
                kind: manifest.kind.as_str().to_owned(),
                manifest: serde_json::to_string(&manifest)
                    .map_err(|error| Fault::host("The upload failed.", error))?,
                legacy_sha256: legacy_sha256.clone(),
                sha256,
                source,
            },
        })
        .await
        .map_err(store_fault)?;
    tracing::info!(
        function = created.wasm_id,
        bytes = held.bytes.len(),
        exports = manifest.exports.len(),
        "uploaded"
    );
    let body = format!(
        r#"{{"wasm_id":{},"wasm_sha256":"{legacy_sha256}","SSVM_Usage_Key":"{}","SSVM_Admin_Key":"{}","iof_sha256":"{}"}}"#,
        created.wasm_id,
        created
            .usage_key
            .as_ref()
            .map_or(NIL_KEY, |key| key.as_str()),
        created.admin_key.as_str(),
        hex(&sha256),
    );
    Ok(reply::ok(StatusCode::OK, reply::HTML, body))
}

/// `GET /api/executables`
pub(super) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let list = async {
        admit(&app, &headers)?;
        app.store.list().await.map_err(store_fault)
    };
    match list.await {
        Ok(ids) => {
            let list: Vec<Json> = ids.into_iter().map(|id| json!({ "wasm_id": id })).collect();
            reply::ok(StatusCode::OK, reply::HTML, Json::from(list).to_string())
        }
        Err(fault) => reply::failure(&fault),
    }
}

/// `GET /api/executables/{wasm_id}?filterBy=["…"]`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    match describe(&app, &id, query.as_deref(), &headers).await {
        Ok(response) => response,
        Err(fault) if fault.code == "no-such-function" => reply::ok_but(
            &fault,
            reply::HTML,
            error_body(&format!("wasm_id of {id} does not exist")),
        ),
        Err(fault) => reply::failure(&fault),
    }
}

/// What `filterBy` may name.
const FILTERS: [&str; 6] = [
    "wasm_id",
    "wasm_description",
    "wasm_as_buffer",
    "wasm_state",
    "wasm_sha256",
    "wasm_callback_object",
];

async fn describe(
    app: &App,
    id: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Fault> {
    admit(app, headers)?;
    let function = match parse_id(id) {
        Some(id) => app.store.function(id).await.map_err(store_fault)?,
        None => None,
    };
    let function = function.ok_or_else(|| no_such_function(id))?;
    let filter = query.and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "filterBy")
            .map(|(_, value)| value.into_owned())
    });
    let wanted: Vec<String> = match filter.as_deref().filter(|filter| !filter.is_empty()) {
        None => [
            "wasm_id",
            "wasm_sha256",
            "wasm_description",
            "wasm_as_buffer",
            "wasm_state",
            "wasm_callback_object",
        ]
        .map(str::to_owned)
        .into(),
        Some(filter) => match serde_json::from_str::<Vec<String>>(filter) {
            Ok(wanted) => wanted,
            Err(_) => {
                let fault = Fault::client("filter", "filterBy must be a JSON array of strings.");
                let body =
                    error_body("Please check your filterBy parameters. Not valid string array!");
                return Ok(reply::ok_but(&fault, reply::HTML, body));
            }
        },
    };
    if wanted.iter().any(|name| !FILTERS.contains(&name.as_str())) {
        let fault = Fault::client("filter", format!("filterBy takes {}.", FILTERS.join(", ")));
        let named = filter.unwrap_or_default();
        let body = json!([{ "error_invalid_filter": named }, { "valid_filters_include": FILTERS }]);
        return Ok(reply::ok_but(&fault, reply::HTML, body.to_string()));
    }
    let mut answer = Map::new();
    for name in wanted {
        let value = match name.as_str() {
            "wasm_id" => function.wasm_id.into(),
            "wasm_description" => function.description.clone().into(),
            "wasm_state" => function.state.clone().into(),
            "wasm_sha256" => function.version.legacy_sha256.clone().into(),
            "wasm_callback_object" => function.callback.clone().into(),
            _ => buffer(app, function.version.sha256).await?,
        };
        answer.insert(name, value);
    }
    Ok(reply::ok(
        StatusCode::OK,
        reply::HTML,
        Json::Object(answer).to_string(),
    ))
}

/// The original kept a module as the text of its bytes in decimal, and returned the bytes of that text.
async fn buffer(app: &App, sha256: [u8; 32]) -> Result<Json, Fault> {
    let source = app.store.source(sha256).await.map_err(store_fault)?;
    let source =
        source.ok_or_else(|| Fault::host("The module is missing from the store.", hex(&sha256)))?;
    let text = blocking(move || decimal(&source)).await?;
    Ok(json!({ "type": "Buffer", "data": text.as_bytes() }))
}

/// `DELETE /api/executables/{wasm_id}`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = async {
        let number = parse_id(&id).ok_or_else(|| no_such_function(&id))?;
        let function = app.store.function(number).await.map_err(store_fault)?;
        let function = function.ok_or_else(|| no_such_function(number))?;
        if !header(&headers, "ssvm_admin_key")
            .is_some_and(|key| function.admin_key_hash.matches(key))
        {
            return Err(
                Fault::client("admin-key", "SSVM_Admin_Key is missing or wrong.").with_status(403),
            );
        }
        app.store
            .delete_function(number)
            .await
            .map_err(store_fault)?;
        app.functions.forget(number);
        tracing::info!(function = number, "deleted");
        Ok(json!({ "wasm_id": id }).to_string())
    };
    match answer.await {
        Ok(body) => reply::ok(StatusCode::OK, reply::HTML, body),
        Err(fault) => match &*fault.code {
            "no-such-function" => reply::ok_but(
                &fault,
                reply::HTML,
                error_body(&format!("wasm_id of {id} does not exist")),
            ),
            "admin-key" => reply::ok_but(
                &fault,
                reply::HTML,
                error_body(&format!("Wrong admin key ... {id} can not be deleted.")),
            ),
            _ => reply::failure(&fault),
        },
    }
}

fn admit(app: &App, headers: &HeaderMap) -> Result<(), Fault> {
    if app.keys.admit(headers) {
        return Ok(());
    }
    Err(Fault::client(
        "key",
        "This server wants one of its keys (auth.keys) for this: send it as `Authorization: Bearer KEY` or `iof-key: KEY`.",
    )
    .with_status(401))
}

/// The digest of a module, and the original's digest of its decimal text.
async fn digests(source: Bytes) -> Result<([u8; 32], String), Fault> {
    blocking(move || {
        (
            Sha256::digest(&source).into(),
            format!("0x{}", hex(&Sha256::digest(decimal(&source)))),
        )
    })
    .await
}

/// `0,97,115,109`
fn decimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4);
    for byte in bytes {
        if !text.is_empty() {
            text.push(',');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{byte}");
    }
    text
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::host("The server failed.", error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn log(fault: &Fault, what: &str) {
    let detail = fault.detail.as_deref();
    if fault.source_of == Source::Host {
        tracing::error!(fault = %fault.code, message = %fault.message, detail, "{what}");
    } else {
        tracing::info!(fault = %fault.code, message = %fault.message, detail, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_digest_is_over_decimal_text() {
        assert_eq!(decimal(b"\0asm\x01\0\0\0"), "0,97,115,109,1,0,0,0");
        assert_eq!(decimal(b""), "");
    }
}
