//! What every request needs, and the routes.

use crate::auth::Keys;
use crate::body::BodyMemory;
use crate::functions::{Functions, Policy};
use crate::gate::Gate;
use crate::grants::Ceiling;
use crate::host::OwnNames;
use crate::journal::Journal;
use crate::records::Records;
use crate::reply;
use crate::second_state::{self, OwnRoutes, rate::Rate};
use crate::settings::{Auth, SecondState, Settings};
use crate::surface::{Surface, wrong_method};
use crate::v1::{self, Jobs};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use bytesize::ByteSize;
use http::{HeaderValue, Request, Response, StatusCode};
use iof_commands::Grants;
use iof_egress::Egress;
use iof_engine::{Engine, Limits};
use iof_fault::{Fault, FaultKind};
use iof_store::{SecretKeys, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use url::Url;

/// A server's parts. One for the process, shared by all requests.
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) functions: Functions,
    pub(crate) gate: Gate,
    pub(crate) bodies: BodyMemory,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) second_state: SecondState,
    /// How often a client may ask; `None`: as often as it likes.
    pub(crate) rate: Option<Rate>,
    /// What calls left, on its way to the store.
    pub(crate) journal: Arc<Journal>,
    /// What left, and recorded calls, on their way there too.
    pub(crate) records: Records,
    /// Calls whose outcome is fetched later.
    pub(crate) jobs: Jobs,
    /// The way out for fetches and callbacks.
    pub(crate) egress: Egress,
    /// By which name clients know this server.
    pub(crate) public_url: Option<Url>,
    /// By which names requests may name it.
    pub(crate) names: OwnNames,
    pub(crate) wall_time: Duration,
    pub(crate) module_size: ByteSize,
    /// The runtime beside those of the connections.
    pub(crate) shared: Handle,
    /// Set when the process is told to stop: `/readyz` then sends callers elsewhere.
    pub(crate) stopping: AtomicBool,
}

/// What a server is put together from.
pub struct Parts {
    /// Runs functions.
    pub engine: Engine,
    /// Keeps them.
    pub store: Store,
    /// The way out for fetches and callbacks.
    pub egress: Egress,
    /// `[server]`
    pub settings: Settings,
    /// `[second_state]`
    pub second_state: SecondState,
    /// `[auth]`
    pub auth: Auth,
    /// `[defaults]`: what a module uploaded without grants may use.
    pub defaults: Grants,
    /// `[ceiling]`: the most that a version may declare.
    pub ceiling: Grants,
    /// What secrets are encrypted under, if there is a key.
    pub secret_keys: Option<SecretKeys>,
    /// Takes what left, and recorded calls.
    pub records: Records,
    /// By which name clients know this server.
    pub public_url: Option<Url>,
    /// `[limits]`
    pub limits: Limits,
    /// `compile.module_size`
    pub module_size: ByteSize,
}

impl App {
    /// Puts a server together. Needs a runtime: calls are written to the store by a task.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            engine,
            store,
            egress,
            settings,
            second_state,
            auth,
            defaults,
            ceiling,
            secret_keys,
            records,
            public_url,
            limits,
            module_size,
        } = parts;
        let limits = Arc::new(limits);
        let journal = Arc::new(Journal::start(store.clone(), second_state.log_rows));
        let app = Arc::new(Self {
            jobs: Jobs::default(),
            functions: Functions::new(
                engine.clone(),
                store.clone(),
                Arc::clone(&journal),
                Policy {
                    ceiling: Ceiling {
                        grants: ceiling,
                        limits: Arc::clone(&limits),
                        concurrency: settings.concurrency,
                    },
                    defaults: Arc::new(defaults),
                    limits: Arc::clone(&limits),
                    settings: settings.clone(),
                    secret_keys,
                },
            ),
            gate: Gate::new(settings.concurrency, settings.queue, settings.queue_wait),
            bodies: BodyMemory::new(settings.body_memory, settings.body_wait),
            keys: Keys::new(&auth),
            names: OwnNames::new(public_url.as_ref(), !auth.keys.is_empty()),
            rate: Rate::new(second_state.rate_limit),
            shared: Handle::current(),
            stopping: AtomicBool::new(false),
            engine,
            store,
            settings,
            second_state,
            journal,
            egress,
            public_url,
            wall_time: limits.wall_time,
            module_size,
            records,
        });
        let inside = OwnRoutes(Arc::downgrade(&app));
        app.egress.set_inside(Arc::new(inside));
        app.jobs.start(&app);
        app
    }

    /// Whether a URL leads to this server by its public name. The scheme may differ: callbacks of 2020 know https alone,
    /// and what stands in front of a server takes requests on the ports of both.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.public_url.as_ref().is_some_and(|own| {
            // `port` is the one that is written; a scheme's own is none.
            let same_port = own.port() == url.port()
                || own.port_or_known_default() == url.port_or_known_default();
            own.host() == url.host() && same_port
        })
    }
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n").fallback(wrong_method))
        .route("/readyz", get(ready).fallback(wrong_method))
        .merge(second_state::routes())
        .nest("/v1", v1::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .with_state(app)
}

/// Ready while the store answers and nobody has asked the server to stop.
async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    if app.stopping.load(Ordering::Relaxed) {
        return reply::failure(&Fault::new(FaultKind::Stopping, "The server is stopping."));
    }
    match app.store.ready().await {
        Ok(()) => reply::ok(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; charset=utf-8"),
            "ready\n",
        ),
        Err(error) => {
            tracing::error!(%error, "not ready");
            reply::failure(&Fault::new(
                FaultKind::StoreBusy,
                "The store does not answer.",
            ))
        }
    }
}

/// The answer to a path or a method that is not there.
async fn nowhere(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    Surface::of(&app, request.uri().path()).nowhere(&request)
}
