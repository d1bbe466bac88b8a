//! The console at `/console`: signing in and out, what a key opens, and what people see in Chromium.

mod access;
mod bounds;
mod pages;
mod sessions;

use iof_tests::call::Answer;
use iof_tests::server::Server;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

pub(super) const KEY: &str = "a key of the server's";
pub(super) const KEYS: &str = "[auth]\nkeys = [\"a key of the server's\"]\n";

/// A browser that is signed in, as far as a program can be one.
pub(super) struct Browser<'a> {
    server: &'a Server,
    client: reqwest::Client,
    /// The cookie that it was given.
    pub(super) cookie: String,
    /// The token of its pages.
    pub(super) token: String,
}

/// A client that goes where it is led by itself only.
pub(super) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(Policy::none());
    builder.no_proxy().build().unwrap()
}

/// A text as a part of a path, a query or a form.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Sends the form of a sign-in; `more` are fields beside the key.
pub(super) async fn try_sign_in(server: &Server, key: &str, more: &str) -> Answer {
    let key = encoded(key);
    let request = client()
        .post(format!("{}/console/sign-in", server.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("key={key}{more}"));
    server.answer(request).await
}

impl<'a> Browser<'a> {
    pub(super) async fn sign_in(server: &'a Server, key: &str) -> Self {
        Self::sign_in_with(server, key, "").await
    }

    pub(super) async fn sign_in_with(server: &'a Server, key: &str, more: &str) -> Self {
        let answer = try_sign_in(server, key, more).await;
        assert_eq!(answer.http, 303, "{}", answer.text());
        let set = answer.header("set-cookie").to_owned();
        let cookie = set.split(';').next().unwrap().to_owned();
        let mut browser = Self {
            server,
            client: client(),
            cookie,
            token: String::new(),
        };
        // Whoever may see little sees a refusal, which has the token, too.
        let page = browser.get("/console/keys").await.text();
        let token = page.split("name=\"iof-csrf\" content=\"").nth(1);
        browser.token = token
            .unwrap_or_else(|| panic!("{page}"))
            .split('"')
            .next()
            .unwrap()
            .into();
        browser
    }

    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.server.url);
        let request = self.client.request(method.parse().unwrap(), url);
        request.header("cookie", &self.cookie)
    }

    /// A page, as it is answered, without going where it leads.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.server.answer(self.request("GET", path)).await
    }

    /// The status and the fault of an answer whose body may have no end.
    pub(super) async fn head(&self, path: &str) -> (u16, String) {
        let answer = self.request("GET", path).send().await.unwrap();
        let fault = answer.headers().get("iof-fault");
        let fault = fault.map_or("", |fault| fault.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), fault)
    }

    /// Asks the API for something, as the scripts of the console do.
    pub(super) async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = self
            .request(method, path)
            .header("iof-console", &self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        self.server.answer(request).await
    }
}

/// Makes a key, and returns its number and the key itself.
pub(super) async fn make_key(
    server: &Server,
    scopes: &[&str],
    function: Option<&str>,
) -> (i64, String) {
    let mut wish = json!({ "label": "made by a test", "scopes": scopes });
    if let Some(function) = function {
        wish["function"] = function.into();
    }
    let request = server
        .request("POST", "/v1/keys")
        .bearer_auth(KEY)
        .json(&wish);
    let made = server.answer(request).await;
    assert_eq!(made.http, 201, "{}", made.text());
    let made = made.json();
    (
        made["id"].as_i64().unwrap(),
        made["key"].as_str().unwrap().to_owned(),
    )
}
