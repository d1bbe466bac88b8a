//! Deploys with grants, and secrets: the parts of `/v1` that other tests use.

use crate::call::{Answer, Uploaded};
use crate::server::Server;
use serde_json::Value;

impl Server {
    /// `POST /v1/functions` of a module and its function.toml, which may be refused.
    pub async fn try_deploy(&self, module: impl Into<Vec<u8>>, declaration: &str) -> Answer {
        let request = self.request("POST", "/v1/functions");
        self.answer(form(request, module.into(), declaration)).await
    }

    /// The same with a name, and a key of the server.
    pub async fn try_deploy_named(
        &self,
        name: &str,
        key: &str,
        module: impl Into<Vec<u8>>,
        declaration: &str,
    ) -> Answer {
        let request = self.request("POST", &format!("/v1/functions?name={name}"));
        let request = request.bearer_auth(key);
        self.answer(form(request, module.into(), declaration)).await
    }

    /// `POST /v1/functions` of a module and its function.toml, which must be accepted.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(&self, module: impl Into<Vec<u8>>, declaration: &str) -> Uploaded {
        let answer = self.try_deploy(module, declaration).await;
        assert_eq!(answer.http, 201, "{}\n{}", answer.text(), self.log());
        let json = answer.json();
        Uploaded {
            id: json["function"].as_u64().expect("a number"),
            admin_key: json["admin_key"].as_str().expect("a key").to_owned(),
            json,
        }
    }

    /// The next version of a function, which may be refused.
    pub async fn try_deploy_version(
        &self,
        function: &Uploaded,
        module: impl Into<Vec<u8>>,
        declaration: &str,
    ) -> Answer {
        self.try_roll_out(function, "", module, declaration).await
    }

    /// The next version of a function, rolled out as the query says: `?canary=10`.
    pub async fn try_roll_out(
        &self,
        function: &Uploaded,
        query: &str,
        module: impl Into<Vec<u8>>,
        declaration: &str,
    ) -> Answer {
        let path = format!("/v1/functions/{}/versions{query}", function.id);
        let request = self.request("POST", &path);
        let request = request.bearer_auth(&function.admin_key);
        self.answer(form(request, module.into(), declaration)).await
    }

    /// Sends `PUT /v1/functions/{id}/secrets/{name}`.
    pub async fn set_secret(&self, function: &Uploaded, name: &str, value: &str) -> Answer {
        let path = format!("/v1/functions/{}/secrets/{name}", function.id);
        let request = self.request("PUT", &path).bearer_auth(&function.admin_key);
        self.answer(request.body(value.to_owned())).await
    }

    /// `GET path` as the holder of a function's admin key.
    ///
    /// # Panics
    /// If the answer is not JSON of status 200.
    pub async fn read_as(&self, function: &Uploaded, path: &str) -> Value {
        let request = self.request("GET", path).bearer_auth(&function.admin_key);
        let answer = self.answer(request).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        answer.json()
    }
}

/// A form of two parts, as sent by `curl -F module=@… -F function=@…`.
fn form(
    request: reqwest::RequestBuilder,
    module: Vec<u8>,
    declaration: &str,
) -> reqwest::RequestBuilder {
    const BOUNDARY: &str = "------------------------f1c5b7e0a2d94863";
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"function\"; filename=\"function.toml\"\r\n\r\n\
         {declaration}\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"module\"; filename=\"f.wasm\"\r\n\
         Content-Type: application/wasm\r\n\r\n"
    )
    .into_bytes();
    body.extend(module);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    request
        .header(
            "Content-Type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body)
}
