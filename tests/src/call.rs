//! Requests to a running server, and their answers.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::server::Server;

/// The answer of the server.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status, which is 200 for most failures of `/api`, as it was in 2020.
    pub http: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.text()))
    }

    /// A header as text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The true status of a run, from `iof-status`.
    ///
    /// # Panics
    /// If the answer does not carry it.
    pub fn status(&self) -> u16 {
        let status = self.header("iof-status");
        status
            .parse()
            .unwrap_or_else(|_| panic!("no iof-status in {:?}", self.headers))
    }

    /// The fault code of a run, empty if it succeeded.
    pub fn fault(&self) -> &str {
        self.header("iof-fault")
    }
}

/// The answer to an upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The number of the function.
    pub id: u64,
    /// The key that may change it.
    pub admin_key: String,
    /// The whole answer.
    pub json: Value,
}

impl Server {
    /// Builds any request: `request("GET", "/healthz")`.
    ///
    /// # Panics
    /// If the method is invalid.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// If no whole answer arrives.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (http, headers) = (response.status(), response.headers().clone());
        Ok(Answer {
            http,
            headers,
            body: response.bytes().await?.into(),
        })
    }

    /// Sends a request that must be answered.
    ///
    /// # Panics
    /// If it is not answered, with the server's log.
    pub async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        match self.send(request).await {
            Ok(answer) => answer,
            Err(e) => panic!("{e:?}\n{}", self.log()),
        }
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.answer(self.request("GET", path)).await
    }

    /// `POST /api/executables` of a module, which may be refused.
    pub async fn try_upload(&self, module: impl Into<Vec<u8>>) -> Answer {
        let request = self
            .request("POST", "/api/executables")
            .header("Content-Type", "application/octet-stream")
            .header("SSVM-Description", "uploaded by a test")
            .body(module.into());
        self.answer(request).await
    }

    /// `POST /api/executables` of a module that must be accepted.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn upload(&self, module: impl Into<Vec<u8>>) -> Uploaded {
        let answer = self.try_upload(module).await;
        assert!(
            answer.http.is_success(),
            "{} {}\n{}",
            answer.http,
            answer.text(),
            self.log()
        );
        let json = answer.json();
        let id = json["wasm_id"]
            .as_u64()
            .unwrap_or_else(|| panic!("no wasm_id in {json}"));
        let admin_key = json["SSVM_Admin_Key"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Uploaded {
            id,
            admin_key,
            json,
        }
    }

    /// `POST /api/run/{id}/{function}` with a `text/plain` body.
    pub async fn run(&self, id: u64, function: &str, text: impl Into<String>) -> Answer {
        let request = self
            .request("POST", &format!("/api/run/{id}/{function}"))
            .header("Content-Type", "text/plain")
            .body(text.into());
        self.answer(request).await
    }

    /// The same with stated types of the function, and a body that does not pass through JavaScript's numbers.
    pub async fn run_as(
        &self,
        id: u64,
        function: &str,
        signature: &str,
        text: impl Into<String>,
    ) -> Answer {
        let request = self
            .request("POST", &format!("/api/run/{id}/{function}"))
            .header("Content-Type", "text/plain; charset=utf-8")
            .header("iof-signature", signature)
            .body(text.into());
        self.answer(request).await
    }

    /// `POST /api/run/{id}/{function}/bytes` with an `application/octet-stream` body.
    pub async fn run_bytes(&self, id: u64, function: &str, bytes: impl Into<Vec<u8>>) -> Answer {
        let request = self
            .request("POST", &format!("/api/run/{id}/{function}/bytes"))
            .header("Content-Type", "application/octet-stream")
            .body(bytes.into());
        self.answer(request).await
    }
}
