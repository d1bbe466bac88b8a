//! Connections: accepted up to a number, each with a deadline for its head, all finished when the server stops.

use crate::app::{self, App, router};
use crate::reply;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Serves until `stop` resolves, then finishes the calls under way, for as long as `server.stop_wait`.
///
/// # Errors
/// When no connection can be accepted any more.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let routes = router(Arc::clone(&app));
    let (tasks, graceful) = (TaskTracker::new(), GracefulShutdown::new());
    let places = Arc::new(Semaphore::new(app.settings.connections.max(1) as usize));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(app.settings.head_wait);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(200);

    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            io::Result::Ok((place, listener.accept().await))
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted?,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: those in use come back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are written whole; waiting to join them to more only delays them.
        let _ = stream.set_nodelay(true);
        let routes = routes.clone();
        let service = service_fn(move |request: Request<Incoming>| handle(routes.clone(), request));
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }

    drop(listener);
    app.stopping.store(true, Ordering::Relaxed);
    tracing::info!("stopping: no new connections, finishing what is under way");
    tasks.close();
    let finished = async {
        graceful.shutdown().await;
        tasks.wait().await;
    };
    if tokio::time::timeout(app.settings.stop_wait, finished)
        .await
        .is_err()
    {
        tracing::warn!("some calls did not end within server.stop_wait and are broken off");
    }
    Ok(())
}

/// What is the same for all routes: questions of browsers, and headers of every answer.
async fn handle(
    mut routes: axum::Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if app::is_preflight(&request) {
        return Ok(app::preflight(request.headers()));
    }
    let mut response = routes.call(request).await?;
    let headers = response.headers_mut();
    app::cors(headers);
    if !headers.contains_key(reply::CALL) {
        headers.insert(reply::REQUEST, reply::id(reply::new_id()));
    }
    Ok(response)
}
