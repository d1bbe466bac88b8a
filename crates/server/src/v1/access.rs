//! The keys and scopes that a request needs, as extractors of the handlers; [`crate::access`] decides.

use super::answer::ErrorResponse;
use crate::access::function_and_key;
pub(super) use crate::access::{function, number, operator, server};
use crate::app::App;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use http::{Method, Request};
use iof_fault::{Fault, FaultKind};
use iof_store::{Author, AuthorKey, Function, Scope, Store, Surface};
use serde::Deserialize;
use std::marker::PhantomData;
use std::sync::Arc;

/// Refuses a request from a page of another origin, except for calls, for which the function's declaration decides.
///
/// # Errors
/// `origin`
pub(crate) fn admit<B>(
    app: &App,
    request: &Request<B>,
    authority: Option<&str>,
) -> Result<(), Fault> {
    if !app.names.is_foreign(request, authority) || is_call(request) {
        return Ok(());
    }
    let message = "Pages of other origins have no access to /v1. Send the request from a program, or from a page of public_url.";
    Err(Fault::new(FaultKind::Origin, message))
}

/// Returns whether this is a call, or the preflight of one.
fn is_call<B>(request: &Request<B>) -> bool {
    let mut segments = request.uri().path().split('/').skip(1);
    segments.next() == Some("v1")
        && segments.next() == Some("functions")
        && segments.next().is_some()
        && segments.next() == Some("call")
        && segments.next().is_some()
        && segments.next().is_none()
        && [Method::POST, Method::OPTIONS].contains(request.method())
}

/// A type for scopes, with which a handler's signature states what the request needs: a key with any of them.
pub(super) trait NeededScope: Send {
    const ANY_OF: &[Scope];
}

/// The scope `deploy`.
pub(super) struct Deploy;
/// The scope `read`.
pub(super) struct Read;
/// The scope `read` or `deploy`: a sender who replaces a version has to see the versions.
pub(super) struct ReadOrDeploy;
/// The scope `admin`.
pub(super) struct Admin;

impl NeededScope for Deploy {
    const ANY_OF: &[Scope] = &[Scope::Deploy];
}

impl NeededScope for Read {
    const ANY_OF: &[Scope] = &[Scope::Read];
}

impl NeededScope for ReadOrDeploy {
    const ANY_OF: &[Scope] = &[Scope::Read, Scope::Deploy];
}

impl NeededScope for Admin {
    const ANY_OF: &[Scope] = &[Scope::Admin];
}

/// The function that `{function}` in the path names, for a sender with the scope `S`; and the sender.
pub(super) struct AuthorizedFunction<S>(pub(super) Function, pub(super) Sender<S>);

/// A sender with the scope `S` for all functions.
pub(super) struct AuthorizedServer<S>(pub(super) Sender<S>);

/// A sender who may make and delete keys.
pub(super) struct Operator(pub(super) Sender<Admin>);

/// A sender with the scope `S`, and the store whose changes are recorded as the sender's.
pub(super) struct Sender<S> {
    /// The store, for changes.
    pub(super) store: Store,
    scope: PhantomData<S>,
}

impl<S> Sender<S> {
    pub(super) fn of(app: &App, parts: &Parts, key: AuthorKey) -> Self {
        // The console marks what its pages ask for.
        let surface = parts.extensions.get::<Surface>();
        let author = Author {
            surface: surface.copied().unwrap_or(Surface::V1),
            key,
        };
        Self {
            store: app.store.by(author),
            scope: PhantomData,
        }
    }
}

/// The part of a path that names a function.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FunctionPath {
    /// Its number or name
    pub(super) function: String,
}

impl<S: NeededScope> FromRequestParts<Arc<App>> for AuthorizedFunction<S> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        let Path(path) = Path::<FunctionPath>::from_request_parts(parts, app)
            .await
            .map_err(|error| Fault::host("The path could not be read.", error))?;
        let (function, key) =
            function_and_key(app, &path.function, &parts.headers, S::ANY_OF).await?;
        Ok(Self(function, Sender::of(app, parts, key)))
    }
}

impl<S: NeededScope> FromRequestParts<Arc<App>> for AuthorizedServer<S> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        let key = server(app, &parts.headers, S::ANY_OF).await?;
        Ok(Self(Sender::of(app, parts, key)))
    }
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        let key = operator(app, &parts.headers).await?;
        Ok(Self(Sender::of(app, parts, key)))
    }
}
