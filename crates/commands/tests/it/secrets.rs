//! `http_proxy` with secrets that the host attaches.

use std::sync::Arc;
use std::time::Duration;

use iof_command::{CallContext, Grants, Registry, Request};
use iof_commands::http_proxy::HttpProxy;
use iof_egress::{Config, Egress, SecretInjection, SecretInjections, SecretLocation, SecretValue};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{Upstream, quick, rules, text};

#[tokio::test]
async fn the_calls_secrets_are_attached_and_masked() {
    let server = Upstream::http(|request, _| {
        let sent = request.headers.get("authorization");
        let value = sent.map_or("none", |value| value.to_str().unwrap());
        let valid = value == "Bearer s3cret-token";
        text(200, format!("{valid} {value}"))
    })
    .await;
    let config = Config {
        pin: vec![server.pin("a.test")],
        ..quick()
    };
    let mut registry = Registry::new();
    registry.register(HttpProxy::new(Egress::new(config).unwrap()));
    let attachment = SecretInjection::new(
        "GET http://a.test:*/v1".parse().unwrap(),
        SecretLocation::Header(http::header::AUTHORIZATION),
        "Bearer {TOKEN}".parse().unwrap(),
        SecretValue::new("s3cret-token").unwrap(),
    );
    let grants = Grants {
        outbound: rules(&["* http://a.test:*"]),
        ..Grants::as_shipped()
    };
    let call = CallContext {
        call: Uuid::now_v7(),
        function: "send_email".into(),
        function_id: 7,
        version: 2,
        grants: Arc::new(grants),
        secrets: Arc::new(SecretInjections::new(vec![attachment.unwrap()]).unwrap()),
        depth: 0,
        deadline: Instant::now() + Duration::from_secs(30),
        trace: None,
    };
    for (path, body) in [("/v1/x", "true Bearer ***"), ("/v2", "false none")] {
        let request = Request {
            args: vec!["get".to_owned(), server.url("a.test", path)],
            env: Vec::new(),
            stdin: "".into(),
            timeout: Duration::from_secs(30),
        };
        let output = registry.run(&call, "http_proxy", request).await.unwrap();
        assert_eq!(output.stdout, body, "{path}");
    }
}
