//! Accounting of the memory that large answers take until they are sent.

use crate::app::App;
use crate::reply;
use axum::body::Body;
use http::Response;
use http_body::Body as HttpBody;
use std::sync::Arc;

/// Answers up to this size are not counted: the number of connections and streams bounds them.
const SMALL: u64 = 64 << 10;

/// The marker of an answer that is generated while it is sent, and of which only a few pieces are in memory at a time.
#[derive(Clone, Copy)]
pub(crate) struct Written;

/// The part of the memory for bodies that a large answer takes.
pub(crate) struct AnswerShare {
    app: Arc<App>,
    bytes: u64,
}

/// Counts a large answer toward the memory for bodies until it is sent; if there is no room, a refusal replaces the
/// answer.
pub(crate) fn count(app: &Arc<App>, response: &mut Response<Body>) {
    let bytes = response.body().size_hint().lower();
    if bytes <= SMALL || response.extensions().get::<Written>().is_some() {
        return;
    }
    match app.bodies.take(bytes) {
        Ok(()) => {
            let share = AnswerShare {
                app: Arc::clone(app),
                bytes,
            };
            response.extensions_mut().insert(Arc::new(share));
        }
        Err(fault) => {
            let call = response.headers_mut().remove(reply::CALL);
            *response = reply::failure(&fault);
            if let Some(call) = call {
                response.headers_mut().insert(reply::CALL, call);
            }
        }
    }
}

impl Drop for AnswerShare {
    fn drop(&mut self) {
        self.app.bodies.give_back(self.bytes);
    }
}
