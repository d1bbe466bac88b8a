//! Requests of this API: its headers in both spellings, its ids, and the function that a path names.

use crate::app::App;
use crate::body::larger_than;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use iof_fault::{Fault, FaultKind};
use iof_store::{Author, AuthorKey, Store, Surface};

/// A header of the original, spelt with dashes until June 2020 and with underscores since then. Proxies drop headers
/// with underscores, and articles show dashes: both spellings work.
pub(super) struct Name(HeaderName, HeaderName);

pub(super) static DESCRIPTION: Name = Name(
    HeaderName::from_static("ssvm_description"),
    HeaderName::from_static("ssvm-description"),
);
pub(super) static CREATE_USAGE_KEY: Name = Name(
    HeaderName::from_static("ssvm_create_usage_key"),
    HeaderName::from_static("ssvm-create-usage-key"),
);
pub(super) static USAGE_KEY: Name = Name(
    HeaderName::from_static("ssvm_usage_key"),
    HeaderName::from_static("ssvm-usage-key"),
);
pub(super) static ADMIN_KEY: Name = Name(
    HeaderName::from_static("ssvm_admin_key"),
    HeaderName::from_static("ssvm-admin-key"),
);
pub(super) static FETCH: Name = Name(
    HeaderName::from_static("ssvm_fetch"),
    HeaderName::from_static("ssvm-fetch"),
);
pub(super) static CALLBACK: Name = Name(
    HeaderName::from_static("ssvm_callback"),
    HeaderName::from_static("ssvm-callback"),
);

/// The headers of a request to run a function.
#[derive(Clone, Copy, Default)]
pub(super) struct CallHeaders<'a> {
    pub(super) usage_key: Option<&'a str>,
    pub(super) fetch: Option<&'a str>,
    pub(super) callback: Option<&'a str>,
}

impl<'a> CallHeaders<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        // Six lookups by name cost more than one pass over the names that are present, and most requests have none of
        // these headers.
        if !headers.keys().any(|name| name.as_str().starts_with("ssvm")) {
            return Self::default();
        }
        Self {
            usage_key: header(headers, &USAGE_KEY),
            fetch: header(headers, &FETCH),
            callback: header(headers, &CALLBACK),
        }
    }
}

/// The value of a header; a value that is not UTF-8 counts as empty.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &Name) -> Option<&'a str> {
    let value = headers.get(&name.0).or_else(|| headers.get(&name.1))?;
    Some(std::str::from_utf8(value.as_bytes()).unwrap_or_default())
}

/// The `wasm_id` of a path. A text that is not a number is the id of no function.
pub(super) fn parse_id(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| text.parse().ok())
        .flatten()
        .filter(|id| *id > 0)
}

/// The function that a path names.
pub(super) async fn function(app: &App, id: &str) -> Result<iof_store::Function, Fault> {
    let function = match parse_id(id) {
        Some(id) => app.store.function(id).await?,
        None => None,
    };
    function.ok_or_else(|| Fault::no_such_function(id))
}

/// The function that a path names, for holders of its admin key.
pub(super) async fn administered(
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

pub(super) fn is_admin(function: &iof_store::Function, headers: &HeaderMap) -> bool {
    header(headers, &ADMIN_KEY).is_some_and(|key| function.admin_key_hash.matches(key))
}

/// The store, whose changes are recorded as those of a holder of the function's admin key.
pub(super) fn of_admin(app: &App, function: &iof_store::Function) -> Store {
    app.store.by(Author {
        surface: Surface::Api,
        key: AuthorKey::Function(function.function_id),
    })
}

/// Reads the body of a request that writes data of a function: its state, or its callback.
///
/// # Errors
/// `state`, and the errors of [`BodyMemory::read`](crate::body::BodyMemory::read).
pub(super) async fn read_owned(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Fault> {
    let limit = app.second_state.state;
    let held = app
        .bodies
        .read(headers, body, limit, || {
            larger_than(
                FaultKind::State,
                format_args!("second_state.state = {limit}"),
            )
        })
        .await?;
    Ok(held.bytes)
}
