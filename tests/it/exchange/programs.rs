//! The checks of the programs with which wasmtime tests its own server, made by a guest of ours: what a request may be, which
//! headers belong to the host, and what a body is. `docs/components.md` has each of those programs with its tests here.

use super::{get, handler, path, row};
use iof_tests::call::Answer;
use iof_tests::guests::handler_component;
use iof_tests::server::Server;
use iof_tests::upstream::Upstream;

/// A check that the guest makes, and the answer to it.
async fn checked(name: &str) -> Answer {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("up.test", 80)).await;
    let component = handler_component(super::HANDLER);
    let declaration = "outbound = [\"* http://up.test\", \"* https://example.com\"]\n";
    let function = server.deploy(component, declaration).await;
    let request = server
        .request("POST", &path(&function, &format!("/checks/{name}")))
        .header("x-target", "http://up.test/mirror")
        .header("x-own", "1");
    server.answer(request.body("a body")).await
}

/// `p2_api_proxy`, `p3_api_proxy`.
#[tokio::test]
async fn the_headers_of_a_request_are_not_the_guests_to_change() {
    assert_eq!(checked("incoming").await.text(), "ok");
}

/// `p2_http_outbound_request_invalid_header`, `p3_…`.
#[tokio::test]
async fn what_is_not_a_header_is_refused_where_it_is_made() {
    assert_eq!(checked("headers").await.text(), "ok");
}

/// `p2_http_outbound_request_response_build`, `…_unknown_method`, `…_missing_path_and_query`, `…_invalid_port`,
/// `…_unsupported_scheme`, `p3_…`.
#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    assert_eq!(checked("requests").await.text(), "ok");
}

/// `p2_http_outbound_request_response_build`, `p3_…`.
#[tokio::test]
async fn bodies_that_are_never_sent_are_dropped() {
    assert_eq!(checked("bodies").await.text(), "ok");
}

/// `p2_http_outbound_request_content_length`, `p3_…`.
#[tokio::test]
async fn a_body_is_as_long_as_its_request_says() {
    assert_eq!(checked("lengths").await.text(), "ok");
}

/// `p2_cli_serve_echo_env`.
#[tokio::test]
async fn declared_variables_are_the_environment() {
    let server = Server::start("").await;
    let component = handler_component(super::HANDLER);
    let function = server
        .deploy(component, "[variables]\nPLACE = \"here\"\nEMPTY = \"\"\n")
        .await;
    let ask = |names: &[&str]| {
        let mut request = server.request("GET", &path(&function, "/environment"));
        for name in names {
            request = request.header("env", *name);
        }
        server.answer(request)
    };
    assert_eq!(ask(&["PLACE"]).await.header("x-env"), "here");
    let both = ask(&["PLACE", "EMPTY"]).await;
    let values: Vec<_> = both.headers.get_all("x-env").iter().collect();
    assert_eq!(values, ["here", ""]);
    // Nothing of the server's own.
    let none = ask(&["PATH", "HOME", "UNSET"]).await;
    assert_eq!(none.http, 200);
    assert!(!none.headers.contains_key("x-env"), "{:?}", none.headers);
}

/// `p2_cli_serve_with_print`: lines are whole in the log, in however many parts they were printed.
#[tokio::test]
async fn lines_that_are_printed_in_parts_are_lines_of_the_log() {
    let (server, function) = handler("").await;
    assert_eq!(
        get(&server, &function, "/half-prints").await.text(),
        "printed"
    );
    let row = row(&server, &function, 1).await;
    let (out, err) = (
        "this is half a print to stdout\n\nafter empty\n",
        "start a print 12\n\nafter empty\n",
    );
    assert_eq!((&row["stdout"], &row["stderr"]), (&out.into(), &err.into()));
}
