//! The kinds of modules that run the scenarios of `tests/guests/scenarios`, and how each is called.

use crate::{
    call::{Answer, Uploaded},
    guests::{guest, handler_component, program_component},
    server::Server,
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A kind of module that runs the scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A core module with a function of the crate `iof-guest`.
    CoreFunction,
    /// A core module with a `main`, of WASI preview 1.
    CoreProgram,
    /// A component with an exported function.
    TypedComponent,
    /// A component with `wasi:cli/run` 0.2.
    ProgramComponent,
    /// A component with `wasi:http/incoming-handler` 0.2.
    HttpComponent,
    /// A component with an exported asynchronous function, over the interfaces of WASI 0.3.
    AsyncTypedComponent,
    /// A component with `wasi:cli/run` 0.3.
    AsyncProgramComponent,
    /// A component with `wasi:http/handler` 0.3.
    AsyncHttpComponent,
}

impl Kind {
    /// The module.
    pub fn module(self) -> Vec<u8> {
        match self {
            Self::CoreFunction => guest("scenario-function"),
            Self::CoreProgram => guest("scenario-program"),
            Self::TypedComponent => handler_component("scenario-typed"),
            Self::ProgramComponent => program_component("scenario-command"),
            Self::HttpComponent => handler_component("scenario-http"),
            Self::AsyncTypedComponent => handler_component("scenario-typed-0-3"),
            Self::AsyncProgramComponent => handler_component("scenario-command-0-3"),
            Self::AsyncHttpComponent => handler_component("scenario-http-0-3"),
        }
    }

    /// Returns whether it has the interfaces of components, `wasi:http` among them.
    pub fn is_component(self) -> bool {
        !matches!(self, Self::CoreFunction | Self::CoreProgram)
    }

    /// Returns whether its stdout is its result, and not its log.
    pub fn prints_its_result(self) -> bool {
        matches!(
            self,
            Self::CoreProgram | Self::ProgramComponent | Self::AsyncProgramComponent
        )
    }

    /// Returns whether it answers HTTP requests itself, and so is not recorded.
    pub fn takes_http(self) -> bool {
        matches!(self, Self::HttpComponent | Self::AsyncHttpComponent)
    }

    /// The request that runs a scenario.
    pub fn request(
        self,
        server: &Server,
        function: u64,
        scenario: &str,
        arguments: &[&str],
    ) -> RequestBuilder {
        let post = |path: String, body: Value| server.request("POST", &path).json(&body);
        match self {
            Self::CoreFunction | Self::TypedComponent | Self::AsyncTypedComponent => post(
                format!("/v1/functions/{function}/call/scenario"),
                json!({ "name": scenario, "arguments": arguments }),
            ),
            Self::CoreProgram | Self::ProgramComponent | Self::AsyncProgramComponent => {
                let words: Vec<_> = [&[scenario][..], arguments].concat();
                let path = format!("/v1/functions/{function}/call/main");
                post(path, json!({ "stdin": "", "args": words }))
            }
            Self::HttpComponent | Self::AsyncHttpComponent => {
                post(format!("/fn/{function}/{scenario}"), json!(arguments))
            }
        }
    }
}

/// A deployed module of one kind.
pub struct Subject<'a> {
    /// The server on which it is.
    pub server: &'a Server,
    /// Its kind.
    pub kind: Kind,
    /// The function.
    pub function: Uploaded,
}

impl<'a> Subject<'a> {
    /// Deploys the module of a kind.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(server: &'a Server, kind: Kind, declaration: &str) -> Self {
        let function = server.deploy(kind.module(), declaration).await;
        Self {
            server,
            kind,
            function,
        }
    }

    /// Runs a scenario.
    pub async fn run(&self, scenario: &str, arguments: &[&str]) -> Answer {
        let request = self
            .kind
            .request(self.server, self.function.id, scenario, arguments);
        self.server.answer(request).await
    }

    /// The text of a scenario that must end well.
    ///
    /// # Panics
    /// If it ends in a fault.
    pub async fn text(&self, scenario: &str, arguments: &[&str]) -> String {
        let answer = self.run(scenario, arguments).await;
        let text = answer.text();
        assert_eq!(answer.fault(), "", "{:?} {scenario}: {text}", self.kind);
        text
    }

    /// The same as JSON.
    ///
    /// # Panics
    /// If it ends in a fault, or is not JSON.
    pub async fn json(&self, scenario: &str, arguments: &[&str]) -> Value {
        let text = self.text(scenario, arguments).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The result of a command.
    pub async fn command(&self, command: &Value) -> Value {
        self.json("command", &[&command.to_string()]).await
    }

    /// The row of a call in the log.
    ///
    /// # Panics
    /// If there is none after ten seconds.
    pub async fn row(&self, call: &str) -> Value {
        let path = format!("/v1/functions/{}/logs", self.function.id);
        let began = Instant::now();
        loop {
            let logs = self.server.read_as(&self.function, &path).await;
            let rows = logs["logs"].as_array().unwrap();
            if let Some(row) = rows.iter().find(|row| row["call"] == call) {
                return row.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{call}: {logs}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
