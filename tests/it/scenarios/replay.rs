//! Recorded calls: run again, they hear what they heard, and nothing leaves.

use super::scenario;
use iof_tests::kinds::{Kind, Subject};
use iof_tests::{server::Server, upstream::Upstream, user::User};
use serde_json::json;

const RECORDED: &str = "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\"]\nstorage = true\n\
                        record = \"always\"\n";

scenario!(
    a_recorded_call_is_replayed:
    core_function = CoreFunction,
    core_program = CoreProgram,
    typed_component = TypedComponent,
    program_component = ProgramComponent,
    async_typed_component = AsyncTypedComponent,
    async_program_component = AsyncProgramComponent,
);

async fn a_recorded_call_is_replayed(kind: Kind) {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let subject = Subject::deploy(&server, kind, RECORDED).await;
    let echo = json!({ "name": "http_proxy", "args": ["get", "http://api.example.com/echo"] });
    let echo = echo.to_string();
    let mut calls = vec![];
    for (scenario, arguments) in [
        ("set", &["a", "recorded"][..]),
        ("get", &["a"]),
        ("chance", &[]),
        ("command", &[&echo]),
        ("complain", &["a line"]),
        ("trap", &[]),
    ] {
        let answer = subject.run(scenario, arguments).await;
        calls.push((scenario, answer.header("iof-call").to_owned()));
    }
    assert_eq!(subject.text("set", &["a", "changed"]).await, "done");
    let count = upstream.seen().len();
    drop(upstream);
    for (scenario, call) in calls {
        let request = server.request("POST", &format!("/v1/calls/{call}/replay"));
        let request = request.bearer_auth(&subject.function.admin_key);
        let replayed = server.answer(request).await;
        let text = replayed.text();
        assert_eq!(replayed.http, 200, "{scenario}: {text}");
        assert_eq!(replayed.json()["same"], true, "{scenario}: {text}");
    }
    assert_eq!(count, 1);
    assert_eq!(subject.text("get", &["a"]).await, "\"changed\"");
}

scenario!(
    what_cannot_be_recorded_is_refused:
    http_component = HttpComponent,
    async_http_component = AsyncHttpComponent,
);

async fn what_cannot_be_recorded_is_refused(kind: Kind) {
    let server = Server::start("").await;
    for record in ["always", "errors"] {
        let declaration = format!("record = \"{record}\"\n");
        let answer = server.try_deploy(kind.module(), &declaration).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (422, "declaration"),
            "{}",
            answer.text()
        );
        let error = answer.json()["error"].to_string();
        for words in [&*format!("record = \\\"{record}\\\""), "HTTP"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
    let subject = Subject::deploy(&server, kind, "record = \"off\"\n").await;
    let next = server.try_deploy_version(&subject.function, kind.module(), "record = \"always\"\n");
    let next = next.await;
    assert_eq!(next.fault(), "declaration", "{}", next.text());
    let user = User::new(&server.url);
    let id = subject.function.id.to_string();
    let shown = user
        .types(&["show", &id, "--key", &subject.function.admin_key])
        .await;
    assert!(shown.contains("its calls are not recorded"), "{shown}");
}
