//! `/v1/functions/{function}/versions`: the versions of a function, the active one and its canary.
//!
//! A version never changes. A rollback or the promotion of a canary moves a pointer, and the next call sees the change.

use super::access::{AuthorizedFunction, Deploy, FunctionPath, ReadOrDeploy};
use super::answer::{Created, ErrorResponse, Json, NoContent, Problem};
use super::body::whole;
use super::query::Query;
use crate::app::App;
use crate::deploy::{self, DeployedModule, finish_draft, secrets_not_set};
use crate::grants::MAX_DECLARATION;
use crate::http::{content_type, essence, truncate};
use crate::memory::MemoryReservation;
use crate::multipart::{PartLimit, boundary, split};
use crate::parsing::Budget;
use crate::time::time;
use crate::warnings;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use bytesize::ByteSize;
use http::{HeaderMap, Request};
use iof_engine::{Manifest, World};
use iof_fault::{Fault, FaultKind};
use iof_store::{NewVersion, Percent, Rollout, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::ToSchema;

/// A function that was just deployed.
#[derive(Serialize, ToSchema)]
pub(super) struct Deployed {
    /// Its number.
    pub(super) function: i64,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// The version that was added.
    pub(super) version: i64,
    /// The key that changes and deletes the function. It is shown once, with the first version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin_key: Option<String>,
    /// Names that can be called.
    pub(super) exports: Vec<String>,
    /// Declared secrets that are not set; calls that need one fail until it is set.
    pub(super) secrets_not_set: Vec<String>,
    /// Defects of the module that do not prevent its deploy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
}

/// One version.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionInfo {
    /// Its number.
    version: i64,
    /// SHA-256 of its module, in hexadecimal digits.
    sha256: String,
    /// Bytes of its module.
    size: u64,
    created_at: String,
    /// Names that can be called.
    exports: Vec<String>,
    /// The declaration of its `function.toml`; null if it has none.
    #[schema(value_type = Option<Object>)]
    declaration: Option<Value>,
    /// The imports and exports of a component, by name and type; absent for a core module.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    world: Option<World>,
}

impl VersionInfo {
    pub(super) fn of(version: &Version) -> Self {
        let declaration = version.declaration.as_deref();
        let manifest: Option<Manifest> = serde_json::from_str(&version.manifest).ok();
        let world = manifest
            .as_ref()
            .and_then(|manifest| manifest.world.clone());
        Self {
            version: version.number,
            sha256: hex::encode(version.sha256),
            size: version.size,
            created_at: time(version.created_at),
            exports: manifest.map(names).unwrap_or_default(),
            world,
            declaration: declaration.and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}

/// The names of the exports in a manifest.
pub(super) fn exports_of(manifest: &str) -> Vec<String> {
    serde_json::from_str(manifest)
        .map(names)
        .unwrap_or_default()
}

pub(super) fn names(manifest: Manifest) -> Vec<String> {
    let exports = manifest.exports.into_iter();
    exports.map(|export| export.name).collect()
}

/// Versions, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionList {
    versions: Vec<VersionInfo>,
}

/// A version that a part of the calls runs.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    #[schema(minimum = 1)]
    #[serde(deserialize_with = "whole")]
    pub(super) version: i64,
    /// Percent of the calls that run it.
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

/// The active version.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Active {
    #[schema(minimum = 1)]
    #[serde(deserialize_with = "whole")]
    version: i64,
}

/// A module and its declaration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it only describes the body; the parts are read one by one"
)]
pub(super) struct Form {
    /// The module.
    #[schema(value_type = String, format = Binary)]
    module: Vec<u8>,
    /// The text of its `function.toml`, or the same content as JSON.
    function: Option<String>,
}

/// The query of a new version.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct CreateVersion {
    /// Percent of the calls that run it
    #[param(required = false, value_type = u8, minimum = 1, maximum = 99)]
    canary: Option<u8>,
    /// True if no call is to run it yet
    idle: bool,
}

/// Deploy the next version
///
/// The body is as for a new function. The version becomes active; with `canary`, it runs that percentage of the calls;
/// with `idle=true`, it runs no call until it is made active.
#[utoipa::path(post, path = "/functions/{function}/versions", operation_id = "addVersion", tag = "versions",
    params(FunctionPath, CreateVersion),
    request_body(content((Vec<u8> = "application/wasm"), (Form = "multipart/form-data"))),
    responses((status = 201, body = Deployed), (status = "default", body = Problem)))]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Deploy>,
    Query(asked): Query<CreateVersion>,
    request: Request<Body>,
) -> Result<Created<Deployed>, ErrorResponse> {
    let (parts, body) = request.into_parts();
    let rollout = match (asked.canary, asked.idle) {
        (Some(percent), false) => Rollout::Canary(share(percent)?),
        (None, true) => Rollout::Idle,
        (None, false) => Rollout::Active,
        (Some(_), true) => {
            let message = "A version is a canary or idle, not both.";
            return Err(Fault::new(FaultKind::Query, message).into());
        }
    };
    let (version, manifest) = take(&app, &parts.headers, body).await?;
    let declaration = version.declaration.clone();
    let module = DeployedModule::from(&version);
    let id = function.function_id;
    let _alone = app.deploys.lock(id).await;
    let added = by.store.add_version(id, version, rollout).await;
    let added = added.map_err(|error| refused(id, error))?;
    app.functions.changed(id);
    app.scheduling.changed.notify_one();
    tracing::info!(function = id, version = added.number, "deployed");
    finish_draft(&app, id, module).await;
    Ok(Created(Deployed {
        function: id,
        name: function.name,
        version: added.number,
        admin_key: None,
        warnings: warnings::of_code(&manifest),
        exports: names(manifest),
        secrets_not_set: secrets_not_set(&app, id, declaration.as_deref()).await?,
    }))
}

/// List the versions of a function
///
/// The request takes a key of scope `read` or `deploy`.
#[utoipa::path(get, path = "/functions/{function}/versions", operation_id = "listVersions", tag = "versions",
    params(FunctionPath),
    responses((status = 200, body = VersionList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<ReadOrDeploy>,
) -> Result<Json<VersionList>, ErrorResponse> {
    let versions = app.store.versions(function.function_id).await?;
    Ok(Json(VersionList {
        versions: versions.iter().map(VersionInfo::of).collect(),
    }))
}

/// Make a version the active one
///
/// Rolls back, or promotes a canary. Later calls run this version; calls in progress end on theirs.
#[utoipa::path(put, path = "/functions/{function}/active", operation_id = "activateVersion", tag = "versions",
    params(FunctionPath),
    request_body = Active,
    responses((status = 200, body = Active), (status = "default", body = Problem)))]
pub(super) async fn activate(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Deploy>,
    Json(asked): Json<Active>,
) -> Result<Json<Active>, ErrorResponse> {
    let id = function.function_id;
    app.functions.loads(id, asked.version).await?;
    let moved = by.store.activate(id, asked.version).await;
    moved.map_err(|error| refused(id, error))?;
    app.functions.changed(id);
    app.scheduling.changed.notify_one();
    tracing::info!(function = id, version = asked.version, "activated");
    Ok(Json(asked))
}

/// Let some calls run another version
#[utoipa::path(put, path = "/functions/{function}/canary", operation_id = "setCanary", tag = "versions",
    params(FunctionPath),
    request_body = Canary,
    responses((status = 200, body = Canary), (status = "default", body = Problem)))]
pub(super) async fn set_canary(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Deploy>,
    Json(asked): Json<Canary>,
) -> Result<Json<Canary>, ErrorResponse> {
    let id = function.function_id;
    app.functions.loads(id, asked.version).await?;
    let set = by
        .store
        .set_canary(id, Some((asked.version, share(asked.percent)?)))
        .await;
    set.map_err(|error| refused(id, error))?;
    app.functions.changed(id);
    Ok(Json(asked))
}

/// End the canary
///
/// All calls run the active version again.
#[utoipa::path(delete, path = "/functions/{function}/canary", operation_id = "endCanary", tag = "versions",
    params(FunctionPath),
    responses((status = 204, description = "There is no canary any more."), (status = "default", body = Problem)))]
pub(super) async fn end_canary(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Deploy>,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    let ended = by.store.set_canary(id, None).await;
    ended.map_err(|error| refused(id, error))?;
    app.functions.changed(id);
    Ok(NoContent)
}

/// # Errors
/// `rollout`
fn share(percent: u8) -> Result<Percent, Fault> {
    Percent::new(percent).map_err(|error| Fault::new(FaultKind::Rollout, format!("{error}.")))
}

/// The fault of a rollout that the store refuses.
pub(super) fn refused(id: i64, error: iof_store::Error) -> Fault {
    match error {
        iof_store::Error::NoVersion { number, .. } => Fault::no_such_version(id, number),
        // The change conflicts with the current rollout.
        iof_store::Error::Invalid { what } => {
            Fault::new(FaultKind::RolloutConflict, format!("{what}."))
        }
        other => other.into(),
    }
}

/// The module of a request, compiled, with its declaration: `multipart/form-data` with a part `module` and a part
/// `function` (the text of function.toml, or the same content as JSON), or only a module, which then gets the default
/// grants.
pub(super) async fn take(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(NewVersion, Manifest), Fault> {
    // Checked before the body is requested.
    let form = match essence(headers).as_str() {
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
        false => (held.bytes.clone(), None, MemoryReservation::default()),
        true => parts(app, content_type(headers), held.bytes.clone()).await?,
    };
    if source.len() as u64 > limit.as_u64() {
        return Err(too_large());
    }
    let ceiling = app.functions.ceiling();
    let declaration = declaration.map(|text| ceiling.read(&text)).transpose()?;
    let (mut version, manifest) = deploy::compile(app, source).await?;
    if let Some(declaration) = declaration {
        declaration.fits(&manifest)?;
        manifest.fits(&ceiling.limits(&declaration)?)?;
        let text = serde_json::to_string(&declaration);
        let text = text.map_err(|error| Fault::host("The upload failed.", error))?;
        version.declaration = Some(text);
    }
    Ok((version, manifest))
}

async fn parts(
    app: &App,
    content_type: &str,
    body: Bytes,
) -> Result<(Bytes, Option<String>, MemoryReservation), Fault> {
    let wrong = |problem: &str| {
        Fault::new(
            FaultKind::Multipart,
            format!(
                "{problem}; send a part `module` with the module, and a part `function` with its function.toml."
            ),
        )
    };
    const MOST: PartLimit = PartLimit {
        number: 8,
        setting: "the limit for a module's form",
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
                declaration = Some(text.map_err(|_| wrong("The part `function` is not UTF-8"))?);
            }
            "function" if declaration.is_none() => {
                return Err(wrong("The part `function` is too long"));
            }
            "module" | "function" => return Err(wrong(&format!("The part `{name}` comes twice"))),
            _ => {
                return Err(wrong(&format!("There is no part `{}`", truncate(&name))));
            }
        }
    }
    let module = module.ok_or_else(|| wrong("The part `module` is missing"))?;
    Ok((module, declaration, share))
}
