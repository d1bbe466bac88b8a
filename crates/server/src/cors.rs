//! Calls from pages of other origins, which a version declares (`cors` in `function.toml`).
//!
//! Only calls are open to these pages. A page's requests carry no cookies (there is no
//! `Access-Control-Allow-Credentials`): a page has the key that its visitor gave it, or none.

use crate::app::App;
use crate::calls::FunctionRef;
use crate::reply;
use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderValue, Request, Response};
use iof_fault::{Fault, FaultKind};

/// Headers of an answer that a page may read, in addition to those that every page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "iof-status,iof-fault,iof-message,iof-exit-status,iof-call,retry-after,location,preference-applied",
);
/// The time for which a browser keeps the answer to a preflight, in seconds.
const KEPT: HeaderValue = HeaderValue::from_static("600");

/// The origin of a request from a page of another origin; `None` for any other request.
///
/// # Errors
/// `origin`, for more than one; the errors of `Host`.
pub(crate) fn foreign<B>(app: &App, request: &Request<B>) -> Result<Option<HeaderValue>, Fault> {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Ok(None);
    };
    let authority = app.names.admit(request)?;
    match app.names.is_foreign(request, authority) {
        false => Ok(None),
        true if origins.next().is_none() => Ok(Some(origin.clone())),
        true => Err(refused()),
    }
}

/// Admits a request to call a function, if the function's version declares the page that sent it.
///
/// # Errors
/// `origin`
pub(crate) async fn admit(
    app: &App,
    function: FunctionRef<'_>,
    page: Option<&HeaderValue>,
) -> Result<(), Fault> {
    let Some(page) = page else {
        return Ok(());
    };
    let function = function.load(app).await;
    match function.is_ok_and(|function| function.granted.cors.allow(page.as_bytes())) {
        true => Ok(()),
        false => Err(refused()),
    }
}

fn refused() -> Fault {
    let message = "Pages of this origin may not call the function. Declare it in function.toml, cors = [\"https://app.example.com\"], or send the request from a program.";
    Fault::new(FaultKind::Origin, message)
}

/// Lets the page of an origin read an answer.
pub(crate) fn allow(response: &mut Response<Body>, origin: Option<HeaderValue>) {
    let Some(origin) = origin else {
        return;
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Marks an answer to a call as dependent on the origin of the request (Fetch, section 3.2.5): a cache must not give
/// one page the answer for another.
pub(crate) fn vary(response: &mut Response<Body>) {
    let origin = HeaderValue::from_static("origin");
    response.headers_mut().append(VARY, origin);
}

/// The answer to a preflight (Fetch, section 3.2.2) of calls by these methods, once its page is admitted. `asked` lists
/// the headers that the page wants to send.
///
/// # Errors
/// `method` if the request does not come from a page of another origin, and so is not a preflight.
pub(crate) fn preflight(
    page: Option<HeaderValue>,
    methods: &str,
    asked: Option<HeaderValue>,
) -> Result<Response<Body>, Fault> {
    if page.is_none() {
        let message = "Method OPTIONS is not allowed here. Use one that the header Allow names.";
        return Err(Fault::new(FaultKind::Method, message));
    }
    let mut response = reply::no_content();
    allow(&mut response, page);
    let headers = response.headers_mut();
    headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
    if let Ok(methods) = HeaderValue::from_str(methods) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(asked) = asked {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    headers.append(
        VARY,
        HeaderValue::from_static("access-control-request-headers"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, KEPT);
    Ok(response)
}
