//! Talking to a server: what `iof secret`, `iof egress` and `iof replay` share.

use crate::args::Remote;
use crate::fail;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, StatusCode};
use iof_egress::{Addresses, Attachments, Config, Egress, Outbound, Rules, admit};
use serde_json::Value as Json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// Longer than the server lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(100);

/// A server, and the key for it.
pub(crate) struct Client {
    egress: Egress,
    rules: Rules,
    server: Url,
    key: Option<HeaderValue>,
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

impl Client {
    /// # Errors
    /// What is wrong with an option, by its name.
    pub(crate) fn new(remote: &Remote) -> Result<Self, String> {
        let server = admit(&remote.server).map_err(|error| format!("--server: {error}"))?;
        let key = match &remote.key {
            None => None,
            Some(key) => {
                let value = HeaderValue::from_str(&format!("Bearer {key}"));
                let mut value = value.map_err(|_| "--key: it has characters that no key has")?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let config = Config {
            // The user's own rights and the user's own server: this is no function.
            addresses: Addresses::Any,
            ca_files: remote.cacert.iter().cloned().collect(),
            first_byte_timeout: PATIENCE,
            total_timeout: PATIENCE,
            max_redirects: 0,
            ..Config::default()
        };
        let egress = Egress::new(config).map_err(|error| error.to_string())?;
        let rules = ["* http://*:*", "* https://*:*"];
        Ok(Self {
            egress,
            rules: rules.iter().filter_map(|rule| rule.parse().ok()).collect(),
            server,
            key,
        })
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
        let url = self.server.join(path).map_err(|error| error.to_string())?;
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| format!("{url} is no URL"))?;
        if let Some(key) = &self.key {
            request.headers_mut().insert(AUTHORIZATION, key.clone());
        }
        let context = Outbound {
            call: Uuid::nil(),
            function: "iof",
            function_id: 0,
            version: 0,
            rules: &self.rules,
            secrets: Attachments::NONE,
            depth: 0,
            deadline: Instant::now() + PATIENCE,
            max_redirects: None,
            retries: 0,
            decode: false,
        };
        let response = self.egress.send(&context, request).await.map_err(|error| {
            format!(
                "{}: {error}. Is the server running there? --server says where.",
                self.server
            )
        })?;
        let (status, body) = (response.status(), response.into_body());
        if status.is_success() && body.is_empty() {
            return Ok(Json::Null);
        }
        let json: Option<Json> = serde_json::from_slice(&body).ok();
        match json {
            Some(json) if status.is_success() => Ok(json),
            Some(json) => {
                let said = json["error"].as_str().map(str::to_owned);
                let said = said.unwrap_or_else(|| format!("the server answered {status}"));
                Err(match (status, &self.key) {
                    (StatusCode::UNAUTHORIZED, None) => format!("{said} (--key, or IOF_KEY)"),
                    _ => said,
                })
            }
            None => Err(format!(
                "{} answered {status}, and not as a server of iof does",
                self.server
            )),
        }
    }
}
