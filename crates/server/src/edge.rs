//! The edge of the server: it refuses requests for other hosts, passes each request to a surface, and adds the headers
//! to every answer that every browser must see.
//!
//! | surface | paths |
//! |---|---|
//! | [`second_state`]: the API of 2020 | every path of no other surface, while `second_state.enabled` |
//! | [`v1`]: the API of iof | `/v1` |
//! | [`web`]: functions at short addresses | `/fn`; every path of a function's own host, below `server.domain` |
//! | [`pages`]: the functions of the server, for people | `/`, if a browser asks for a page |
//! | [`console`]: pages for people who are signed in | `/console`, while `console.enabled` |
//! | [`probes`]: health | `/healthz`, `/readyz`; every other path while the API of 2020 is off |
//! | [`metrics`]: figures for Prometheus | every path of a listener of its own |
//!
//! A surface follows the conventions of its own clients (CORS, preflights, the page of a path that does not exist) and
//! knows no other surface. This file has the rules for all surfaces.
//!
//! Answers of `/api` contain text of callers and functions as `text/html`, because clients of 2020 check that type. So
//! every answer carries a policy under which a browser that opens it runs no script in it, in an opaque origin.

use crate::app::App;
use crate::caller;
use crate::calls::called_by;
use crate::connection::{self, Client, RequestBody};
use crate::console::{self, Console};
use crate::runtime::MigratingRequest;
use crate::{metrics, pages, probes, reply, second_state, v1, web};
use axum::Router;
use axum::body::Body;
use http::header::{CONTENT_SECURITY_POLICY, Entry, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, Response};
use iof_fault::{Fault, FaultKind};
use iof_store::Surface;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The surfaces of functions.
    Functions,
    /// The metrics of the server, for scrapers.
    Metrics,
}

/// A policy under which a browser runs and loads nothing of the answer, its origin is opaque, and no page can frame it
/// (CSP 3; `sandbox`: HTML, section 7.5).
const POLICY: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

/// The surfaces of a server. A process has one, which all connections share.
pub(crate) struct Edge {
    app: Arc<App>,
    second_state: Option<second_state::Surface>,
    v1: Router,
    web: Router,
    pages: Router,
    console: Option<(Arc<Console>, Router)>,
    probes: Router,
    metrics: Router,
    /// The runtime of CPU-bound calls.
    compute: Handle,
}

/// The surface that gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    SecondState {
        /// True if pages of any origin may read the answer.
        cors: bool,
    },
    V1,
    Web,
    Pages,
    Console,
    Probes,
    Metrics,
}

impl Edge {
    /// Builds the surfaces. CPU-bound calls move to `compute`. Answers that continue after their head run in `tasks`;
    /// `stopping` ends those without an end.
    pub(crate) fn new(
        app: &Arc<App>,
        compute: &Handle,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Self {
        app.egress.set_local_dispatch(second_state::own_routes(app));
        let enabled = app.second_state.enabled;
        let console = Console::start(app, tasks, stopping);
        Self {
            second_state: enabled.then(|| second_state::Surface::new(app)),
            v1: v1::router(app),
            web: web::router(app, compute, tasks),
            pages: pages::router(app.console.enabled),
            console: console.map(|console| (Arc::clone(&console), console::router(&console))),
            probes: probes::router(app),
            metrics: metrics::router(app),
            compute: compute.clone(),
            app: Arc::clone(app),
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        protocol: Protocol,
        client: Client,
        mut request: Request<RequestBody>,
    ) -> Response<Body> {
        let choice = match protocol {
            Protocol::Functions => match self.app.names.function(&request) {
                // All paths of this host belong to the function.
                Some(function) => {
                    request.extensions_mut().insert(web::OwnHost(function));
                    Choice::Web
                }
                None => self.choose(&request),
            },
            Protocol::Metrics => Choice::Metrics,
        };
        let mut response = match self.admit(choice, &request) {
            Ok(()) => {
                let answer = Arc::clone(&self).dispatch(choice, client, request);
                MigratingRequest::new(answer, self.compute.clone()).await
            }
            Err(fault) => {
                reply::log(&fault, "refused");
                let path = match choice {
                    // No path of a function's own host names another function.
                    Choice::Web => "",
                    _ => request.uri().path(),
                };
                // Boxed, because few requests are refused, and every request would otherwise carry the future.
                Box::pin(self.refuse(path, &fault)).await
            }
        };
        connection::count(&self.app, &mut response);
        let headers = response.headers_mut();
        if let Entry::Vacant(policy) = headers.entry(CONTENT_SECURITY_POLICY) {
            policy.insert(POLICY);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if choice == (Choice::SecondState { cors: true }) {
            second_state::allow_pages(headers);
        }
        if !headers.contains_key(reply::CALL) {
            headers.insert(reply::REQUEST, reply::id(reply::new_id()));
        }
        response
    }

    /// Chooses a surface by the first segment of a path; for the root, by whether a browser asks for a page.
    fn choose<B>(&self, request: &Request<B>) -> Choice {
        if pages::is_asked_for(request) {
            return Choice::Pages;
        }
        let path = request.uri().path();
        let path = path.strip_prefix('/').unwrap_or_default();
        match (
            path.split('/').next().unwrap_or_default(),
            &self.second_state,
        ) {
            ("v1", _) => Choice::V1,
            ("fn", _) => Choice::Web,
            ("console", _) if self.console.is_some() => Choice::Console,
            ("healthz" | "readyz", _) | (_, None) => Choice::Probes,
            (_, Some(surface)) => Choice::SecondState {
                cors: surface.is_for_pages(path),
            },
        }
    }

    /// Refuses a request for its host, its path or its origin, before any surface sees it.
    fn admit<B>(&self, choice: Choice, request: &Request<B>) -> Result<(), Fault> {
        if choice == Choice::Metrics {
            return self.app.names.admit_address(request);
        }
        let authority = self.app.names.admit(request)?;
        readable(request.uri().path())?;
        match (choice, &self.console) {
            (Choice::V1, _) => v1::admit(&self.app, request, authority),
            (Choice::Console, Some((console, _))) => console.admit(request, authority),
            // Each function declares which pages may call it.
            _ => Ok(()),
        }
    }

    /// Answers a request that no surface sees. A refused call goes into the log of its function.
    async fn refuse(&self, path: &str, fault: &Fault) -> Response<Body> {
        let mut response = reply::failure(fault);
        if let Some((function, export)) = path.strip_prefix("/v1").and_then(called_by) {
            let call = reply::new_id();
            caller::log_refused(&self.app, call, &function, &export, fault).await;
            reply::of_call(&mut response, call);
        }
        response
    }

    async fn dispatch(
        self: Arc<Self>,
        choice: Choice,
        client: Client,
        mut request: Request<RequestBody>,
    ) -> Response<Body> {
        let routes = match (choice, &self.second_state) {
            (Choice::SecondState { cors }, Some(surface)) => {
                let request = request.map(Body::new);
                return surface.answer(client.address, cors, request).await;
            }
            (Choice::V1, _) => {
                if let Err(fault) = self.lend(client, &mut request) {
                    return self.refuse(request.uri().path(), &fault).await;
                }
                &self.v1
            }
            (Choice::Console, _) => {
                request.extensions_mut().insert(client);
                self.console
                    .as_ref()
                    .map_or(&self.probes, |(_, routes)| routes)
            }
            (Choice::Web, _) => {
                let leaves = request.body().client_leaves();
                request.extensions_mut().insert(leaves);
                &self.web
            }
            (Choice::Pages, _) => &self.pages,
            (Choice::SecondState { .. } | Choice::Probes, _) => &self.probes,
            (Choice::Metrics, _) => &self.metrics,
        };
        if let Some(fault) = connection::refusal(&self.app.settings, &request) {
            return self.refuse(request.uri().path(), &fault).await;
        }
        let Ok(response) = routes.clone().call(request).await;
        response
    }
}

impl Edge {
    /// Adds the key of its session to a request from a page of the console.
    fn lend(&self, client: Client, request: &mut Request<RequestBody>) -> Result<(), Fault> {
        match &self.console {
            Some((console, _)) if request.headers().contains_key(&console::TOKEN) => {
                request.extensions_mut().insert(client);
                console.lend(request)?;
                request.extensions_mut().insert(Surface::Console);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a path whose percent-encoding is not UTF-8 text (RFC 3986, section 2.1).
fn readable(path: &str) -> Result<(), Fault> {
    if !path.contains('%') {
        return Ok(());
    }
    let mut parts = path.split('%').skip(1);
    let hexadecimal = parts.all(|part| {
        let digits = part.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let text = percent_encoding::percent_decode_str(path).decode_utf8();
    if hexadecimal && text.is_ok() {
        return Ok(());
    }
    let shown: String = path.chars().take(200).collect();
    let message =
        format!("Path is not percent-encoded UTF-8: got `{shown}`. Write a percent sign as %25.");
    Err(Fault::new(FaultKind::Path, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_spell_text() {
        for path in ["/", "/a%20b", "/%C3%A9", "/%25", "/%2F%2e"] {
            assert!(readable(path).is_ok(), "{path}");
        }
        for path in [
            "/per%cent",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/%C3",
            "/%+1",
            "/a%%20",
        ] {
            assert_eq!(readable(path).unwrap_err().code(), "path", "{path}");
        }
    }
}
