//! The limits of a call: each ends it with its fault, and the next call is as before.

use super::scenario;
use iof_tests::kinds::{Kind, Subject};
use iof_tests::server::Server;

/// A server with small limits.
const SMALL: &str = r#"
[limits]
wall_time = "5s"
guest_cpu = "200ms"
memory = "32MiB"
output = "64KiB"
log = "8KiB"
scratch = "256KiB"
scratch_directories = 8
files = 8
commands = 3
command_input = "4KiB"
storage_value = "4KiB"
storage_transactions = 5
"#;

scenario!(every_limit_of_a_call_holds);

async fn every_limit_of_a_call_holds(kind: Kind) {
    let server = Server::start(SMALL).await;
    let subject = Subject::deploy(&server, kind, "commands = []\nstorage = true\n").await;
    let (value, unknown) = ("x".repeat(4097), r#"{"name":"fortune"}"#);
    let command = format!(r#"{{"name":"fortune","stdin":"{value}"}}"#);
    // The arguments of a program are within what its adapter takes, 64 KiB.
    for (scenario, arguments, fault) in [
        ("sleep", &["60000"][..], "wall-time"),
        ("trap", &[], "trap"),
        ("spin", &[], "guest-cpu"),
        ("recurse", &[], "stack"),
        ("eat", &["1000000"], ""),
        ("eat", &["100000000"], "memory"),
        ("flood", &["8192"], ""),
        ("flood", &["8193"], "log"),
        ("write", &["65536"], ""),
        ("write", &["1048576"], "scratch"),
        ("open", &["5"], ""),
        ("open", &["20"], "files"),
        ("directories", &["5"], ""),
        ("directories", &["20"], "scratch-directories"),
        ("commands", &["3", unknown], ""),
        ("commands", &["4", unknown], "commands"),
        ("command", &[&command], "command-input"),
        ("set", &["key", &value[..4096 - 3]], ""),
        ("set", &["key", &value], "storage-value"),
        ("accesses", &["5"], ""),
        ("accesses", &["6"], "storage-transactions"),
    ] {
        let answer = subject.run(scenario, arguments).await;
        let text = answer.text();
        assert_eq!(answer.fault(), fault, "{scenario}: {text}");
        if !fault.is_empty() {
            assert_eq!(answer.json()["fault"], fault, "{scenario}");
            assert!(answer.http.is_server_error(), "{scenario}: {}", answer.http);
        }
    }
    assert_eq!(subject.text("say", &["well"]).await, "well");
}

scenario!(
    an_answer_is_bounded:
    core_function = CoreFunction,
    core_program = CoreProgram,
    typed_component = TypedComponent,
    program_component = ProgramComponent,
    async_typed_component = AsyncTypedComponent,
    async_program_component = AsyncProgramComponent,
);

async fn an_answer_is_bounded(kind: Kind) {
    let server = Server::start(SMALL).await;
    let subject = Subject::deploy(&server, kind, "").await;
    for (bytes, fault) in [("65536", ""), ("65537", "output")] {
        let answer = subject.run("answer", &[bytes]).await;
        assert_eq!(answer.fault(), fault, "{bytes}: {}", answer.text());
    }
}

scenario!(the_memory_of_a_call_is_on_record);

async fn the_memory_of_a_call_is_on_record(kind: Kind) {
    const EATEN: u64 = 10_000_000;
    let server = Server::start(SMALL).await;
    let subject = Subject::deploy(&server, kind, "").await;
    let peak = async |scenario, arguments| {
        let call = subject.run(scenario, arguments).await;
        let row = subject.row(call.header("iof-call")).await;
        row["memory_peak_bytes"].as_u64().unwrap()
    };
    let little = peak("say", &["x"]).await;
    let much = peak("eat", &["10000000"]).await;
    // What would have gone beyond the limit was never had.
    let refused = peak("eat", &["100000000"]).await;
    assert!((65_536..4 << 20).contains(&little), "{kind:?}: {little}");
    assert!(
        (EATEN..EATEN + (8 << 20)).contains(&much) && much > little,
        "{kind:?}: {much}"
    );
    assert!(refused <= 32 << 20, "{kind:?}: {refused}");
    // The next call begins with what every call begins with.
    assert_eq!(peak("say", &["x"]).await, little, "{kind:?}");
}
