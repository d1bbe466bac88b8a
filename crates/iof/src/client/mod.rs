//! The client of a server, which all commands that connect to one share.
//!
//! The key is chosen at the first request: the given one, or else the stored keys of this server (`keys`), in turn
//! until the server accepts one.
//!
//! More than 400 lines: the client of the API has a method for each of its resources.

mod advice;
mod failures;
mod keys;
mod patience;

use crate::args::Remote;
use crate::escape::line;
use crate::fail;
use crate::profile::{LOCAL, Profile, Profiles, dev_of_project};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use iof_egress::{
    Addresses, Config, Egress, Outbound, Rules, SecretInjections, parse_outbound_url,
};
use keys::{Function, Keys, bearer};
use patience::UPLOAD_PATIENCE;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value as Json;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// The largest module that is sent and the largest result that is received, in bytes.
const MOST: u64 = 1 << 30;

/// A server, and the keys for it.
pub(crate) struct Client {
    egress: Egress,
    rules: Rules,
    server: Url,
    /// The given key; if there is one, no other is sent.
    given: Option<HeaderValue>,
    /// The profile that names the server.
    profile: Option<Profile>,
    profiles: Profiles,
    function: Function,
    about: OnceCell<Json>,
    keys: OnceCell<Keys>,
    /// The index of a key that was accepted.
    works: AtomicUsize,
    /// True if `--dev` named the server.
    is_dev: bool,
}

/// Runs a command to its end.
pub(crate) fn run(command: impl Future<Output = Result<ExitCode, String>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(2, format!("no runtime: {error}")),
    };
    runtime
        .block_on(command)
        .unwrap_or_else(|message| fail(2, message))
}

/// The faults for an insufficient key; to such a key, a private function seems not to exist. A function's own fault
/// never has one of these codes.
const REFUSALS: [&str; 6] = [
    "admin-key",
    "jobs-undeclared",
    "key",
    "no-such-function",
    "scope",
    "usage-key",
];

/// The characters that must be encoded in a segment of a path or a value of a query.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// One segment of a path, or a value of a query.
pub(crate) fn segment(text: &str) -> String {
    match text {
        // Segments of dots would be resolved.
        "." | ".." => text.replace('.', "%2E"),
        _ => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

/// The URL of a server, as a user types it.
fn server_url(text: &str) -> Result<Url, String> {
    if !text.contains("://") {
        return Err(format!(
            "SERVER has no scheme: got {text}. Write http://{text} or https://{text}."
        ));
    }
    parse_outbound_url(text).map_err(|error| format!("SERVER: {error}"))
}

impl Client {
    /// # Errors
    /// An error that names the option.
    pub(crate) fn new(remote: &Remote) -> Result<Self, String> {
        let profiles = Profiles::load()?;
        // Several may run: the one of this project takes precedence over the one that started last.
        let here = match remote.dev {
            true => std::env::current_dir()
                .ok()
                .and_then(|folder| dev_of_project(&folder)),
            false => None,
        };
        let profile =
            match (remote.dev, &remote.profile, &remote.server) {
                (true, ..) => Some(here.as_ref().or(profiles.dev.as_ref()).ok_or(
                    "--dev: no server of `iof dev` is known here. `iof dev` starts one. To use one that already runs, restart it, or give its address and key: --server http://127.0.0.1:8787 --key \"$(cat target/iof-dev/key)\", in its project.",
                )?),
                // A named profile has to exist; a missing default one does not matter if the options name the server.
                (_, None, Some(_)) => None,
                (_, name, _) => profiles.find(name.as_deref())?,
            };
        let profile = profile.cloned();
        let named = match remote.dev {
            true => None,
            false => remote.server.as_deref(),
        };
        let place = named
            .or(profile.as_ref().map(|profile| &*profile.server))
            .unwrap_or(LOCAL);
        let server = server_url(place)?;
        keys::keep_to_its_server(remote)?;
        let cacert = remote
            .cacert
            .as_ref()
            .or(profile.as_ref().and_then(|profile| profile.cacert.as_ref()));
        let config = Config {
            // The user chose the server, and the request does not come from a function.
            addresses: Addresses::Any,
            ca_files: cacert.into_iter().cloned().collect(),
            first_byte_timeout: UPLOAD_PATIENCE,
            total_timeout: UPLOAD_PATIENCE,
            // A function may answer with a redirect; the server itself never does.
            answers_redirects: true,
            max_request: bytesize::ByteSize(MOST),
            max_response: bytesize::ByteSize(MOST),
            ..Config::default()
        };
        let egress = Egress::new(config).map_err(|error| error.to_string())?;
        let rules = ["* http://*:*", "* https://*:*"];
        Ok(Self {
            egress,
            rules: rules.iter().filter_map(|rule| rule.parse().ok()).collect(),
            given: remote.key.as_deref().map(bearer).transpose()?,
            server,
            profile,
            profiles,
            function: Function::None,
            about: OnceCell::new(),
            keys: OnceCell::new(),
            works: AtomicUsize::new(0),
            is_dev: remote.dev,
        })
    }

    /// Makes the client try the admin keys of one function from earlier deploys, too.
    pub(crate) fn of(self, function: &str) -> Self {
        self.with(Function::One(function.to_owned()))
    }

    /// Makes the client try the admin keys of all functions, if the function is not known.
    pub(crate) fn of_any(self) -> Self {
        self.with(Function::All)
    }

    fn with(self, function: Function) -> Self {
        Self {
            function,
            // A key may have been stored meanwhile.
            profiles: Profiles::load().unwrap_or(self.profiles),
            keys: OnceCell::new(),
            works: AtomicUsize::new(0),
            ..self
        }
    }

    /// Another client of the same server, for one function.
    pub(crate) fn new_like(other: &Self, function: &str) -> Self {
        Self {
            egress: other.egress.clone(),
            rules: other.rules.clone(),
            server: other.server.clone(),
            given: other.given.clone(),
            profile: other.profile.clone(),
            profiles: Profiles::load().unwrap_or_else(|_| other.profiles.clone()),
            function: Function::One(function.to_owned()),
            about: other.about.clone(),
            keys: OnceCell::new(),
            works: AtomicUsize::new(0),
            is_dev: other.is_dev,
        }
    }

    /// The URL of a path of the server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    pub(crate) fn origin(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    /// The server's description of itself: its identity, whether it has keys, and the rights of the given key.
    ///
    /// # Errors
    /// An error if the server is not iof, or does not answer.
    pub(crate) async fn about(&self) -> Result<&Json, String> {
        let ask = || async {
            let (path, empty) = ("/v1/server", Bytes::new());
            let answer = self.try_send(&Method::GET, path, &[], &empty, self.given.as_ref());
            let answer = answer.await?;
            let status = answer.status();
            let about: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
            match about["id"].is_string() {
                true => Ok(about),
                false => Err(self.foreign(status)),
            }
        };
        self.about.get_or_try_init(ask).await
    }

    /// The same description for the first key that is sent.
    ///
    /// # Errors
    /// The errors of [`Client::about`].
    pub(crate) async fn who(&self) -> Result<Json, String> {
        self.ask(Method::GET, "/v1/server", "").await
    }

    /// The answer to a path of the probes, which no key is sent to.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) async fn probe(&self, path: &str) -> Result<Response<Bytes>, String> {
        self.try_send(&Method::GET, path, &[], &Bytes::new(), None)
            .await
    }

    async fn id(&self) -> Result<String, String> {
        let about = self.about().await?;
        Ok(about["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Sends a request for a path below the server, and reads JSON; `Null` if the answer has no body.
    ///
    /// # Errors
    /// The error of the server, or the reason why it does not answer.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Json, String> {
        let response = self.send(method, path, &[], body).await?;
        self.read(response).await
    }

    /// Sends a request with a JSON body, and reads JSON.
    ///
    /// # Errors
    /// The errors of [`Client::ask`].
    pub(crate) async fn tell(
        &self,
        method: Method,
        path: &str,
        body: &Json,
    ) -> Result<Json, String> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let headers = [(CONTENT_TYPE, JSON)];
        let response = self.send(method, path, &headers, body.to_string()).await?;
        self.read(response).await
    }

    async fn read(&self, response: Response<Bytes>) -> Result<Json, String> {
        let next = self.which(&response).await;
        self.json(response).map_err(|said| said + &next)
    }

    /// The JSON of a successful answer.
    ///
    /// # Errors
    /// The error of the server.
    pub(crate) fn json(&self, response: Response<Bytes>) -> Result<Json, String> {
        let wants_key = response.headers().contains_key(WWW_AUTHENTICATE);
        let (status, body) = (response.status(), response.into_body());
        if status.is_success() && body.is_empty() {
            return Ok(Json::Null);
        }
        let json: Option<Json> = serde_json::from_slice(&body).ok();
        match json {
            Some(json) if status.is_success() => Ok(json),
            Some(json) => {
                let said = json["error"].as_str().map(|said| line(said).into_owned());
                let said = said.unwrap_or_else(|| format!("the server answered {status}"));
                Err(match wants_key {
                    true => said + &self.way_back(),
                    false => said,
                })
            }
            None => Err(self.foreign(status)),
        }
    }

    /// Sends a request, with each key in turn while it is refused, and returns any answer.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, String> {
        let body = body.into();
        let keys = &self.keys().await?.keys;
        let first = self.works.load(Ordering::Relaxed);
        let answer = self
            .try_send(&method, path, headers, &body, keys.get(first))
            .await?;
        // A function may answer 401 or 403 itself: it has then run, and must not be called again with another key.
        let refused = |answer: &Response<Bytes>| {
            let fault = answer.headers().get("iof-fault");
            fault.is_some_and(|fault| REFUSALS.iter().any(|refusal| fault == refusal))
        };
        if !refused(&answer) {
            return Ok(answer);
        }
        for (at, key) in keys.iter().enumerate().filter(|(at, _)| *at != first) {
            let next = self
                .try_send(&method, path, headers, &body, Some(key))
                .await?;
            if !refused(&next) {
                self.works.store(at, Ordering::Relaxed);
                return Ok(next);
            }
        }
        // The remedies in the message depend on the server.
        let _ = self.about().await;
        Ok(answer)
    }

    async fn try_send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: &Bytes,
        key: Option<&HeaderValue>,
    ) -> Result<Response<Bytes>, String> {
        let url = self.url(path);
        let mut request = Request::new(body.clone());
        *request.method_mut() = method.clone();
        *request.uri_mut() = url.parse().map_err(|_| format!("not a URL: got {url}"))?;
        request.headers_mut().extend(headers.iter().cloned());
        if let Some(key) = key {
            request.headers_mut().insert(AUTHORIZATION, key.clone());
        }
        let context = Outbound {
            call: Uuid::nil(),
            function: "iof",
            function_id: 0,
            version: 0,
            rules: &self.rules,
            secrets: SecretInjections::NONE,
            depth: 0,
            deadline: Instant::now() + patience::of(headers),
            max_redirects: None,
            retries: 0,
            decode: false,
            trace: None,
        };
        let answer = self.egress.send(&context, request).await;
        let answer = answer.map_err(|error| self.unreachable(&error.to_string()))?;
        // Every answer of iof has the id of its call or of its request.
        let headers = answer.headers();
        match headers.contains_key("iof-call") || headers.contains_key("iof-request") {
            true => Ok(answer),
            false => Err(self.foreign(answer.status())),
        }
    }
}
