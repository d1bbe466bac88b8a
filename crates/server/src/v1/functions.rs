//! `/v1/functions`: a module, and what it declares.

use super::{administered, answer, time};
use crate::app::App;
use crate::functions::store_fault;
use crate::grants::{Declaration, MAX_DECLARATION};
use crate::second_state::upload;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use bytesize::ByteSize;
use http::{HeaderMap, Request, Response, StatusCode, header};
use iof_engine::Fault;
use iof_store::{NewFunction, NewVersion, Rollout, Version};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// `POST /v1/functions`
pub(super) async fn create(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let created = async {
        if !app.keys.admit(&parts.headers) {
            return Err(crate::auth::key_fault());
        }
        let (version, exports) = take(&app, &parts.headers, body).await?;
        let declaration = version.declaration.clone();
        let new = NewFunction {
            name: None,
            description: String::new(),
            private: false,
            version,
        };
        let created = app.store.create_function(new).await.map_err(store_fault)?;
        tracing::info!(function = created.wasm_id, "deployed");
        Ok(json!({
            "function": created.wasm_id,
            "version": 1,
            "admin_key": created.admin_key.as_str(),
            "exports": exports,
            "secrets_not_set": not_set(&app, created.wasm_id, declaration.as_deref()).await?,
        }))
    };
    answer(StatusCode::CREATED, created.await)
}

/// `POST /v1/functions/{function}/versions`: the next version, which runs from now on.
pub(super) async fn add_version(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let added = async {
        let function = administered(&app, &id, &parts.headers).await?;
        let (version, exports) = take(&app, &parts.headers, body).await?;
        let declaration = version.declaration.clone();
        let id = function.wasm_id;
        let uploaded = app
            .store
            .add_version(id, version, Rollout::Active)
            .await
            .map_err(store_fault)?;
        app.functions.changed(id);
        tracing::info!(function = id, version = uploaded.number, "deployed");
        Ok(json!({
            "function": id,
            "version": uploaded.number,
            "exports": exports,
            "secrets_not_set": not_set(&app, id, declaration.as_deref()).await?,
        }))
    };
    answer(StatusCode::CREATED, added.await)
}

/// `GET /v1/functions/{function}`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let read = async {
        let function = administered(&app, &id, &headers).await?;
        let id = function.wasm_id;
        let versions = app.store.versions(id).await.map_err(store_fault)?;
        let active = function.version.declaration.as_deref();
        Ok(json!({
            "function": id,
            "version": function.version.number,
            "description": function.description,
            "private": function.usage_key_hash.is_some(),
            "created_at": time(function.created_at),
            "secrets_not_set": not_set(&app, id, active).await?,
            "versions": versions.iter().map(describe).collect::<Vec<_>>(),
        }))
    };
    answer(StatusCode::OK, read.await)
}

fn describe(version: &Version) -> Json {
    let declaration = version.declaration.as_deref();
    let declaration = declaration.and_then(|text| serde_json::from_str::<Json>(text).ok());
    json!({
        "version": version.number,
        "sha256": upload::hex(&version.sha256),
        "size": version.size,
        "created_at": time(version.created_at),
        "declaration": declaration,
    })
}

/// Names of secrets that a version declares and nobody has set.
async fn not_set(app: &App, id: i64, declaration: Option<&str>) -> Result<Vec<String>, Fault> {
    let declared: Option<Declaration> =
        declaration.and_then(|text| serde_json::from_str(text).ok());
    let Some(declared) = declared else {
        return Ok(vec![]);
    };
    let set = app.store.secret_names(id).await.map_err(store_fault)?;
    let missing = declared.secret_names().into_iter();
    Ok(missing
        .filter(|name| !set.iter().any(|known| known.name == *name))
        .map(str::to_owned)
        .collect())
}

/// The module of a request, compiled, with what it declares: `multipart/form-data` with a part `module` and a part
/// `function` (the text of function.toml, or the same as JSON), or a module alone, which then gets the defaults.
async fn take(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(NewVersion, Vec<String>), Fault> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let (limit, most) = (app.module_size, app.module_size + ByteSize::kib(128));
    let too_large = || {
        Fault::limit(
            "module-size",
            413,
            format!("The module is larger than compile.module_size = {limit}."),
        )
    };
    let held = app.bodies.read(body, most, too_large).await?;
    let (source, declaration) = match essence {
        "application/wasm" | "application/octet-stream" => (held.bytes.clone(), None),
        "multipart/form-data" => parts(content_type, held.bytes.clone()).await?,
        _ => {
            return Err(Fault::client(
                "content-type",
                "Content-Type must be application/wasm, or multipart/form-data with the parts `module` and `function`.",
            )
            .with_status(415));
        }
    };
    if source.len() as u64 > limit.as_u64() {
        return Err(too_large());
    }
    let declaration = match declaration {
        None => None,
        Some(text) => {
            let declaration = Declaration::read(&text, app.functions.ceiling())?;
            let text = serde_json::to_string(&declaration);
            Some(text.map_err(|error| Fault::host("The upload failed.", error))?)
        }
    };
    let (mut version, manifest) = upload::compile(app, source).await?;
    version.declaration = declaration;
    let exports = manifest.exports.into_iter().map(|export| export.name);
    Ok((version, exports.collect()))
}

async fn parts(content_type: &str, body: Bytes) -> Result<(Bytes, Option<String>), Fault> {
    let wrong = |problem: &str| {
        Fault::client(
            "multipart",
            format!(
                "{problem}; send a part `module` with the module, and a part `function` with its function.toml."
            ),
        )
    };
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| wrong("The Content-Type has no boundary"))?;
    let stream = futures::stream::once(async { Ok::<_, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(stream, boundary);
    let (mut module, mut declaration) = (None, None);
    loop {
        let field = form.next_field().await;
        let Some(field) =
            field.map_err(|error| wrong(&format!("The body is no form ({error})")))?
        else {
            break;
        };
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await;
        let bytes =
            bytes.map_err(|error| wrong(&format!("The part `{name}` broke off ({error})")))?;
        match name.as_str() {
            "module" if module.is_none() => module = Some(bytes),
            "function" if declaration.is_none() && bytes.len() <= MAX_DECLARATION => {
                let text = String::from_utf8(bytes.into());
                declaration = Some(text.map_err(|_| wrong("The part `function` is no UTF-8"))?);
            }
            "function" if declaration.is_none() => {
                return Err(wrong("The part `function` is too long"));
            }
            "module" | "function" => return Err(wrong(&format!("The part `{name}` comes twice"))),
            _ => {
                return Err(wrong(&format!(
                    "There is no part `{}`",
                    super::shown(&name)
                )));
            }
        }
    }
    let module = module.ok_or_else(|| wrong("The part `module` is missing"))?;
    Ok((module, declaration))
}
