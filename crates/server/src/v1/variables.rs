//! `/v1/functions/{function}/variables`: the environment variables of a function; each change makes a version.
//!
//! A variable belongs to a version, so that a rollback restores it together with the code that was written for it. A
//! change makes the next version of the active module, without a build or an upload.

use super::access::{AuthorizedFunction, Deploy, FunctionPath};
use super::answer::{Created, ErrorResponse, Json, Problem};
use super::versions::Deployed;
use super::versions::{exports_of, refused};
use crate::app::App;
use crate::deploy::secrets_not_set;
use axum::extract::State;
use iof_fault::{Fault, FaultKind};
use iof_store::{NewVersion, Rollout};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Variables to be changed; other variables stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VariableChanges {
    #[schema(min_items = 1)]
    variables: Vec<VariableChange>,
}

/// A variable to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VariableChange {
    #[schema(pattern = "^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
    name: String,
    /// Its value; null removes it.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, pattern = "^[^\\x00]*$")]
    value: Option<String>,
}

/// The fault of a change that would silently end a canary or not apply to it.
fn during_canary(id: i64, name: Option<&str>, active: i64, canary: &iof_store::Canary) -> Fault {
    let function = name.map_or_else(|| id.to_string(), str::to_owned);
    let message = format!(
        "Version {} is a canary of {function}, and keeps the variables that it was deployed with. Before changing variables, promote it (`iof promote {function}`), or end it (`iof rollback {function} --version {active}`).",
        canary.version.number
    );
    Fault::new(FaultKind::RolloutConflict, message)
}

/// Change the variables of a function
///
/// A text sets a variable, null removes it, and other variables stay. The new version becomes active: it has the
/// module, grants and limits of the active one, with the changed variables. The request is refused while there is a
/// canary.
#[utoipa::path(patch, path = "/functions/{function}/variables", operation_id = "changeVariables", tag = "versions",
    params(FunctionPath),
    request_body = VariableChanges,
    responses((status = 201, body = Deployed), (status = "default", body = Problem)))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    AuthorizedFunction(function, by): AuthorizedFunction<Deploy>,
    Json(changes): Json<VariableChanges>,
) -> Result<Created<Deployed>, ErrorResponse> {
    if changes.variables.is_empty() {
        let message = "No variable changes: got an empty list. Name at least one.";
        return Err(Fault::new(FaultKind::Json, message).into());
    }
    let id = function.function_id;
    // Concurrent changes are applied one after another.
    let _alone = app.deploys.lock(id).await;
    let current = app.store.function(id).await?;
    let current = current.ok_or_else(|| Fault::no_such_function(id))?;
    let active = current.version;
    if let Some(canary) = &current.canary {
        return Err(during_canary(id, current.name.as_deref(), active.number, canary).into());
    }
    let ceiling = app.functions.ceiling();
    let mut declaration = match active.declaration.as_deref() {
        Some(text) => ceiling.read(text)?,
        None => {
            // With a declaration, the version would get only what it declares.
            let message = format!(
                "Version {} has no function.toml, and gets what the server grants by default. Deploy it with a function.toml that declares what it needs, and [variables].",
                active.number
            );
            return Err(Fault::new(FaultKind::Declaration, message).into());
        }
    };
    for VariableChange { name, value } in changes.variables {
        match value {
            Some(value) => declaration.variables.insert(name, value),
            None => declaration.variables.remove(&name),
        };
    }
    let failed = |error: serde_json::Error| Fault::host("The version could not be made.", error);
    let text = serde_json::to_string(&declaration).map_err(failed)?;
    // Checked like any other declaration.
    ceiling.read(&text)?;
    let source = app.store.source(active.sha256).await?.ok_or_else(|| {
        Fault::host(
            "The function's module is missing from the store.",
            format!("no source for function {id}"),
        )
    })?;
    let exports = exports_of(&active.manifest);
    let version = NewVersion {
        source,
        sha256: active.sha256,
        legacy_sha256: active.legacy_sha256,
        kind: active.kind,
        manifest: active.manifest,
        declaration: Some(text.clone()),
    };
    let added = by.store.add_version(id, version, Rollout::Active).await;
    let added = added.map_err(|error| refused(id, error))?;
    app.functions.changed(id);
    app.scheduling.changed.notify_one();
    tracing::info!(function = id, version = added.number, "variables changed");
    Ok(Created(Deployed {
        function: id,
        name: function.name,
        version: added.number,
        admin_key: None,
        exports,
        secrets_not_set: secrets_not_set(&app, id, Some(&text)).await?,
        warnings: vec![],
    }))
}
