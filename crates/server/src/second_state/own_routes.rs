//! The run routes, for requests that functions make to this server by its public name: such requests stay inside.

use super::route::Route;
use super::run;
use crate::app::App;
use crate::calls::Origin;
use crate::otlp::CallOrigin;
use crate::reply;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use iof_egress::{LocalDispatch, Outbound};
use std::sync::{Arc, Weak};
use url::Url;

/// The run routes of a server, which the egress client looks up.
struct OwnRoutes(Weak<App>);

/// The entry point for requests of functions to this server. While this API is off, they are refused like requests to
/// any other path of it.
pub(crate) fn own_routes(app: &Arc<App>) -> Arc<dyn LocalDispatch> {
    Arc::new(OwnRoutes(Arc::downgrade(app)))
}

#[async_trait]
impl LocalDispatch for OwnRoutes {
    fn is_own(&self, url: &Url) -> bool {
        self.0.upgrade().is_some_and(|app| app.is_own(url))
    }

    async fn answer(
        &self,
        context: &Outbound<'_>,
        request: Request<Bytes>,
    ) -> Option<Response<Bytes>> {
        let app = self.0.upgrade().filter(|app| app.second_state.enabled)?;
        Route::of_path(request.uri().path()).filter(|_| request.method() == Method::POST)?;
        let origin = Origin {
            depth: context.depth,
            deadline: Some(context.deadline),
            trace: CallOrigin::of_call(request.headers()),
        };
        let response = match run::dispatch(&app, request, origin).await {
            Ok(response) => response,
            Err(fault) => reply::failure(&fault),
        };
        let (parts, body) = response.into_parts();
        // This server made the answer, so it is complete.
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(parts, body))
    }
}
