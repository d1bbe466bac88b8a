//! `/v1/functions/{function}/versions`: what a function runs, ran, and is to run for some of its calls.
//!
//! A version never changes. To roll back, or to promote a canary, is to move a pointer, and the next call sees it.

use super::functions::{Deployed, not_set};
use super::{
    Problem, access, answer, content_type, json_body, no_content, only, parameter, time, whole,
};
use crate::app::App;
use crate::body::Share;
use crate::grants::{Declaration, MAX_DECLARATION};
use crate::multipart::{MostParts, boundary, split};
use crate::parsing::Budget;
use crate::second_state::upload;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use bytesize::ByteSize;
use http::{HeaderMap, Request, Response, StatusCode};
use iof_engine::Manifest;
use iof_fault::{Fault, FaultKind};
use iof_store::{NewVersion, Percent, Rollout, Scope, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::ToSchema;

/// One version.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionInfo {
    /// Its number.
    version: i64,
    /// Of its module, in hexadecimal digits.
    sha256: String,
    /// Of its module, in bytes.
    size: u64,
    created_at: String,
    /// What can be called.
    exports: Vec<String>,
    /// What it declared, as its `function.toml` said it; nothing, if it came without.
    #[schema(value_type = Option<Object>)]
    declaration: Option<Json>,
}

impl VersionInfo {
    pub(super) fn of(version: &Version) -> Self {
        let declaration = version.declaration.as_deref();
        let manifest: Option<Manifest> = serde_json::from_str(&version.manifest).ok();
        let exports = manifest
            .map(|manifest| manifest.exports)
            .unwrap_or_default();
        Self {
            version: version.number,
            sha256: upload::hex(&version.sha256),
            size: version.size,
            created_at: time(version.created_at),
            exports: exports.into_iter().map(|export| export.name).collect(),
            declaration: declaration.and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}

/// Versions, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionList {
    versions: Vec<VersionInfo>,
}

/// A version that some of the calls run.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    #[schema(minimum = 1)]
    #[serde(deserialize_with = "whole")]
    pub(super) version: i64,
    /// How many of a hundred calls run it.
    #[schema(minimum = 1, maximum = 99)]
    #[serde(deserialize_with = "whole")]
    pub(super) percent: u8,
}

impl Canary {
    pub(super) fn of(canary: &iof_store::Canary) -> Self {
        Self {
            version: canary.version.number,
            percent: canary.percent.get(),
        }
    }
}

/// Which version runs.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Active {
    #[schema(minimum = 1)]
    #[serde(deserialize_with = "whole")]
    version: i64,
}

/// A module, and what it declares.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is a shape of the document; the parts are read one by one"
)]
pub(super) struct Form {
    /// The module.
    #[schema(value_type = String, format = Binary)]
    module: Vec<u8>,
    /// The text of its `function.toml`, or the same as JSON.
    function: Option<String>,
}

/// Deploy the next version
///
/// The body is as for a new function. It runs from now on; with `canary`, for so many of a hundred calls; with
/// `idle=true`, not until it is made the active one.
#[utoipa::path(post, path = "/functions/{function}/versions", operation_id = "addVersion", tag = "versions",
    params(
        ("function" = String, Path, description = "Its number or name"),
        ("canary" = Option<u8>, Query, description = "How many of a hundred calls run it", minimum = 1, maximum = 99),
        ("idle" = Option<bool>, Query, description = "Whether no call runs it yet"),
    ),
    request_body(content((Vec<u8> = "application/wasm"), (Form = "multipart/form-data"))),
    responses((status = 201, body = Deployed), (status = "default", body = Problem)))]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let added = async {
        let function = access::function(&app, &id, &parts.headers, Scope::Deploy).await?;
        let query = query.as_deref();
        only(query, &["canary", "idle"])?;
        let rollout = match (parameter(query, "canary")?, parameter(query, "idle")?) {
            (Some(percent), None | Some(false)) => Rollout::Canary(share(percent)?),
            (None, Some(true)) => Rollout::Idle,
            (None, None | Some(false)) => Rollout::Active,
            (Some(_), Some(true)) => {
                return Err(Fault::new(
                    FaultKind::Query,
                    "A version is a canary or idle, not both.",
                ));
            }
        };
        let (version, exports) = take(&app, &parts.headers, body).await?;
        let declaration = version.declaration.clone();
        let id = function.wasm_id;
        let added = app.store.add_version(id, version, rollout).await;
        let added = added.map_err(|error| refused(id, error))?;
        app.functions.changed(id);
        tracing::info!(function = id, version = added.number, "deployed");
        Ok(Deployed {
            function: id,
            name: function.name,
            version: added.number,
            admin_key: None,
            exports,
            secrets_not_set: not_set(&app, id, declaration.as_deref()).await?,
        })
    };
    answer(StatusCode::CREATED, added.await)
}

/// List the versions of a function
#[utoipa::path(get, path = "/functions/{function}/versions", operation_id = "listVersions", tag = "versions",
    params(("function" = String, Path, description = "Its number or name")),
    responses((status = 200, body = VersionList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        let function = access::function(&app, &id, &headers, Scope::Read).await?;
        let versions = app.store.versions(function.wasm_id).await?;
        Ok(VersionList {
            versions: versions.iter().map(VersionInfo::of).collect(),
        })
    };
    answer(StatusCode::OK, list.await)
}

/// Make a version the active one
///
/// To roll back, and to promote a canary: calls from now on run it, calls under way end on theirs.
#[utoipa::path(put, path = "/functions/{function}/active", operation_id = "activateVersion", tag = "versions",
    params(("function" = String, Path, description = "Its number or name")),
    request_body = Active,
    responses((status = 200, body = Active), (status = "default", body = Problem)))]
pub(super) async fn activate(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let activated = async {
        let function = access::function(&app, &id, &parts.headers, Scope::Deploy).await?;
        let wish: Active = json_body(&app, &parts.headers, body).await?;
        let id = function.wasm_id;
        app.functions.loads(id, wish.version).await?;
        let moved = app.store.activate(id, wish.version).await;
        moved.map_err(|error| refused(id, error))?;
        app.functions.changed(id);
        tracing::info!(function = id, version = wish.version, "activated");
        Ok(wish)
    };
    answer(StatusCode::OK, activated.await)
}

/// Let some calls run another version
#[utoipa::path(put, path = "/functions/{function}/canary", operation_id = "setCanary", tag = "versions",
    params(("function" = String, Path, description = "Its number or name")),
    request_body = Canary,
    responses((status = 200, body = Canary), (status = "default", body = Problem)))]
pub(super) async fn set_canary(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let set = async {
        let function = access::function(&app, &id, &parts.headers, Scope::Deploy).await?;
        let wish: Canary = json_body(&app, &parts.headers, body).await?;
        let id = function.wasm_id;
        app.functions.loads(id, wish.version).await?;
        let set = app
            .store
            .set_canary(id, Some((wish.version, share(wish.percent)?)))
            .await;
        set.map_err(|error| refused(id, error))?;
        app.functions.changed(id);
        Ok(wish)
    };
    answer(StatusCode::OK, set.await)
}

/// End the canary
///
/// All calls run the active version again.
#[utoipa::path(delete, path = "/functions/{function}/canary", operation_id = "endCanary", tag = "versions",
    params(("function" = String, Path, description = "Its number or name")),
    responses((status = 204, description = "There is none now."), (status = "default", body = Problem)))]
pub(super) async fn end_canary(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let ended = async {
        let function = access::function(&app, &id, &headers, Scope::Deploy).await?;
        let id = function.wasm_id;
        let ended = app.store.set_canary(id, None).await;
        ended.map_err(|error| refused(id, error))?;
        app.functions.changed(id);
        Ok(())
    };
    no_content(ended.await)
}

/// # Errors
/// `rollout`
fn share(percent: u8) -> Result<Percent, Fault> {
    Percent::new(percent).map_err(|error| Fault::new(FaultKind::Rollout, format!("{error}.")))
}

/// What a store that does not move means to a client.
fn refused(id: i64, error: iof_store::Error) -> Fault {
    match error {
        iof_store::Error::NoVersion { number, .. } => Fault::no_such_version(id, number),
        // What it is now stands against it.
        iof_store::Error::Invalid { what } => {
            Fault::new(FaultKind::RolloutConflict, format!("{what}."))
        }
        other => other.into(),
    }
}

/// The module of a request, compiled, with what it declares: `multipart/form-data` with a part `module` and a part
/// `function` (the text of function.toml, or the same as JSON), or a module alone, which then gets the defaults.
pub(super) async fn take(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(NewVersion, Vec<String>), Fault> {
    let content_type = content_type(headers);
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // Before anything of the body is asked for.
    let form = match essence {
        "application/wasm" | "application/octet-stream" => false,
        "multipart/form-data" => true,
        _ => {
            return Err(Fault::new(
                FaultKind::ContentType,
                "Content-Type must be application/wasm, or multipart/form-data with the parts `module` and `function`.",
            ));
        }
    };
    let (limit, most) = (app.module_size, app.module_size + ByteSize::kib(128));
    let too_large = || {
        Fault::new(
            FaultKind::ModuleSize,
            format!("The module is larger than compile.module_size = {limit}."),
        )
    };
    let held = app.bodies.read(headers, body, most, too_large).await?;
    let (source, declaration, _share) = match form {
        false => (held.bytes.clone(), None, Share::default()),
        true => parts(app, content_type, held.bytes.clone()).await?,
    };
    if source.len() as u64 > limit.as_u64() {
        return Err(too_large());
    }
    let (declaration, limits) = match declaration {
        None => (None, None),
        Some(text) => {
            let ceiling = app.functions.ceiling();
            let declaration = Declaration::read(&text, ceiling)?;
            let text = serde_json::to_string(&declaration)
                .map_err(|error| Fault::host("The upload failed.", error))?;
            (Some(text), Some(ceiling.limits(&declaration)?))
        }
    };
    let (mut version, manifest) = upload::compile(app, source).await?;
    if let Some(limits) = limits {
        manifest.fits(&limits)?;
    }
    version.declaration = declaration;
    let exports = manifest.exports.into_iter().map(|export| export.name);
    Ok((version, exports.collect()))
}

async fn parts(
    app: &App,
    content_type: &str,
    body: Bytes,
) -> Result<(Bytes, Option<String>, Share), Fault> {
    let wrong = |problem: &str| {
        Fault::new(
            FaultKind::Multipart,
            format!(
                "{problem}; send a part `module` with the module, and a part `function` with its function.toml."
            ),
        )
    };
    const MOST: MostParts = MostParts {
        number: 8,
        setting: "what a form of a module has",
    };
    let boundary = boundary(content_type)?;
    let deadline = Instant::now() + app.wall_time;
    let parse = move |budget: &mut Budget| split(boundary, body, MOST, budget);
    let (parts, share) = app.bodies.parse(deadline, parse).await?;
    let (mut module, mut declaration) = (None, None);
    for part in parts {
        part.utf8_only()?;
        let name = part.name.unwrap_or_default();
        let bytes = part.body;
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
    Ok((module, declaration, share))
}
