//! The API of iof: `/v1/...`, with JSON and true status lines, and without the quirks of 2020.
//!
//! A failure is `{"error": sentence, "fault": code}`. The OpenAPI document is generated from the code below and served
//! at `/v1/openapi.json`; a test pins it. `{function}` in a path is a function's number or its name.
//!
//! | file | decides |
//! |---|---|
//! | `access` | who may do what, as extractors |
//! | `query`, `body`, `answer` | what handlers take and return |
//! | `openapi` | the document of this API |
//! | `functions`, `versions` | functions, their versions and rollouts |
//! | `call`, `prefer`, `jobs` | calls, answered at once or fetched later |
//! | `schedules` | calls that the server makes at certain times |
//! | `describe` | the OpenAPI document of one function |
//! | `logs` | output, result and cost of calls |
//! | `variables` | environment variables, each change a version |
//! | `secrets` | secrets that the host attaches to requests: set and deleted, never read |
//! | `keys` | keys with scopes |
//! | `egress` | the record of outbound requests and commands |
//! | `audit` | who changed what |
//! | `values` | values that functions store, for people who manage them |
//! | `calls` | recorded calls, and their replay |
//! | `server`, `figures` | what the server holds and runs now, and what functions did since its start |

mod access;
mod answer;
mod audit;
mod body;
mod call;
mod calls;
mod describe;
mod egress;
mod figures;
mod functions;
mod jobs;
mod keys;
mod logs;
mod openapi;
mod prefer;
mod query;
mod schedules;
mod secrets;
mod server;
mod values;
mod variables;
mod versions;

pub(crate) use access::admit;
pub use openapi::openapi;

use crate::app::App;
use crate::pages;
use crate::reply::no_such_route;
use axum::Router;
use axum::routing::{get, options, post};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes below `/v1`.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .nest("/v1", routes())
        .fallback(no_such_route)
        .with_state(Arc::clone(app))
}

fn routes() -> Router<Arc<App>> {
    let (router, _) = documented().split_for_parts();
    router
        .route("/openapi.json", get(openapi::read))
        .route("/functions/{function}/try", get(pages::function))
        .route(
            "/functions/{function}/call/{export}",
            options(call::preflight),
        )
        // The slash in the name of a component's export, as it is.
        .route(
            "/functions/{function}/call/{export}/{of}",
            post(call::call_of_interface).options(call::preflight_of_interface),
        )
        .method_not_allowed_fallback(call::wrong_method)
}

/// Every route, with its part of the document.
fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(functions::create, functions::list))
        .routes(routes!(functions::read, functions::delete))
        .routes(routes!(describe::read))
        .routes(routes!(versions::add, versions::list))
        .routes(routes!(versions::activate))
        .routes(routes!(variables::change))
        .routes(routes!(versions::set_canary, versions::end_canary))
        .routes(routes!(call::call))
        .routes(routes!(jobs::list_all))
        .routes(routes!(jobs::read))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(logs::list))
        .routes(routes!(logs::usage))
        .routes(routes!(values::list))
        .routes(routes!(values::read, values::delete))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::set, secrets::delete))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(calls::replay))
        .routes(routes!(egress::list))
        .routes(routes!(audit::list))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::delete))
        .routes(routes!(keys::rotate_admin_key))
        .routes(routes!(keys::set_usage_key, keys::delete_usage_key))
        .routes(routes!(server::read))
        .routes(routes!(figures::list))
}
