//! The API of the Second State FaaS of 2020: `/api/...`.
//!
//! Its clients read the body of a 200, whatever happened, so they get that body: a string that is JSON under the type
//! `text/html`, as Express sent it. What really happened is in `iof-status`, `iof-fault` and `iof-message`, and with
//! `second_state.status = "real"` in the status line too. Where the original accepted nonsense, hung or crashed there is
//! no client to please, and the status line is true anyway. docs/second-state.md lists every difference.
//!
//! | file | decides |
//! |---|---|
//! | `upload`, `executables`, `describe`, `buffer` | modules: taking, replacing, deleting, reading them |
//! | `keys`, `owned`, `ephemeral`, `log` | what belongs to a function or to a client, and who may read it |
//! | `run`, `arguments`, `form`, `multipart` | a call: from a request to arguments, to the engine, to an answer |
//! | `target`, `outward` | what a call fetches first and calls back at the end |
//! | `rate` | how often a client may ask |

mod arguments;
mod buffer;
mod describe;
mod ephemeral;
mod executables;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod log;
pub(crate) mod multipart;
mod outward;
mod owned;
pub(crate) mod rate;
mod run;
mod target;
pub(crate) mod upload;

pub(crate) use ephemeral::ClientAddress;
pub(crate) use outward::OwnRoutes;
pub(crate) use run::{Route, client};
pub(crate) use target::Target;

use crate::app::App;
use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post, put};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;

/// All routes but those that run functions, which are [`Route`].
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(index))
        .route(
            "/api/executables",
            post(executables::create).get(executables::list),
        )
        .route(
            "/api/executables/{wasm_id}",
            get(describe::read).delete(executables::delete),
        )
        .route(
            "/api/update_wasm_binary/{wasm_id}",
            put(executables::update),
        )
        .route(
            "/api/keys/{wasm_id}/usage_key",
            put(keys::renew).delete(keys::open),
        )
        .route(
            "/api/state/{wasm_id}",
            get(owned::read_state).put(owned::write_state),
        )
        .route("/api/callback/{wasm_id}", put(owned::write_callback))
        .route("/api/log/{wasm_id}", get(log::read))
        .route("/api/ephemeral_storage", post(ephemeral::create))
        .route(
            "/api/ephemeral_storage/{key}",
            get(ephemeral::read)
                .put(ephemeral::replace)
                .delete(ephemeral::delete),
        )
}

/// The stray colon is the original's.
async fn index() -> Response<Body> {
    const INDEX: &str = r#"[{"application":"wasm_joey"},{"usage_documentation:":"https://github.com/second-state/wasm-joey/blob/master/documentation/usage.md"}]"#;
    reply::ok(StatusCode::OK, reply::HTML, INDEX)
}

/// A header of the original, which was spelt with dashes until June 2020 and with underscores since. Proxies drop the
/// latter, articles show the former: both work.
struct Name(HeaderName, HeaderName);

static DESCRIPTION: Name = Name(
    HeaderName::from_static("ssvm_description"),
    HeaderName::from_static("ssvm-description"),
);
static CREATE_USAGE_KEY: Name = Name(
    HeaderName::from_static("ssvm_create_usage_key"),
    HeaderName::from_static("ssvm-create-usage-key"),
);
static USAGE_KEY: Name = Name(
    HeaderName::from_static("ssvm_usage_key"),
    HeaderName::from_static("ssvm-usage-key"),
);
static ADMIN_KEY: Name = Name(
    HeaderName::from_static("ssvm_admin_key"),
    HeaderName::from_static("ssvm-admin-key"),
);
static FETCH: Name = Name(
    HeaderName::from_static("ssvm_fetch"),
    HeaderName::from_static("ssvm-fetch"),
);
static CALLBACK: Name = Name(
    HeaderName::from_static("ssvm_callback"),
    HeaderName::from_static("ssvm-callback"),
);

/// The value of a header; one that is no UTF-8 counts as empty.
fn header<'a>(headers: &'a HeaderMap, name: &Name) -> Option<&'a str> {
    let value = headers.get(&name.0).or_else(|| headers.get(&name.1))?;
    Some(std::str::from_utf8(value.as_bytes()).unwrap_or_default())
}

/// A `wasm_id` of a path. Anything that is no number is the id of no function.
fn parse_id(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| text.parse().ok())
        .flatten()
        .filter(|id| *id > 0)
}

/// The function of a path.
async fn function(app: &App, id: &str) -> Result<iof_store::Function, Fault> {
    let function = match parse_id(id) {
        Some(id) => app.store.function(id).await?,
        None => None,
    };
    function.ok_or_else(|| Fault::no_such_function(id))
}

/// The function of a path, for whoever holds its admin key.
async fn administered(
    app: &App,
    id: &str,
    headers: &HeaderMap,
) -> Result<iof_store::Function, Fault> {
    let function = function(app, id).await?;
    if is_admin(&function, headers) {
        return Ok(function);
    }
    Err(Fault::new(
        FaultKind::AdminKey,
        "SSVM_Admin_Key is missing or wrong.",
    ))
}

fn is_admin(function: &iof_store::Function, headers: &HeaderMap) -> bool {
    header(headers, &ADMIN_KEY).is_some_and(|key| function.admin_key_hash.matches(key))
}

fn usage_key_fault() -> Fault {
    Fault::new(
        FaultKind::UsageKeyHeader,
        "SSVM_Usage_Key is missing or wrong.",
    )
}

fn content_type_fault(message: &'static str) -> Fault {
    Fault::new(FaultKind::ContentType, message)
}

/// The answer to a failure that has a body of 2020 on most routes; `wrong_key` is that of a wrong admin key.
fn refuse(fault: &Fault, id: &str, wrong_key: &str) -> Response<Body> {
    let body = match fault.kind {
        FaultKind::NoSuchFunction => error_body(&format!("wasm_id of {id} does not exist")),
        FaultKind::AdminKey => error_body(wrong_key),
        _ => {
            reply::log(fault, "refused");
            return reply::failure(fault);
        }
    };
    reply::ok_but(fault, reply::HTML, body)
}

/// The body of most failures.
fn error_body(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}

/// One parameter of a query.
fn query_value(query: Option<&str>, wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(query?.as_bytes())
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}
