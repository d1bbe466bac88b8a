//! Our own API: `/v1/...`. JSON, true status lines, and nothing that only history explains.
//!
//! A failure is `{"error": sentence, "fault": code}`. The OpenAPI document is made of the code below and served at
//! `/v1/openapi.json`; a test pins it. `{function}` in a path is a function's number or its name.
//!
//! | file | decides |
//! |---|---|
//! | `access` | who may do what |
//! | `functions`, `versions` | functions, what they run and ran, and what they declare |
//! | `call`, `arguments`, `form`, `prefer`, `jobs` | calls, answered at once or fetched later |
//! | `describe` | what a function's own OpenAPI document says |
//! | `page` | a page to call a function from |
//! | `logs` | what calls printed and came to, and what they cost |
//! | `secrets` | what the host attaches to requests: set and deleted, never read |
//! | `keys` | keys for what need not do everything |
//! | `egress` | the record of what left |
//! | `calls` | recorded calls, and their replay |

mod access;
mod arguments;
mod call;
mod calls;
mod describe;
mod egress;
mod form;
mod functions;
mod jobs;
mod keys;
mod logs;
mod page;
mod prefer;
mod secrets;
mod versions;

pub(crate) use jobs::Jobs;

use crate::app::App;
use crate::charset;
use crate::reply;
use crate::surface::wrong_method;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytesize::ByteSize;
use http::{HeaderMap, Response, StatusCode, header};
use iof_fault::{Fault, FaultKind};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer, Serialize};
use std::sync::{Arc, LazyLock};
use utoipa::ToSchema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> Router<Arc<App>> {
    let (router, _) = documented().split_for_parts();
    router
        .route("/openapi.json", get(document))
        .route("/functions/{function}/try", get(page::read))
        .method_not_allowed_fallback(wrong_method)
}

/// Every route, with what the document says of it.
fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(functions::create, functions::list))
        .routes(routes!(functions::read, functions::delete))
        .routes(routes!(describe::read))
        .routes(routes!(versions::add, versions::list))
        .routes(routes!(versions::activate))
        .routes(routes!(versions::set_canary, versions::end_canary))
        .routes(routes!(call::call))
        .routes(routes!(jobs::read))
        .routes(routes!(logs::list))
        .routes(routes!(logs::usage))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::set, secrets::delete))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(calls::replay))
        .routes(routes!(egress::list))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::delete))
}

/// The OpenAPI document of this API.
#[must_use]
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("iof")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Functions: deploy, call, look. A request carries its key as `Authorization: Bearer KEY`; on a server \
             without keys (auth.keys) deploying and listing take none. A `{function}` in a path is a function's number or its name.",
        ));
    let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new().security_scheme("key", key).build();
    let empty = OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components))
        .security(Some([SecurityRequirement::new("key", [] as [&str; 0])]))
        .build();
    let router = OpenApiRouter::<Arc<App>>::with_openapi(empty).nest("/v1", documented());
    router.into_openapi()
}

async fn document() -> Response<Body> {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&openapi()).unwrap_or_default());
    reply::ok(StatusCode::OK, reply::JSON, DOCUMENT.as_str())
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A sentence for people: what is wrong, and what to do next.
    error: String,
    /// A code for programs. docs/LIMITS.md lists those of limits.
    fault: String,
    /// The status with which a program or function ended itself, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
    /// The beginning of what a program had printed when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
}

/// The answer to a request: JSON, or what went wrong.
fn answer<T: Serialize>(status: StatusCode, result: Result<T, Fault>) -> Response<Body> {
    let result = result.and_then(|value| {
        serde_json::to_string(&value)
            .map_err(|error| Fault::host("The answer could not be written.", error))
    });
    match result {
        Ok(json) => {
            let mut response = reply::ok(status, reply::JSON, json);
            *response.status_mut() = status;
            response
        }
        Err(fault) => failed(&fault),
    }
}

/// The answer to a request that leaves nothing to say.
fn no_content(result: Result<(), Fault>) -> Response<Body> {
    match result {
        Ok(()) => {
            let mut response = reply::ok(StatusCode::NO_CONTENT, reply::JSON, "");
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().remove(header::CONTENT_TYPE);
            response
        }
        Err(fault) => failed(&fault),
    }
}

fn failed(fault: &Fault) -> Response<Body> {
    reply::log(fault, "refused");
    reply::failure(fault)
}

/// The longest body that is no module, no argument and no secret.
const SMALL: ByteSize = ByteSize::kib(64);

/// A body that is a small JSON object.
///
/// # Errors
/// `content-type`, `json`, naming what is wrong.
async fn json_body<T: DeserializeOwned>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Fault> {
    let content_type = content_type(headers);
    let essence = content_type.split(';').next().unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err(Fault::new(
            FaultKind::ContentType,
            "Content-Type must be application/json.",
        ));
    }
    charset::utf8_only(content_type)?;
    let too_large = || {
        Fault::new(
            FaultKind::RequestBody,
            format!("The body is larger than {SMALL}."),
        )
    };
    let held = app.bodies.read(headers, body, SMALL, too_large).await?;
    serde_json::from_slice(&held.bytes).map_err(|error| {
        Fault::new(
            FaultKind::Json,
            format!("The body is not as it should be: {error}."),
        )
    })
}

/// The content type of a request.
fn content_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// A whole number, however JSON writes it: to JSON Schema, 15.0 is an integer (2020-12, section 4.2.3).
fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    integer(&number)
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            D::Error::custom(format_args!("{number} is no whole number that can be here"))
        })
}

#[expect(clippy::cast_possible_truncation, reason = "it is whole, and in range")]
fn integer(number: &serde_json::Number) -> Option<i64> {
    const MOST: f64 = (1u64 << 53) as f64;
    let float = || {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && n.abs() <= MOST)
    };
    number.as_i64().or_else(|| float().map(|n| n as i64))
}

/// The value of a parameter of the query, read as what it should be.
///
/// # Errors
/// `query`, naming the parameter.
fn parameter<T: std::str::FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, Fault> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let value = pairs
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value)
        .last();
    value
        .map(|value| {
            value.parse().map_err(|_| {
                Fault::new(
                    FaultKind::Query,
                    format!(
                        "The parameter {name} is not what it should be: {:?}.",
                        shown(&value)
                    ),
                )
            })
        })
        .transpose()
}

/// Refuses parameters that nobody reads, and those that come twice: a misspelt filter must not show everything, and of two
/// values one would be ignored.
///
/// # Errors
/// `query`, naming the parameter and those that there are.
fn only(query: Option<&str>, known: &[&str]) -> Result<(), Fault> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut seen = vec![];
    for (name, _) in pairs {
        let problem = match known.iter().find(|known| **known == name) {
            None => format!(
                "There is no parameter {:?} here; there are {}.",
                shown(&name),
                known.join(", ")
            ),
            Some(known) if seen.contains(known) => {
                format!("The parameter {known} comes twice. Send it once.")
            }
            Some(known) => {
                seen.push(*known);
                continue;
            }
        };
        return Err(Fault::new(FaultKind::Query, problem));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A time as people and programs read it: RFC 3339, in UTC.
fn time(unix_ms: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    humantime_serde::re::humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}

/// How many rows a request asks for.
///
/// # Errors
/// `query`
fn limit(query: Option<&str>, unless_said: u32, most: u32) -> Result<u32, Fault> {
    Ok(within(query, "limit", 1, most)?.unwrap_or(unless_said))
}

/// A number of the query, between two others.
///
/// # Errors
/// `query`, naming the parameter and what it can be.
fn within<T>(query: Option<&str>, name: &str, least: T, most: T) -> Result<Option<T>, Fault>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match parameter::<T>(query, name)? {
        Some(value) if value < least || value > most => Err(Fault::new(
            FaultKind::Query,
            format!("The parameter {name} is {least} to {most}."),
        )),
        value => Ok(value),
    }
}
