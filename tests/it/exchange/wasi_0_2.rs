//! Handlers of WASI 0.2 only: fields that a guest fills, configuration, and sockets.

use super::{get, handler, path};
use iof_tests::guests::handler_component;
use iof_tests::server::Server;

/// `p2_api_proxy` (`/new_fields/N`, `/modify_fields/N`): what a guest makes of header fields is bounded, and another call is
/// not touched. 0.2 has no error for it.
#[tokio::test]
async fn fields_have_a_size() {
    let (server, function) = handler("").await;
    for check in ["new-fields", "modified-fields"] {
        // A field has 10 bytes, and 32 or more of the host.
        let answer = get(&server, &function, &format!("/checks/{check}?5000")).await;
        assert_eq!(answer.text(), "ok", "{check}");
        let answer = get(&server, &function, &format!("/checks/{check}?100000")).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (502, "trap"),
            "{check}: {}",
            answer.text()
        );
    }
    assert_eq!(get(&server, &function, "/hello").await.text(), "hello");
}

/// `p2_cli_serve_config`.
#[tokio::test]
async fn declared_variables_are_configuration() {
    let server = Server::start("").await;
    let component = handler_component(super::HANDLER);
    let function = server
        .deploy(component, "[variables]\nhello = \"world\"\n")
        .await;
    let configured = async |name: &str| {
        let below = format!("/configuration?{name}");
        server.get(&path(&function, &below)).await.text()
    };
    assert_eq!(configured("hello").await, "Ok(Some(\"world\"))");
    assert_eq!(configured("unset").await, "Ok(None)");
}

/// They are there, so that a component links which never uses them, and nothing grants them.
#[tokio::test]
async fn sockets_and_names_are_denied() {
    let server = Server::start("").await;
    let component = handler_component(super::HANDLER);
    let function = server
        .deploy(component, "outbound = [\"* http://localhost\"]\n")
        .await;
    let said = get(&server, &function, "/sockets").await.text();
    assert_eq!(said.matches("access-denied").count(), 2, "{said}");
    assert!(said.contains("permanent-resolver-failure"), "{said}");
}
