//! `/v1/functions`: functions are created, listed, shown and deleted.

use super::access::{
    Admin, AuthorizedFunction, AuthorizedServer, Deploy, FunctionPath, Read, ReadOrDeploy,
};
use super::answer::{Created, ErrorResponse, Json, NoContent, Problem};
use super::query::{Query, RowId, RowLimit};
use super::versions;
use crate::app::App;
use crate::deploy::{DeployedModule, finish_draft, secrets_not_set};
use crate::time::time;
use crate::warnings;
use axum::body::Body;
use axum::extract::State;
use http::Request;
use iof_fault::{Fault, FaultKind};
use iof_store::{FunctionFilter, NewFunction, Summary};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use versions::{Canary, Deployed, VersionInfo};

/// A function in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionSummary {
    /// Its number.
    function: i64,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    description: String,
    /// True if callers need a key.
    private: bool,
    /// The active version.
    version: i64,
    /// Number of its versions.
    versions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    /// Calls so far.
    invocations: u64,
    created_at: String,
}

/// Functions, by their numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionList {
    functions: Vec<FunctionSummary>,
    /// True if more follow: request them with `after` and the last number of these.
    more: bool,
}

/// One function.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionInfo {
    /// Its number.
    function: i64,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The active version.
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    description: String,
    /// True if callers need a key.
    private: bool,
    created_at: String,
    /// Secrets that the active version declares and that are not set.
    secrets_not_set: Vec<String>,
    /// Defects of the active version that do not prevent calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// All versions, the newest first.
    versions: Vec<VersionInfo>,
}

impl From<Summary> for FunctionSummary {
    fn from(of: Summary) -> Self {
        Self {
            function: of.function_id,
            name: of.name,
            description: of.description,
            private: of.private,
            version: of.version,
            versions: of.versions,
            canary: of.canary.map(|(version, percent)| Canary {
                version,
                percent: percent.get(),
            }),
            invocations: of.invocations,
            created_at: time(of.created_at),
        }
    }
}

/// The query of a new function.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct CreateFunction {
    /// A unique name, such as `send-mail`, which cannot be changed
    #[param(required = false, value_type = String, pattern = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Option<String>,
    /// A line for people
    #[param(max_length = 255)]
    description: String,
    /// True if callers need a key
    private: bool,
}

/// The query of a list of functions.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct FunctionPage {
    /// Only those with greater numbers
    #[param(inline, required = false, value_type = RowId)]
    after: Option<RowId>,
    /// Number of rows; 100 by default
    #[param(inline)]
    limit: RowLimit,
    /// Only those whose names contain this text
    #[param(required = false, value_type = String)]
    name: Option<String>,
    /// Only private functions, or only public ones
    #[param(required = false, value_type = bool)]
    private: Option<bool>,
}

/// Deploy a new function
///
/// The body is a module, or a form with a part `module` and a part `function`, the text of its `function.toml`. Without
/// the latter, the function gets the server's default grants. The request takes a key of scope `deploy`, unless the
/// server has no keys.
#[utoipa::path(post, path = "/functions", operation_id = "createFunction", tag = "functions",
    params(CreateFunction),
    request_body(content((Vec<u8> = "application/wasm"), (versions::Form = "multipart/form-data"))),
    responses((status = 201, body = Deployed), (status = "default", body = Problem)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    AuthorizedServer(by): AuthorizedServer<Deploy>,
    Query(asked): Query<CreateFunction>,
    request: Request<Body>,
) -> Result<Created<Deployed>, ErrorResponse> {
    let (parts, body) = request.into_parts();
    let (version, manifest) = versions::take(&app, &parts.headers, body).await?;
    let declaration = version.declaration.clone();
    let module = DeployedModule::from(&version);
    let new = NewFunction {
        name: asked.name,
        description: asked.description.chars().take(255).collect(),
        private: asked.private,
        version,
    };
    let name = new.name.clone();
    let created = by.store.create_function(new).await.map_err(refused)?;
    app.scheduling.changed.notify_one();
    tracing::info!(function = created.function_id, name, "deployed");
    finish_draft(&app, created.function_id, module).await;
    Ok(Created(Deployed {
        function: created.function_id,
        name,
        version: 1,
        admin_key: Some(created.admin_key.as_str().to_owned()),
        warnings: warnings::of_code(&manifest),
        exports: versions::names(manifest),
        secrets_not_set: secrets_not_set(&app, created.function_id, declaration.as_deref()).await?,
    }))
}

/// List the functions
///
/// The request takes a key of scope `read`, unless the server has no keys.
#[utoipa::path(get, path = "/functions", operation_id = "listFunctions", tag = "functions",
    params(FunctionPage),
    responses((status = 200, body = FunctionList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: AuthorizedServer<Read>,
    Query(page): Query<FunctionPage>,
) -> Result<Json<FunctionList>, ErrorResponse> {
    let limit = page.limit.get();
    let after = page.after.map_or(0, RowId::get);
    // The counts include all ended calls.
    app.call_log.flush().await;
    // One more row shows whether more follow.
    let which = FunctionFilter {
        name_has: page.name.filter(|part| !part.is_empty()),
        private: page.private,
    };
    let found = app.store.functions(&which, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    let functions = found.into_iter().take(limit as usize);
    Ok(Json(FunctionList {
        functions: functions.map(FunctionSummary::from).collect(),
        more,
    }))
}

/// Show a function
///
/// The request takes a key of scope `read` or `deploy`.
#[utoipa::path(get, path = "/functions/{function}", operation_id = "readFunction", tag = "functions",
    params(FunctionPath),
    responses((status = 200, body = FunctionInfo), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, _): AuthorizedFunction<ReadOrDeploy>,
) -> Result<Json<FunctionInfo>, ErrorResponse> {
    let id = function.function_id;
    let versions = app.store.versions(id).await?;
    let active = function.version.declaration.as_deref();
    Ok(Json(FunctionInfo {
        function: id,
        version: function.version.number,
        canary: function.canary.as_ref().map(Canary::of),
        private: function.usage_key_hash.is_some(),
        created_at: time(function.created_at),
        secrets_not_set: secrets_not_set(&app, id, active).await?,
        // A version that cannot be loaded faults when it is called.
        warnings: app
            .functions
            .warnings(id, &function.version)
            .await
            .unwrap_or_default(),
        versions: versions.iter().map(VersionInfo::of).collect(),
        name: function.name,
        description: function.description,
    }))
}

/// Delete a function
///
/// Its versions, secrets, stored values and log are deleted, too. The record of its outbound requests stays. The
/// request takes scope `admin`.
#[utoipa::path(delete, path = "/functions/{function}", operation_id = "deleteFunction", tag = "functions",
    params(FunctionPath),
    responses((status = 204, description = "The function was deleted."), (status = "default", body = Problem)))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Admin>,
) -> Result<NoContent, ErrorResponse> {
    let id = function.function_id;
    let known = by.store.delete_function(id).await?;
    app.functions.changed(id);
    tracing::info!(function = id, "deleted");
    known
        .then_some(NoContent)
        .ok_or_else(|| Fault::no_such_function(id).into())
}

/// The fault of a function that the store refuses.
fn refused(error: iof_store::Error) -> Fault {
    match error {
        iof_store::Error::NameTaken { name } => Fault::new(
            FaultKind::NameTaken,
            format!(
                "There is a function `{name}`. Add a version to it (POST /v1/functions/{name}/versions, `iof deploy`), or choose another name."
            ),
        ),
        iof_store::Error::Invalid { what } => Fault::new(FaultKind::Name, format!("{what}.")),
        other => other.into(),
    }
}
