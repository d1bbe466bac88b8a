//! The viewer of a page: the session of a request, and what its key opens at this moment.

use super::{Console, Session, cookie, frame};
use crate::access;
use crate::app::App;
use crate::sent_key::{SentKey, sent_key};
use axum::body::Body;
use axum::extract::{FromRequestParts, Query};
use http::header::{AUTHORIZATION, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use iof_fault::{Fault, FaultKind};
use iof_store::{ApiKey, Function, Scope};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The viewer of a page.
pub(super) struct Viewer {
    pub(super) session: Arc<Session>,
    /// The headers with which the key would be sent to the API.
    headers: HeaderMap,
    pub(super) rights: Rights,
}

/// The rights of a viewer.
pub(super) enum Rights {
    /// A key of the server.
    Operator,
    /// A key that this server made.
    Made(ApiKey),
    /// The admin key of this function.
    Function(i64),
    /// No key, on a server without keys: it lists functions, and deploys new ones.
    Nobody,
}

impl Rights {
    /// The rights that a key has now; `None` if it opens nothing, or nothing any more.
    ///
    /// # Errors
    /// `store`
    pub(super) async fn of(
        app: &App,
        headers: &HeaderMap,
        function: Option<i64>,
    ) -> Result<Option<Self>, Fault> {
        Ok(match sent_key(app, headers, None).await? {
            SentKey::Operator => Some(Self::Operator),
            SentKey::Made(key) => Some(Self::Made(key)),
            SentKey::Nothing => (!app.keys.are_set()).then_some(Self::Nobody),
            SentKey::OtherScheme | SentKey::Ended(_) => None,
            SentKey::Unknown => {
                let Some(id) = function else {
                    return Ok(None);
                };
                let known = app.store.function(id).await?;
                let given = crate::auth::given(headers).unwrap_or_default();
                known
                    .is_some_and(|function| function.admin_key_hash.matches(given))
                    .then_some(Self::Function(id))
            }
        })
    }

    /// The one function that the key is for.
    pub(super) fn bound_to(&self) -> Option<i64> {
        match self {
            Self::Operator | Self::Nobody => None,
            Self::Made(key) => key.function_id,
            Self::Function(id) => Some(*id),
        }
    }

    /// Returns whether a page may offer what takes this scope for a function. The API decides again when it is asked for.
    pub(super) fn may(&self, scope: Scope, function: i64) -> bool {
        match self {
            Self::Operator => true,
            Self::Nobody => false,
            Self::Function(id) => *id == function,
            Self::Made(key) => {
                key.scopes.allow(scope) && key.function_id.is_none_or(|own| own == function)
            }
        }
    }

    /// Returns whether a page may offer what takes this scope for all functions.
    pub(super) fn may_all(&self, scope: Scope) -> bool {
        match self {
            Self::Operator => true,
            // As the API has it: a server without keys lists its functions to everybody, and takes new ones.
            Self::Nobody => matches!(scope, Scope::Read | Scope::Deploy),
            Self::Function(_) => false,
            Self::Made(key) => key.scopes.allow(scope) && key.function_id.is_none(),
        }
    }

    /// Returns whether a page may offer what only operators may do.
    pub(super) fn operates(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Made(key) => key.scopes.allow(Scope::Admin) && key.function_id.is_none(),
            Self::Function(_) | Self::Nobody => false,
        }
    }

    /// A few words on the key, for the head of each page.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::Made(key) => key.label.clone(),
            Self::Function(id) => format!("admin key of {id}"),
            Self::Nobody => "no key".to_owned(),
        }
    }
}

impl Viewer {
    /// The viewer that a session stands for, if its key still opens something; the session ends otherwise.
    ///
    /// # Errors
    /// `store`
    pub(super) async fn of(
        console: &Console,
        session: Arc<Session>,
    ) -> Result<Option<Self>, Fault> {
        let headers = credentials(&session);
        match Rights::of(&console.app, &headers, session.function).await? {
            Some(rights) => Ok(Some(Self {
                session,
                headers,
                rights,
            })),
            None => {
                console.sessions.end(&session);
                Ok(None)
            }
        }
    }

    /// The function that a path names, if the viewer may see it.
    ///
    /// # Errors
    /// The refusals of the API.
    pub(super) async fn function(
        &self,
        console: &Console,
        id: &str,
        need: &[Scope],
    ) -> Result<Function, Fault> {
        access::function(&console.app, id, &self.headers, need).await
    }

    /// Admits a viewer with one of these scopes for all functions.
    ///
    /// # Errors
    /// The refusals of the API.
    pub(super) async fn server(&self, console: &Console, need: &[Scope]) -> Result<(), Fault> {
        access::server(&console.app, &self.headers, need)
            .await
            .map(drop)
    }

    /// Admits a viewer who may make and delete keys.
    ///
    /// # Errors
    /// The refusals of the API.
    pub(super) async fn operator(&self, console: &Console) -> Result<(), Fault> {
        access::operator(&console.app, &self.headers)
            .await
            .map(drop)
    }
}

/// The headers that authorise a request with the key of a session.
pub(super) fn credentials(session: &Session) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let key = session.key.as_deref();
    if let Some(mut value) = key.and_then(|key| HeaderValue::try_from(format!("Bearer {key}")).ok())
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

impl FromRequestParts<Arc<Console>> for Viewer {
    type Rejection = Response<Body>;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Self, Response<Body>> {
        let secure = console.is_secure(&parts.extensions);
        let session = cookie::session(&console.sessions, &parts.headers, secure);
        let viewer = match session {
            Some(session) => Self::of(console, session).await,
            None => Ok(None),
        };
        match viewer {
            Ok(Some(viewer)) => Ok(viewer),
            Ok(None) if parts.method == Method::GET && is_page(parts) => Err(to_sign_in(parts)),
            Ok(None) => Err(crate::reply::failure(&ended())),
            Err(fault) => Err(frame::failure(None, &fault)),
        }
    }
}

/// Returns whether a browser wants a page to show, and not something for a script.
fn is_page(parts: &Parts) -> bool {
    let mode = parts.headers.get("sec-fetch-mode");
    mode.is_none_or(|mode| mode == "navigate")
}

/// Leads to the page on which to sign in, and back.
fn to_sign_in(parts: &Parts) -> Response<Body> {
    let all = parts.uri.path_and_query();
    let next = all.map_or("/console", |all| all.as_str());
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    redirect(&format!("/console/sign-in?next={next}"))
}

/// An answer that leads to another page of the console.
pub(super) fn redirect(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/console"));
    response.headers_mut().insert(LOCATION, to);
    response
}

/// The query of a page, whose fields are those of `T`.
///
/// # Errors
/// `query`
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Fault> {
    Query::try_from_uri(uri)
        .map(|Query(of)| of)
        .map_err(|error| {
            let message = format!(
                "The query of the page is not valid: {}. Open the page from the navigation.",
                error.body_text()
            );
            Fault::new(FaultKind::Query, message)
        })
}

/// The fault of a request without a session.
pub(super) fn ended() -> Fault {
    let message = "The session has ended. Sign in again at /console/sign-in.";
    Fault::new(FaultKind::ConsoleSession, message)
}
