//! The storage of a function: its values outlive a call, belong to it, and need the grant.

use super::scenario;
use iof_tests::kinds::{Kind, Subject};
use iof_tests::server::Server;

scenario!(values_outlive_a_call_and_belong_to_their_function);

async fn values_outlive_a_call_and_belong_to_their_function(kind: Kind) {
    let server = Server::start("").await;
    let subject = Subject::deploy(&server, kind, "storage = true\n").await;
    for (scenario, arguments, text) in [
        ("get", &["a"][..], "null"),
        ("set", &["a", "one"], "done"),
        ("set", &["b", ""], "done"),
        ("get", &["a"], "\"one\""),
        ("get", &["b"], "\"\""),
        ("keys", &[], r#"["a","b"]"#),
        ("set", &["a", "two"], "done"),
        ("get", &["a"], "\"two\""),
        ("delete", &["b"], "done"),
        ("delete", &["never"], "done"),
        ("get", &["b"], "null"),
        ("keys", &[], r#"["a"]"#),
    ] {
        let got = subject.text(scenario, arguments).await;
        assert_eq!(got, text, "{scenario} {arguments:?}");
    }
    for key in ["", &"x".repeat(513)] {
        let answer = subject.run("set", &[key, "x"]).await;
        // The crate of authors says it before it asks the server.
        match kind.is_component() {
            true => assert_eq!(answer.fault(), "storage-key", "{}", answer.text()),
            false => assert!(
                answer.text().contains("1 to 512 bytes"),
                "{}",
                answer.text()
            ),
        }
    }
    // Another function has values of its own, and one without the grant has none.
    let other = Subject::deploy(&server, kind, "storage = true\n").await;
    assert_eq!(other.text("get", &["a"]).await, "null");
    assert_eq!(other.text("set", &["a", "theirs"]).await, "done");
    assert_eq!(subject.text("get", &["a"]).await, "\"two\"");
    let without = Subject::deploy(&server, kind, "commands = []\n").await;
    for (scenario, arguments) in [("get", &["a"][..]), ("set", &["a", "x"]), ("keys", &[])] {
        let answer = without.run(scenario, arguments).await;
        let text = answer.text();
        assert_eq!(answer.fault(), "storage-not-granted", "{scenario}: {text}");
    }
    // The next version may be of another kind.
    let next = match kind.is_component() {
        true => Kind::CoreFunction,
        false => Kind::TypedComponent,
    };
    let deployed = server.try_deploy_version(&subject.function, next.module(), "storage = true\n");
    assert_eq!(deployed.await.http, 201);
    let subject = Subject {
        kind: next,
        ..subject
    };
    assert_eq!(subject.text("get", &["a"]).await, "\"two\"");
}

scenario!(
    a_component_has_one_bucket_with_pages_of_keys:
    typed_component = TypedComponent,
    program_component = ProgramComponent,
    http_component = HttpComponent,
    async_typed_component = AsyncTypedComponent,
    async_program_component = AsyncProgramComponent,
    async_http_component = AsyncHttpComponent,
);

async fn a_component_has_one_bucket_with_pages_of_keys(kind: Kind) {
    let server = Server::start("").await;
    let subject = Subject::deploy(&server, kind, "storage = true\n").await;
    for (scenario, arguments, text) in [
        ("bucket", &["default"][..], "opened"),
        ("bucket", &["other"], "Error::NoSuchStore"),
        ("set", &["a", "one"], "done"),
        ("set", &["b", ""], "done"),
        ("exists", &["b"], "true"),
        ("exists", &["c"], "false"),
        ("page", &[""], r#"["a", "b"] None"#),
        ("page", &["a"], r#"["b"] None"#),
    ] {
        let got = subject.text(scenario, arguments).await;
        assert_eq!(got, text, "{scenario} {arguments:?}");
    }
}
