//! The OpenAPI document of `/v1`, generated from the routes and the types that their handlers take and return.

use super::documented;
use crate::app::App;
use crate::reply;
use axum::body::Body;
use http::{Response, StatusCode};
use iof_fault::{FaultKind, FunctionCode};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

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

/// `GET /v1/openapi.json`
pub(super) async fn read() -> Response<Body> {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&openapi()).unwrap_or_default());
    reply::ok(StatusCode::OK, reply::JSON, DOCUMENT.as_str())
}

/// The code of a fault: one of the server's, or one that a function chose.
pub(super) struct FaultCode;

impl PartialSchema for FaultCode {
    fn schema() -> RefOr<Schema> {
        let mut codes: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let of_function = format!("^function:[a-z0-9-]{{1,{}}}$", FunctionCode::LONGEST);
        AnyOfBuilder::new()
            .item(text().enum_values(Some(codes)))
            .item(text().pattern(Some(of_function)))
            .into()
    }
}

impl ToSchema for FaultCode {
    fn name() -> Cow<'static, str> {
        "FaultCode".into()
    }
}
