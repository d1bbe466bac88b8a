//! The console at `/console`: pages on which people see and change what a server does.
//!
//! The pages are made here, by templates that escape what they are given, of the same parts of the core that the API uses,
//! and under its rules of access ([`crate::access`]). What a page changes, its script asks of the API itself: the edge hands
//! such a request to `/v1` with the key of the session ([`Console::lend`]), so that there is one implementation of every
//! action, and the key never reaches the browser.
//!
//! | file | decides |
//! |---|---|
//! | `session`, `cookie`, `attempts` | who is signed in, and for how long |
//! | `sign_in`, `viewer` | how one signs in, and what a viewer may see |
//! | `frame`, `assets` | what all pages have: head, policy, style, script |
//! | `words`, `chart` | numbers, times, tables and charts |
//! | `history` | the points of the charts |
//! | `events` | when a page that is open has to be read again |
//! | `overview`, `functions`, `function`, `outbound`, `keys`, `audit`, `server` | the pages |

mod assets;
mod attempts;
mod audit;
mod chart;
mod cookie;
mod events;
mod frame;
mod function;
mod functions;
mod history;
mod keys;
mod outbound;
mod overview;
mod server;
mod session;
mod sign_in;
mod viewer;
mod words;

use crate::app::App;
use crate::connection::Client;
use attempts::Attempts;
use axum::Router;
use axum::routing::{get, post};
use history::History;
use http::header::{AUTHORIZATION, COOKIE};
use http::{Extensions, HeaderName, Method, Request};
use iof_fault::{Fault, FaultKind};
use session::{Session, Sessions};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The header in which a script of the console repeats its session's token.
pub(crate) static TOKEN: HeaderName = HeaderName::from_static("iof-console");

/// The parts of the console.
pub(crate) struct Console {
    app: Arc<App>,
    sessions: Sessions,
    attempts: Attempts,
    history: History,
    stopping: CancellationToken,
}

impl Console {
    /// Starts the console, unless it is switched off. Its charts are drawn from samples that a task in `tasks` takes until
    /// `stopping`.
    pub(crate) fn start(
        app: &Arc<App>,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Option<Arc<Self>> {
        if !app.console.enabled {
            return None;
        }
        let console = Arc::new(Self {
            sessions: Sessions::new(&app.console),
            attempts: Attempts::new(app.console.attempts),
            history: History::new(app.console.step),
            stopping: stopping.clone(),
            app: Arc::clone(app),
        });
        let sampling = history::sample(Arc::clone(&console));
        let stopping = stopping.clone();
        tasks.spawn(async move { stopping.run_until_cancelled(sampling).await });
        Some(console)
    }

    /// Refuses a request that a page of another site made, unless it only leads here.
    ///
    /// # Errors
    /// `origin`
    pub(crate) fn admit<B>(
        &self,
        request: &Request<B>,
        authority: Option<&str>,
    ) -> Result<(), Fault> {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        if !self.app.names.is_foreign(request, authority) && (reads || is_from_here(request)) {
            return Ok(());
        }
        let message = "Pages of other origins have no access to the console. Open /console in the browser itself.";
        Err(Fault::new(FaultKind::Origin, message))
    }

    /// Gives a request of a script of the console, which repeats the token of its session, the key of that session; every
    /// other request stays as it is.
    ///
    /// # Errors
    /// `console-session`
    pub(crate) fn lend<B>(&self, request: &mut Request<B>) -> Result<(), Fault> {
        let Some(token) = request.headers_mut().remove(&TOKEN) else {
            return Ok(());
        };
        let secure = self.is_secure(request.extensions());
        let session = cookie::session(&self.sessions, request.headers(), secure)
            .filter(|session| session.repeats(token.as_bytes()) && is_from_here(request))
            .ok_or_else(viewer::ended)?;
        let headers = request.headers_mut();
        headers.remove(COOKIE);
        headers.remove(AUTHORIZATION);
        headers.extend(viewer::credentials(&session));
        Ok(())
    }

    /// Returns whether the browser speaks TLS, to this server or to a proxy before it.
    fn is_secure(&self, of: &Extensions) -> bool {
        let public = self.app.public_url.as_ref();
        of.get::<Client>().is_some_and(|client| client.secure)
            || public.is_some_and(|url| url.scheme() == "https")
    }
}

/// Returns whether a browser says that a page of this origin made the request, or that its user did; or says nothing, as
/// programs do (Fetch Metadata).
fn is_from_here<B>(request: &Request<B>) -> bool {
    let site = request.headers().get("sec-fetch-site");
    site.is_none_or(|site| site == "same-origin" || site == "none")
}

/// The routes below `/console`.
pub(crate) fn router(console: &Arc<Console>) -> Router {
    Router::new()
        .route("/console", get(overview::show))
        .route(
            "/console/sign-in",
            get(sign_in::show).post(sign_in::sign_in),
        )
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/assets/{name}", get(assets::read))
        .route("/console/events", get(events::read))
        .route("/console/functions", get(functions::list))
        .route("/console/functions/new", get(functions::new))
        .route("/console/functions/{function}", get(function::overview))
        .route("/console/functions/{function}/{tab}", get(function::tab))
        .route("/console/outbound", get(outbound::show))
        .route("/console/keys", get(keys::show))
        .route("/console/audit", get(audit::show))
        .route("/console/server", get(server::show))
        .route("/console/server/settings", get(server::settings))
        .method_not_allowed_fallback(crate::reply::wrong_method)
        .fallback(frame::nowhere)
        .with_state(Arc::clone(console))
}
