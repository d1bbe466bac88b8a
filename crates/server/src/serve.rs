//! Connections: accepted up to a number, each driven by its supervisor, all finished when the server stops.

use crate::app::{App, router};
use crate::connection::{
    self, AddressShares, ConnectionState, Exchange, FirstLine, RequestBody, Socket, Streams,
    Supervisor, Transport,
};
use crate::cores::{Cores, Roaming};
use crate::reply;
use crate::second_state::{self, Route};
use crate::settings::StatusLine;
use crate::surface::Surface;
use crate::tls::Https;
use axum::body::Body;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Where connections come from.
pub struct Listener {
    /// HTTP, or HTTPS if there is a certificate.
    pub tcp: TcpListener,
    /// The certificate.
    pub https: Option<Https>,
}

/// Serves until `stop` resolves, then finishes the calls under way, for as long as `server.stop_wait`.
///
/// # Errors
/// When no connection can be accepted any more.
pub async fn serve(
    app: Arc<App>,
    cores: &Cores,
    listeners: Vec<Listener>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let shares = AddressShares::new(
        app.settings.connections_per_address,
        app.settings.proxies.clone(),
    );
    let connections = Connections {
        builder: Arc::new(builder(&app)),
        shared: Handle::current(),
        cores,
        routes: router(Arc::clone(&app)),
        places: Arc::new(Semaphore::new(app.settings.connections.max(1) as usize)),
        shares: Arc::new(shares),
        app: Arc::clone(&app),
        tasks: tasks.clone(),
        stopping: stopping.clone(),
    };
    let accepting = listeners
        .iter()
        .map(|listener| Box::pin(connections.accept(listener)));
    tokio::select! {
        (ended, _, _) = futures::future::select_all(accepting) => ended?,
        () = stop => {}
    }
    drop(listeners);
    app.stopping.store(true, Ordering::Relaxed);
    tracing::info!("stopping: no new connections, finishing what is under way");
    stopping.cancel();
    tasks.close();
    let wait = app.settings.stop_wait;
    if tokio::time::timeout(wait, tasks.wait()).await.is_err() {
        tracing::warn!("some calls did not end within server.stop_wait and are broken off");
    }
    app.journal.flush().await;
    app.records.flush().await;
    Ok(())
}

/// The most that the parser buffers of a head, and of what is to be written; what hyper and h2 bound on their own is in
/// docs/LIMITS.md.
const BUFFER: usize = 128 << 10;

fn builder(app: &App) -> auto::Builder<Streams> {
    let settings = &app.settings;
    let mut builder = auto::Builder::new(Streams {
        runtime: Handle::current(),
        write_wait: settings.write_wait,
        body_wait: settings.body_wait,
        body_size: settings.request_body.as_u64(),
    });
    builder
        .http1()
        .timer(TokioTimer::new())
        // The supervisor's deadline covers more than this one.
        .header_read_timeout(None)
        .max_buf_size(BUFFER);
    // Above the limit of ours, whose answer says more.
    let head_size = settings.head_size.as_u64().saturating_mul(2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_header_list_size(head_size.try_into().unwrap_or(u32::MAX))
        .max_send_buf_size(BUFFER)
        .max_concurrent_streams(200);
    builder
}

/// What every connection is made with.
struct Connections<'a> {
    app: Arc<App>,
    cores: &'a Cores,
    /// Of calls that compute for long.
    shared: Handle,
    builder: Arc<auto::Builder<Streams>>,
    routes: axum::Router,
    places: Arc<Semaphore>,
    shares: Arc<AddressShares>,
    tasks: TaskTracker,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
}

impl Connections<'_> {
    /// Accepts for ever.
    async fn accept(&self, listener: &Listener) -> io::Result<()> {
        loop {
            let place = Arc::clone(&self.places)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            let (stream, client) = match listener.tcp.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: those in use come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let accepted = Instant::now();
            let Some(share) = self.shares.take(client.ip()) else {
                tracing::debug!(client = %client.ip(), "an address has server.connections_per_address connections");
                continue;
            };
            // Answers are written whole; waiting to join them to more only delays them.
            let _ = stream.set_nodelay(true);
            let (stream, seat) = match (stream.into_std(), self.cores.seat()) {
                (Ok(stream), Some(seat)) => (stream, seat),
                // Closed: what cannot be handed over cannot be served.
                _ => continue,
            };
            let runtime = seat.runtime.clone();
            let open = Open {
                app: Arc::clone(&self.app),
                builder: Arc::clone(&self.builder),
                routes: self.routes.clone(),
                shared: self.shared.clone(),
                client: client.ip(),
                accepted,
                stopping: self.stopping.clone(),
            };
            let https = listener.https.as_ref().map(|https| https.acceptor.clone());
            let by = accepted + self.app.settings.head_wait;
            let connection = async move {
                // Here, so that it is this thread that hears of what arrives.
                match (TcpStream::from_std(stream), https) {
                    (Err(error), _) => {
                        tracing::warn!(%error, "a connection could not be taken over");
                    }
                    (Ok(stream), None) => open.serve(stream).await,
                    (Ok(stream), Some(https)) => {
                        let stopping = open.stopping.clone();
                        let handshake = tokio::time::timeout_at(by, https.accept(stream));
                        match stopping.run_until_cancelled(handshake).await {
                            Some(Ok(Ok(stream))) => open.serve(stream).await,
                            Some(Ok(Err(error))) => {
                                tracing::debug!(%error, "a TLS handshake failed");
                            }
                            Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
                            None => {}
                        }
                    }
                }
                drop((place, share, seat));
            };
            self.tasks.spawn_on(connection, &runtime);
        }
    }
}

/// One connection, once it can be read.
struct Open {
    app: Arc<App>,
    builder: Arc<auto::Builder<Streams>>,
    routes: axum::Router,
    shared: Handle,
    client: IpAddr,
    accepted: Instant,
    stopping: CancellationToken,
}

impl Open {
    async fn serve(self, stream: impl Socket) {
        let Self {
            app,
            builder,
            routes,
            shared,
            client,
            accepted,
            stopping,
        } = self;
        let state = Arc::new(ConnectionState::default());
        let stream = Transport::new(stream, Arc::clone(&state));
        let stream = FirstLine::new(stream, Arc::clone(&state));
        let service = {
            let (app, state) = (Arc::clone(&app), Arc::clone(&state));
            service_fn(move |request: Request<Incoming>| {
                let (exchange, request) = Exchange::begin(&state, request);
                let (app, routes) = (Arc::clone(&app), routes.clone());
                let answer = handle(app, routes, shared.clone(), client, request);
                async move { answer.await.map(|response| exchange.answer(response)) }
            })
        };
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let stop = stopping.cancelled_owned();
        let connection = Supervisor::new(connection, state, app, accepted, stop);
        if let Err(ended) = connection.await {
            tracing::debug!(%ended, "a connection was ended");
        }
    }
}

/// What is the same for all routes: the host, questions of browsers, the rate, and headers of every answer.
async fn handle(
    app: Arc<App>,
    routes: axum::Router,
    shared: Handle,
    client: IpAddr,
    mut request: Request<RequestBody>,
) -> Result<Response<Body>, Infallible> {
    let surface = Surface::of(&app, request.uri().path());
    let early = surface.early(&app, &request);
    if surface.is_second_state() {
        without_last_slash(&mut request);
    }
    if request.uri().path().starts_with("/api/ephemeral_storage") {
        let client = second_state::ClientAddress(client);
        request.extensions_mut().insert(client);
    }
    let is_api = request.uri().path().starts_with("/api/");
    let rate = app.rate.as_ref().filter(|_| is_api && early.is_none());
    let counted = rate.map(|rate| rate.count(client));
    let refusal = counted.and_then(second_state::rate::Counted::refusal);
    let refusal = refusal.or_else(|| {
        let head = connection::refusal(&app.settings, &request);
        head.map(|fault| reply::failure(&fault))
    });
    let mut response = match early.or(refusal) {
        Some(refusal) => refusal,
        None => Roaming::new(answer(Arc::clone(&app), routes, request), shared).await,
    };
    connection::count(&app, &mut response);
    if is_api && app.second_state.status == StatusLine::Real {
        reply::be_real(&mut response);
    }
    if let Some(counted) = counted {
        counted.tell(&mut response);
    }
    let headers = response.headers_mut();
    surface.tell(headers);
    if !headers.contains_key(reply::CALL) {
        headers.insert(reply::REQUEST, reply::id(reply::new_id()));
    }
    Ok(response)
}

/// Runs a function, or does whatever else is asked.
async fn answer(
    app: Arc<App>,
    mut routes: axum::Router,
    request: Request<RequestBody>,
) -> Response<Body> {
    let runs = Route::of_path(request.uri().path()).filter(|_| request.method() == Method::POST);
    if let Some(route) = runs {
        return second_state::client(&app, &route, request.map(Body::new)).await;
    }
    let Ok(response) = routes.call(request).await;
    response
}

/// Express takes `/api/executables/` for `/api/executables`.
fn without_last_slash<B>(request: &mut Request<B>) {
    let path = request.uri().path();
    if path.len() < 2 || !path.ends_with('/') {
        return;
    }
    let query = request.uri().query();
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let shorter = format!("{}{query}", path.strip_suffix('/').unwrap_or(path));
    let mut parts = request.uri().clone().into_parts();
    // What was a path is one without its last slash; if it were not, the request stays as it came.
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
