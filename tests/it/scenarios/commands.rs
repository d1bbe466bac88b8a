//! Commands: those that a version was granted, those that it was not, their time and their input.

use super::scenario;
use iof_tests::kinds::{Kind, Subject};
use iof_tests::{server::Server, upstream::Upstream};
use serde_json::{Value, json};

const GRANTED: &str =
    "commands = [\"http_proxy\", \"fortune\"]\noutbound = [\"* http://api.example.com\"]\n";
const SERVER: &str = "[ceiling]\ncommands = [\"http_proxy\", \"fortune\"]\n";

scenario!(only_granted_commands_run);

async fn only_granted_commands_run(kind: Kind) {
    let upstream = Upstream::start().await;
    let config = format!("{SERVER}{}", upstream.pin("api.example.com", 80));
    let server = Server::start(config).await;
    let subject = Subject::deploy(&server, kind, GRANTED).await;
    let echo = json!({
        "name": "http_proxy", "stdin": "body",
        "args": ["post", "http://api.example.com/echo", r#"{"X-A":"b"}"#],
    });
    let output = subject.command(&echo).await;
    assert_eq!(
        (&output["status"], &output["stderr"]),
        (&json!(0), &json!("")),
        "{output}"
    );
    let seen: Value = serde_json::from_str(output["stdout"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&seen["body"], &seen["headers"]["x-a"]),
        (&json!("body"), &json!("b")),
        "{seen}"
    );
    // One that its grants do not name, one that does not exist, and one that takes too long.
    let denied = subject.command(&json!({ "name": "c++" })).await;
    assert_eq!(denied["status"], -1, "{denied}");
    assert!(
        denied["stderr"].as_str().unwrap().contains("c++"),
        "{denied}"
    );
    let missing = subject.command(&json!({ "name": "fortune" })).await;
    assert_eq!(
        missing,
        json!({ "status": -1, "stdout": "", "stderr": "Command not found.\n" })
    );
    let slow = json!({
        "name": "http_proxy", "timeout": 200, "args": ["get", "http://api.example.com/slow/5000"],
    });
    let slow = subject.command(&slow).await;
    assert_eq!(slow["status"], 110, "{slow}");
    // Without the grant nothing runs.
    let count = upstream.seen().len();
    let without = Subject::deploy(&server, kind, "storage = true\n").await;
    let denied = without.command(&echo).await;
    assert_eq!(denied["status"], -1, "{denied}");
    assert_eq!(upstream.seen().len(), count);
}
