//! `/console/events`: tells a page that is open when there is something new on it (server-sent events, HTML, section 9.2).
//!
//! An event carries nothing: the page reads itself again, by the same template and with the same rights as before. A stream
//! ends with its session, with the key of its session, and with the server; a page that is only left open does not keep
//! its session.

use super::Console;
use super::viewer::{Viewer, query};
use crate::connection::Written;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, Uri};
use iof_fault::{Fault, FaultKind};
use iof_store::Scope;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// The interval between two looks at the log of a function.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest silence: a stream whose page is gone ends when it is written to.
const SILENCE: Duration = Duration::from_secs(4);

/// The query of a stream.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// The function that the page is of; none for a page of the server.
    function: Option<String>,
    /// True if the page shows the function's log.
    log: bool,
}

/// The state of a stream.
struct Stream {
    console: Arc<Console>,
    viewer: Viewer,
    /// The function that it is of.
    function: Option<String>,
    /// The last row of the log that the page was told of.
    last: Option<i64>,
    steps: watch::Receiver<u64>,
    begun: bool,
    _permit: OwnedSemaphorePermit,
}

/// Streams events.
pub(super) async fn read(
    State(console): State<Arc<Console>>,
    uri: Uri,
    viewer: Viewer,
) -> Response<Body> {
    let stream = async { stream(console, viewer, query(&uri)?).await };
    match stream.await {
        Ok(response) => response,
        Err(fault) => {
            crate::reply::log(&fault, "refused");
            crate::reply::failure(&fault)
        }
    }
}

async fn stream(
    console: Arc<Console>,
    viewer: Viewer,
    wanted: Wanted,
) -> Result<Response<Body>, Fault> {
    let permit = Arc::clone(&viewer.session.streams).try_acquire_owned();
    let permit = permit.map_err(|_| {
        let message = format!(
            "Event streams of this session are open: {}, as many as console.streams allows. Close a page of the console.",
            console.app.console.streams
        );
        Fault::new(FaultKind::ConsoleStreams, message)
    })?;
    let mut stream = Stream {
        steps: console.history.steps(),
        console,
        viewer,
        function: wanted.function,
        last: wanted.log.then_some(0),
        begun: false,
        _permit: permit,
    };
    stream.admit().await?;
    if stream.last.is_some() {
        stream.last = Some(stream.newest().await?);
    }
    let events = futures::stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.extensions_mut().insert(Written);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Stream {
    /// The next event; `None` when there are no more.
    async fn next(&mut self) -> Option<Bytes> {
        const NEW: Bytes = Bytes::from_static(b"event: new\ndata:\n\n");
        const STILL: Bytes = Bytes::from_static(b":\n\n");
        // A browser waits this long before it asks again for a stream that ended.
        const BEGIN: Bytes = Bytes::from_static(b"retry: 5000\n\n");
        if !std::mem::replace(&mut self.begun, true) {
            return Some(BEGIN);
        }
        let (stopping, ended) = (
            self.console.stopping.clone(),
            self.viewer.session.ended.clone(),
        );
        let event = tokio::select! {
            () = stopping.cancelled() => return None,
            () = ended.cancelled() => return None,
            () = self.change() => NEW,
            () = tokio::time::sleep(SILENCE) => STILL,
        };
        // The session, its key and the function may be gone by now.
        let open = self.console.sessions.has(&self.viewer.session);
        (open && self.admit().await.is_ok()).then_some(event)
    }

    /// Returns when the page has something new.
    async fn change(&mut self) {
        let Some(last) = self.last else {
            // The sender lives as long as the console.
            let _ = self.steps.changed().await;
            return;
        };
        loop {
            tokio::time::sleep(PAUSE).await;
            match self.newest().await {
                Ok(newest) if newest == last => {}
                Ok(newest) => {
                    self.last = Some(newest);
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Checks that the viewer may still see the page.
    async fn admit(&self) -> Result<(), Fault> {
        let need = &[Scope::Read];
        match &self.function {
            Some(id) => self
                .viewer
                .function(&self.console, id, need)
                .await
                .map(drop),
            None => self.viewer.server(&self.console, need).await,
        }
    }

    /// The number of the newest row in the log of the function.
    async fn newest(&self) -> Result<i64, Fault> {
        let Some(id) = &self.function else {
            return Ok(0);
        };
        let function = self
            .viewer
            .function(&self.console, id, &[Scope::Read])
            .await?;
        let app = &self.console.app;
        let rows = app.call_log.rows(&app.store, function.function_id, None, 1);
        Ok(rows.await?.last().map_or(0, |row| row.log_id))
    }
}

/// The address of the events of a page.
pub(super) fn address(function: Option<&str>, log: bool) -> String {
    match function {
        None => "/console/events".to_owned(),
        Some(id) => {
            let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let log = if log { "&log=true" } else { "" };
            format!("/console/events?function={id}{log}")
        }
    }
}
