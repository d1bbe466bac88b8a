//! Talking to a server: what every command that does so shares.

use crate::args::Remote;
use crate::escape::line;
use crate::fail;
use crate::profile::{LOCAL, Profiles};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use iof_egress::{
    Addresses, Config, Egress, Outbound, Rules, SecretInjections, parse_outbound_url,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value as Json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// Longer than the server lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(100);
/// The largest module and the largest result that are sent and taken.
const MOST: u64 = 1 << 30;

/// A server, and the key for it.
pub(crate) struct Client {
    egress: Egress,
    rules: Rules,
    server: Url,
    key: Option<HeaderValue>,
    profiles: Profiles,
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

/// What a name in a path must not hold as it is.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// One segment of a path.
pub(crate) fn segment(text: &str) -> String {
    match text {
        // They would be taken for steps.
        "." | ".." => text.replace('.', "%2E"),
        _ => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

impl Client {
    /// # Errors
    /// What is wrong with an option, by its name.
    pub(crate) fn new(remote: &Remote) -> Result<Self, String> {
        let profiles = Profiles::load()?;
        // A profile that is named has to be there; one that is not is of no matter to whoever says all.
        let profile = match (&remote.profile, &remote.server) {
            (None, Some(_)) => None,
            (name, _) => profiles.find(name.as_deref())?,
        };
        let place = remote.server.as_deref();
        let place = place
            .or(profile.map(|profile| &*profile.server))
            .unwrap_or(LOCAL);
        let server = parse_outbound_url(place).map_err(|error| format!("--server: {error}"))?;
        let key = remote
            .key
            .as_ref()
            .or(profile.and_then(|profile| profile.key.as_ref()));
        let cacert = remote
            .cacert
            .as_ref()
            .or(profile.and_then(|profile| profile.cacert.as_ref()));
        let config = Config {
            // The user's own rights and the user's own server: this is no function.
            addresses: Addresses::Any,
            ca_files: cacert.into_iter().cloned().collect(),
            first_byte_timeout: PATIENCE,
            total_timeout: PATIENCE,
            max_redirects: 0,
            max_request: bytesize::ByteSize(MOST),
            max_response: bytesize::ByteSize(MOST),
            ..Config::default()
        };
        let egress = Egress::new(config).map_err(|error| error.to_string())?;
        let rules = ["* http://*:*", "* https://*:*"];
        Ok(Self {
            egress,
            rules: rules.iter().filter_map(|rule| rule.parse().ok()).collect(),
            key: key.map(|key| bearer(key)).transpose()?,
            server,
            profiles,
        })
    }

    /// The same, for one function: if no key was given, with the admin key that a deploy from here was given.
    pub(crate) fn of(mut self, function: &str) -> Self {
        if self.key.is_none() {
            let known = self.profiles.admin_keys.get(self.origin());
            let key = known.and_then(|known| known.get(function));
            self.key = key.and_then(|key| bearer(key).ok());
        }
        self
    }

    /// Another client of the same server, for one function.
    pub(crate) fn new_like(other: &Self, function: &str) -> Self {
        let like = Self {
            egress: other.egress.clone(),
            rules: other.rules.clone(),
            server: other.server.clone(),
            key: other.key.clone(),
            profiles: other.profiles.clone(),
        };
        like.of(function)
    }

    /// Keeps the admin key of a function under its number and its name.
    pub(crate) fn remember(&mut self, names: &[String], key: &str) -> Result<(), String> {
        // Another command may have written meanwhile.
        self.profiles = Profiles::load()?;
        let origin = self.origin().to_owned();
        let known = self.profiles.admin_keys.entry(origin).or_default();
        for name in names {
            known.insert(name.clone(), key.to_owned());
        }
        self.profiles.save().map(drop)
    }

    /// Forgets it.
    pub(crate) fn forget(&mut self, names: &[String]) -> Result<(), String> {
        self.profiles = Profiles::load()?;
        let origin = self.origin().to_owned();
        let Some(known) = self.profiles.admin_keys.get_mut(&origin) else {
            return Ok(());
        };
        let before = known.len();
        known.retain(|name, _| !names.contains(name));
        match known.len() == before {
            true => Ok(()),
            false => self.profiles.save().map(drop),
        }
    }

    /// Where a path of the server is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    fn origin(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    /// Asks for a path below the server, and reads JSON; `Null` if the answer has no body.
    ///
    /// # Errors
    /// What the server says is wrong, or why it does not answer.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Json, String> {
        let response = self.send(method, path, &[], body).await?;
        self.json(response)
    }

    /// The same with a body of JSON.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn tell(
        &self,
        method: Method,
        path: &str,
        body: &Json,
    ) -> Result<Json, String> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let headers = [(CONTENT_TYPE, JSON)];
        let response = self.send(method, path, &headers, body.to_string()).await?;
        self.json(response)
    }

    /// The JSON of an answer, if it is one of success.
    ///
    /// # Errors
    /// What the server says is wrong.
    pub(crate) fn json(&self, response: Response<Bytes>) -> Result<Json, String> {
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
                Err(match (status, &self.key) {
                    (StatusCode::UNAUTHORIZED, None) => {
                        format!("{said} (--key, IOF_KEY, or `iof login`)")
                    }
                    _ => said,
                })
            }
            None => Err(format!(
                "{} answered {status}, and not as a server of iof does",
                self.server
            )),
        }
    }

    /// Sends a request, and takes any answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, String> {
        let url = self.url(path);
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|_| format!("{url} is no URL"))?;
        request.headers_mut().extend(headers.iter().cloned());
        if let Some(key) = &self.key {
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
            deadline: Instant::now() + PATIENCE,
            max_redirects: None,
            retries: 0,
            decode: false,
        };
        self.egress.send(&context, request).await.map_err(|error| {
            format!(
                "{}: {error}. Is the server running there? `iof serve` starts one; --server, or `iof login`, says where.",
                self.server
            )
        })
    }
}

fn bearer(key: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(&format!("Bearer {key}"));
    let mut value = value.map_err(|_| "--key: it has characters that no key has")?;
    value.set_sensitive(true);
    Ok(value)
}
