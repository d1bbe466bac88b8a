//! `http_proxy` as a function runs it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iof_command::{CallContext, Grants, Output, Refusal, Registry, Request};
use iof_commands::http_proxy::HttpProxy;
use iof_egress::{Config, Egress};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{Upstream, quick, rules};

/// A server process with this one command, whose functions may reach `a.test`.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
    pub(crate) call: CallContext,
    pub(crate) server: Upstream,
}

pub(crate) async fn setup(server: Upstream) -> Setup {
    with_config(server, quick())
}

pub(crate) fn with_config(server: Upstream, config: Config) -> Setup {
    let pin = vec![server.pin("a.test"), server.pin("denied.test")];
    let mut registry = Registry::new();
    registry.register(HttpProxy::new(
        Egress::new(Config { pin, ..config }).unwrap(),
    ));
    let outbound = rules(&[
        "* http://a.test:*",
        "* https://a.test:*",
        "* http://*",
        "* https://*",
    ]);
    let grants = Grants {
        outbound,
        ..Grants::as_shipped()
    };
    let call = CallContext {
        call: Uuid::now_v7(),
        function: "send_email".into(),
        function_id: 7,
        version: 2,
        secrets: Arc::default(),
        grants: Arc::new(grants),
        depth: 0,
        deadline: Instant::now() + Duration::from_secs(30),
        trace: None,
    };
    Setup {
        registry,
        call,
        server,
    }
}

impl Setup {
    pub(crate) async fn try_run(
        &self,
        args: &[&str],
        stdin: &'static str,
        timeout: Duration,
    ) -> Result<Output, Refusal> {
        let url = |arg: &&str| arg.replace("PORT", &self.server.port().to_string());
        let args = args.iter().map(url).collect();
        let request = Request {
            args,
            env: Vec::new(),
            stdin: stdin.into(),
            timeout,
        };
        self.registry.run(&self.call, "http_proxy", request).await
    }

    pub(crate) async fn run(&self, args: &[&str], stdin: &'static str) -> Output {
        self.try_run(args, stdin, Duration::from_secs(30))
            .await
            .unwrap()
    }

    /// The failure of `args`: its status, and its one line without the program's name.
    pub(crate) async fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args, "").await;
        let stderr = String::from_utf8(output.stderr.to_vec()).unwrap();
        assert!(output.stdout.is_empty());
        assert_eq!(stderr.matches('\n').count(), 1, "one line: {stderr:?}");
        let line = stderr
            .strip_prefix("http_proxy: ")
            .unwrap()
            .strip_suffix('\n')
            .unwrap();
        (output.status, line.to_owned())
    }
}

pub(crate) fn ok(stdout: impl Into<Bytes>) -> Output {
    Output {
        status: 0,
        stdout: stdout.into(),
        ..Output::default()
    }
}
