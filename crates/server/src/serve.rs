//! Connections: the server accepts them up to a maximum, a supervisor drives each, and a stop finishes them all.

use crate::app::App;
use crate::connection::{
    AddressShares, AnswerBody, Client, ConnectionState, Exchange, FirstLine, Socket, Streams,
    Supervisor, Transport,
};
use crate::edge::{Edge, Protocol};
use crate::jobs::JobWorker;
use crate::otlp::MetricExport;
use crate::runtime::WorkerThreads;
use crate::schedules::ScheduleWorker;
use crate::stop_report::StopReport;
use crate::tls::Https;
use crate::tls::is_challenge;
use futures::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A listener: a socket and its protocol.
pub struct Listener {
    /// HTTP, or HTTPS if there is a certificate.
    pub tcp: TcpListener,
    /// The certificate.
    pub https: Option<Https>,
    /// The protocol of the listener.
    pub protocol: Protocol,
}

/// Serves until `stop` resolves, then waits up to `server.stop_wait` for the calls in progress. A stop that takes
/// longer than a second is reported.
///
/// The future is boxed so that all code behind it is compiled with this package, and not with each program that serves.
///
/// # Errors
/// An error if no connection can be accepted any more.
pub fn serve<'a>(
    app: Arc<App>,
    workers: &'a WorkerThreads,
    listeners: Vec<Listener>,
    stop: BoxFuture<'a, ()>,
    report: &'a mut StopReport,
) -> BoxFuture<'a, io::Result<()>> {
    Box::pin(serve_until(app, workers, listeners, stop, report))
}

async fn serve_until(
    app: Arc<App>,
    workers: &WorkerThreads,
    listeners: Vec<Listener>,
    stop: BoxFuture<'_, ()>,
    report: &mut StopReport,
) -> io::Result<()> {
    let jobs = JobWorker::start(Arc::clone(&app), workers.compute().clone());
    let schedules = ScheduleWorker::start(Arc::clone(&app));
    let metrics = MetricExport::start(&app);
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let edge = Arc::new(Edge::new(&app, workers.compute(), &tasks, &stopping));
    let shares = AddressShares::new(
        app.settings.connections_per_address,
        app.settings.proxies.clone(),
    );
    let connections = Connections {
        builder: Arc::new(builder(&app)),
        workers,
        edge,
        permits: Arc::new(Semaphore::new(app.settings.connections.max(1) as usize)),
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
    report.begin();
    app.stopping.store(true, Ordering::Relaxed);
    tracing::info!("stopping: no new connections, finishing calls in progress");
    stopping.cancel();
    jobs.drain();
    tasks.close();
    let wait = app.settings.stop_wait;
    let until = Instant::now() + wait;
    let under_way = || {
        let (running, waiting) = (app.limiter.running(), app.limiter.waiting());
        format!(
            "{} connections, with {running} calls that run and {waiting} that wait",
            tasks.len()
        )
    };
    let finished = tokio::time::timeout(wait, tasks.wait());
    if report.during(finished, under_way).await.is_err() {
        let (running, waiting) = (app.limiter.running(), app.limiter.waiting());
        tracing::warn!(
            running,
            waiting,
            "some calls did not end within server.stop_wait and are aborted"
        );
    }
    schedules.stop().await;
    report
        .during(jobs.stop(until), || "jobs that run".to_owned())
        .await;
    let deadline = Instant::now() + LOGS;
    let metrics = async {
        if let Some(metrics) = metrics {
            metrics.stop(deadline).await;
        }
    };
    let logs = async {
        tokio::join!(
            app.call_log.stop(deadline),
            app.outbound_log.stop(deadline),
            app.otlp.stop(deadline),
            metrics
        );
    };
    let left = || {
        let rows = app.call_log.left() + app.outbound_log.left();
        format!("the logs to be written, {rows} rows left")
    };
    report.during(logs, left).await;
    Ok(())
}

/// The time for which a stop writes the rest of the logs: process managers expect an end within two seconds.
const LOGS: Duration = Duration::from_millis(1500);

/// The most bytes of a head or an answer that the parser buffers. docs/LIMITS.md has the limits of hyper and h2.
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
        // The supervisor's deadline replaces this one.
        .header_read_timeout(None)
        .max_buf_size(BUFFER);
    // Higher than the limit of `connection::refusal`, whose answer explains more.
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

/// The parts that every connection gets.
struct Connections<'a> {
    app: Arc<App>,
    workers: &'a WorkerThreads,
    edge: Arc<Edge>,
    builder: Arc<auto::Builder<Streams>>,
    permits: Arc<Semaphore>,
    shares: Arc<AddressShares>,
    tasks: TaskTracker,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
}

impl Connections<'_> {
    /// Bounds the time for which the kernel keeps bytes that a client does not take, even after the connection is
    /// closed (`TCP_USER_TIMEOUT`, RFC 5482). Connections inherit the bound from their listener.
    fn bound_unsent(&self, listener: &TcpListener) {
        let wait = self.app.settings.write_wait.as_millis();
        let wait = u32::try_from(wait).unwrap_or(u32::MAX);
        if let Err(error) = set_tcp_user_timeout(listener, wait) {
            tracing::warn!(%error, "TCP_USER_TIMEOUT could not be set: the kernel keeps unsent bytes without a bound on time");
        }
    }

    /// Accepts connections forever.
    async fn accept(&self, listener: &Listener) -> io::Result<()> {
        self.bound_unsent(&listener.tcp);
        loop {
            let permit = Arc::clone(&self.permits)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            let (stream, client) = match listener.tcp.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most likely no descriptor is free; those in use will be closed.
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
            // Answers are written as a whole; waiting to merge them with others would only delay them.
            let _ = stream.set_nodelay(true);
            let (stream, guard) = match (stream.into_std(), self.workers.assign()) {
                (Ok(stream), Some(guard)) => (stream, guard),
                // The connection is closed: one that cannot be handed over cannot be served.
                _ => continue,
            };
            let runtime = guard.runtime.clone();
            let open = Open {
                app: Arc::clone(&self.app),
                builder: Arc::clone(&self.builder),
                edge: Arc::clone(&self.edge),
                protocol: listener.protocol,
                client: Client {
                    address: client.ip(),
                    secure: listener.https.is_some(),
                },
                accepted,
                stopping: self.stopping.clone(),
            };
            let https = listener.https.as_ref().map(|https| https.acceptor.clone());
            let by = accepted + self.app.settings.head_wait;
            let counted = Arc::clone(&self.app.connections);
            let connection = async move {
                let _counted = counted;
                // Registered here, so that arriving bytes wake this thread.
                match (TcpStream::from_std(stream), https) {
                    (Err(error), _) => {
                        tracing::warn!(%error, "a connection could not be registered");
                    }
                    (Ok(stream), None) => open.serve(stream).await,
                    (Ok(stream), Some(https)) => {
                        let stopping = open.stopping.clone();
                        let handshake = tokio::time::timeout_at(by, https.accept(stream));
                        match stopping.run_until_cancelled(handshake).await {
                            Some(Ok(Ok(stream))) if is_challenge(&stream) => {}
                            Some(Ok(Ok(stream))) => open.serve(stream).await,
                            Some(Ok(Err(error))) => {
                                tracing::debug!(%error, "a TLS handshake failed");
                            }
                            Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
                            None => {}
                        }
                    }
                }
                drop((permit, share, guard));
            };
            self.tasks.spawn_on(connection, &runtime);
        }
    }
}

/// One connection, once it is readable.
struct Open {
    app: Arc<App>,
    builder: Arc<auto::Builder<Streams>>,
    edge: Arc<Edge>,
    protocol: Protocol,
    client: Client,
    accepted: Instant,
    stopping: CancellationToken,
}

impl Open {
    async fn serve(self, stream: impl Socket) {
        let Self {
            app,
            builder,
            edge,
            protocol,
            client,
            accepted,
            stopping,
        } = self;
        let state = Arc::new(ConnectionState::default());
        let stream = Transport::new(stream, Arc::clone(&state));
        let stream = FirstLine::new(stream, Arc::clone(&state));
        let service = {
            let state = Arc::clone(&state);
            service_fn(move |request: Request<Incoming>| {
                let (exchange, request) = Exchange::begin(&state, request);
                let answer = Arc::clone(&edge).answer(protocol, client, request);
                async move { Ok::<_, Infallible>(AnswerBody::of(exchange, answer.await)) }
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
