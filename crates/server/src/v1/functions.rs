//! `/v1/functions`: a module under a name, and what it declares.

use super::{Problem, access, answer, no_content, only, parameter, time, versions};
use crate::app::App;
use crate::grants::Declaration;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Request, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use iof_store::{NewFunction, Scope, Summary};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use versions::{Canary, VersionInfo};

/// Functions of one answer, unless the request says another number.
const LIMIT: u32 = 100;
const MOST: u32 = 1_000;

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
    /// Changes and deletes it. Shown once, with the first version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin_key: Option<String>,
    /// What can be called.
    pub(super) exports: Vec<String>,
    /// Secrets that it declares and nobody has set; calls that need one fail until then.
    pub(super) secrets_not_set: Vec<String>,
}

/// A function in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionSummary {
    /// Its number.
    function: i64,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    description: String,
    /// Whether callers need a key.
    private: bool,
    /// The version that runs.
    version: i64,
    /// How many there are.
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
    /// Whether more follow: ask again with `after`, the last number of these.
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
    /// The version that runs.
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    description: String,
    /// Whether callers need a key.
    private: bool,
    created_at: String,
    /// Secrets that the version that runs declares and nobody has set.
    secrets_not_set: Vec<String>,
    /// All versions, the newest first.
    versions: Vec<VersionInfo>,
}

impl From<Summary> for FunctionSummary {
    fn from(of: Summary) -> Self {
        Self {
            function: of.wasm_id,
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

/// Deploy a new function
///
/// The body is a module, or a form with a part `module` and a part `function`, the text of its `function.toml`. Without
/// the latter it gets what the server grants by default. It takes a key of scope `deploy`, unless the server has none.
#[utoipa::path(post, path = "/functions", operation_id = "createFunction", tag = "functions",
    params(
        ("name" = Option<String>, Query, description = "A name of its own, such as `send-mail`; it stays", pattern = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"),
        ("description" = Option<String>, Query, description = "A line for people", max_length = 255),
        ("private" = Option<bool>, Query, description = "Whether callers need a key"),
    ),
    request_body(content((Vec<u8> = "application/wasm"), (versions::Form = "multipart/form-data"))),
    responses((status = 201, body = Deployed), (status = "default", body = Problem)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let created = async {
        access::server(&app, &parts.headers, Scope::Deploy).await?;
        let query = query.as_deref();
        only(query, &["name", "description", "private"])?;
        let description: String = parameter(query, "description")?.unwrap_or_default();
        let (name, private) = (parameter(query, "name")?, parameter(query, "private")?);
        let (version, exports) = versions::take(&app, &parts.headers, body).await?;
        let declaration = version.declaration.clone();
        let new = NewFunction {
            name,
            description: description.chars().take(255).collect(),
            private: private.unwrap_or(false),
            version,
        };
        let name = new.name.clone();
        let created = app.store.create_function(new).await.map_err(refused)?;
        tracing::info!(function = created.wasm_id, name, "deployed");
        Ok(Deployed {
            function: created.wasm_id,
            name,
            version: 1,
            admin_key: Some(created.admin_key.as_str().to_owned()),
            exports,
            secrets_not_set: not_set(&app, created.wasm_id, declaration.as_deref()).await?,
        })
    };
    answer(StatusCode::CREATED, created.await)
}

/// List the functions
///
/// It takes a key of scope `read`, unless the server has none.
#[utoipa::path(get, path = "/functions", operation_id = "listFunctions", tag = "functions",
    params(
        ("after" = Option<i64>, Query, description = "Only those with greater numbers", minimum = 0),
        ("limit" = Option<u32>, Query, description = "How many, 100 unless said", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = FunctionList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let list = async {
        access::server(&app, &headers, Scope::Read).await?;
        let query = query.as_deref();
        only(query, &["after", "limit"])?;
        let limit = super::limit(query, LIMIT, MOST)?;
        let after = super::within(query, "after", 0, i64::MAX)?.unwrap_or(0);
        // What ended calls left counts, too.
        app.journal.flush().await;
        // One more tells whether there are more.
        let found = app.store.functions(after, limit + 1).await?;
        let more = found.len() > limit as usize;
        let functions = found.into_iter().take(limit as usize);
        Ok(FunctionList {
            functions: functions.map(FunctionSummary::from).collect(),
            more,
        })
    };
    answer(StatusCode::OK, list.await)
}

/// Show a function
#[utoipa::path(get, path = "/functions/{function}", operation_id = "readFunction", tag = "functions",
    params(("function" = String, Path, description = "Its number or name")),
    responses((status = 200, body = FunctionInfo), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let read = async {
        let function = access::function(&app, &id, &headers, Scope::Read).await?;
        let id = function.wasm_id;
        let versions = app.store.versions(id).await?;
        let active = function.version.declaration.as_deref();
        Ok(FunctionInfo {
            function: id,
            version: function.version.number,
            canary: function.canary.as_ref().map(Canary::of),
            private: function.usage_key_hash.is_some(),
            created_at: time(function.created_at),
            secrets_not_set: not_set(&app, id, active).await?,
            versions: versions.iter().map(VersionInfo::of).collect(),
            name: function.name,
            description: function.description,
        })
    };
    answer(StatusCode::OK, read.await)
}

/// Delete a function
///
/// With its versions, secrets, stored values and log. What it sent stays on record. It takes scope `admin`.
#[utoipa::path(delete, path = "/functions/{function}", operation_id = "deleteFunction", tag = "functions",
    params(("function" = String, Path, description = "Its number or name")),
    responses((status = 204, description = "It is gone."), (status = "default", body = Problem)))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let deleted = async {
        let function = access::function(&app, &id, &headers, Scope::Admin).await?;
        let id = function.wasm_id;
        let known = app.store.delete_function(id).await?;
        app.functions.changed(id);
        tracing::info!(function = id, "deleted");
        known
            .then_some(())
            .ok_or_else(|| Fault::no_such_function(id))
    };
    no_content(deleted.await)
}

/// What a store that takes no such function means to a client.
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

/// Names of secrets that a version declares and nobody has set.
pub(super) async fn not_set(
    app: &App,
    id: i64,
    declaration: Option<&str>,
) -> Result<Vec<String>, Fault> {
    let declared: Option<Declaration> =
        declaration.and_then(|text| serde_json::from_str(text).ok());
    let Some(declared) = declared else {
        return Ok(vec![]);
    };
    let set = app.store.secret_names(id).await?;
    let missing = declared.secret_names().into_iter();
    Ok(missing
        .filter(|name| !set.iter().any(|known| known.name == *name))
        .map(str::to_owned)
        .collect())
}
