//! The surface of 2020: its routes, and the conventions of Express that its clients know.

use super::cors;
use super::ephemeral::ClientAddress;
use super::rate_window::{Decision, FixedWindowLimiter};
use super::route::Route;
use super::{routes, run};
use crate::app::App;
use crate::connection;
use crate::reply;
use crate::settings::StatusLine;
use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response};
use std::net::IpAddr;
use std::sync::Arc;
use tower::Service;

/// The surface of one server.
pub(crate) struct Surface {
    app: Arc<App>,
    /// `None` if requests are not limited.
    limiter: Option<FixedWindowLimiter>,
    routes: Router,
}

impl Surface {
    pub(crate) fn new(app: &Arc<App>) -> Self {
        Self {
            limiter: FixedWindowLimiter::new(app.second_state.rate_limit),
            routes: routes::router(app),
            app: Arc::clone(app),
        }
    }

    /// Returns whether pages of other origins may read answers of a path, which has no leading slash. On a server
    /// without keys, such pages may run functions, but read nothing else: all other routes are open only because every
    /// client on loopback is trusted, which such a page is not.
    pub(crate) fn is_for_pages(&self, path: &str) -> bool {
        let runs = ["api/run/", "api/multipart/run/"];
        self.app.keys.are_set() || runs.iter().any(|run| path.starts_with(run))
    }

    /// Answers a request.
    pub(crate) async fn answer(
        &self,
        client: IpAddr,
        cors: bool,
        mut request: Request<Body>,
    ) -> Response<Body> {
        if request.method() == Method::OPTIONS {
            return cors::preflight(cors, request.headers());
        }
        without_last_slash(&mut request);
        let is_api = request.uri().path().starts_with("/api/");
        let limiter = self.limiter.as_ref().filter(|_| is_api);
        let decision = limiter.map(|limiter| limiter.count(client));
        let refusal = decision.and_then(Decision::refusal).or_else(|| {
            let head = connection::refusal(&self.app.settings, &request);
            head.map(|fault| reply::failure(&fault))
        });
        let mut response = match refusal {
            Some(refusal) => refusal,
            None => self.route(client, request).await,
        };
        if is_api && self.app.second_state.status == StatusLine::Real {
            promote_status(&mut response);
        }
        if let Some(decision) = decision {
            decision.tell(&mut response);
        }
        response
    }

    /// Runs a function, or passes the request to the router.
    async fn route(&self, client: IpAddr, mut request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let route = Route::of_path(path).filter(|_| request.method() == Method::POST);
        if let Some(route) = route {
            return run::client(&self.app, &route, request).await;
        }
        if path.starts_with("/api/ephemeral_storage") {
            request.extensions_mut().insert(ClientAddress(client));
        }
        let Ok(response) = self.routes.clone().call(request).await;
        response
    }
}

/// Copies the status in `iof-status` to the status line.
fn promote_status(response: &mut Response<Body>) {
    if let Some(status) = reply::status(response) {
        *response.status_mut() = status;
    }
}

/// Removes one slash at the end of a path: for Express, `/api/executables/` is `/api/executables`.
fn without_last_slash<B>(request: &mut Request<B>) {
    let path = request.uri().path();
    if path.len() < 2 || !path.ends_with('/') {
        return;
    }
    let query = request.uri().query();
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let shorter = format!("{}{query}", path.strip_suffix('/').unwrap_or(path));
    let mut parts = request.uri().clone().into_parts();
    // A path stays valid without its last slash; if it did not, the request would stay unchanged.
    if let Ok(path) = shorter.parse() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = parts.try_into() {
            *request.uri_mut() = uri;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_last_slash_does_not_count() {
        for (sent, seen) in [
            ("/api/executables/", "/api/executables"),
            ("/api/executables/?a=/", "/api/executables?a=/"),
            ("/", "/"),
            ("/api//", "/api/"),
            ("/api/executables", "/api/executables"),
        ] {
            let mut request = Request::get(sent).body(()).unwrap();
            without_last_slash(&mut request);
            assert_eq!(request.uri(), seen);
        }
    }
}
