//! The log of a call: what was printed, on either stream, and nothing of it that a terminal obeys.

use super::scenario;
use crate::cli::terminal::{ATTACK, assert_harmless};
use iof_tests::kinds::{Kind, Subject};
use iof_tests::{server::Server, user::User};

scenario!(what_is_printed_is_the_log_of_the_call);

async fn what_is_printed_is_the_log_of_the_call(kind: Kind) {
    let server = Server::start("").await;
    let subject = Subject::deploy(&server, kind, "").await;
    // The stdout of a program is its result.
    let streams: &[_] = match kind.prints_its_result() {
        true => &[("complain", "stderr", "err")],
        false => &[("complain", "stderr", "err"), ("print", "stdout", "out")],
    };
    for (scenario, stream, prefix) in streams {
        let call = subject.run(scenario, &[ATTACK]).await;
        let call = call.header("iof-call").to_owned();
        let row = subject.row(&call).await;
        assert_eq!(row[stream], format!("{prefix}: {ATTACK}\n"), "{row}");
        // The server's own log has it, too, each line with its call.
        let log = server.log();
        let mut lines = log.lines().filter(|line| line.contains(&call));
        assert!(
            lines.any(|line| line.contains(stream) && line.contains("PWNED")),
            "{stream} of {call} in {log}"
        );
    }
    // What a guest says last is told to its caller.
    let trapped = subject.run("trap", &[]).await;
    assert_eq!(trapped.fault(), "trap", "{}", trapped.text());
    let row = subject.row(trapped.header("iof-call")).await;
    assert!(
        row["stderr"].as_str().unwrap().contains("as asked"),
        "{row}"
    );
    // Which functions were under way is for those who read the log, and not for the caller.
    let frames: Vec<_> = row["trace"].as_array().unwrap().iter().collect();
    assert!(
        frames.len() > 2
            && frames
                .iter()
                .any(|frame| frame.as_str().unwrap().contains("panic")),
        "{row}"
    );
    let told = format!("{:?} {}", trapped.headers, trapped.text());
    assert!(!told.contains("(function "), "{told}");
    let user = User::new(&server.url);
    let id = subject.function.id.to_string();
    let line = ["logs", &id, "--key", &subject.function.admin_key];
    assert_harmless("iof logs", user.types(&line).await.as_bytes());
}

scenario!(a_call_sees_nothing_of_the_one_before);

async fn a_call_sees_nothing_of_the_one_before(kind: Kind) {
    let server = Server::start("").await;
    let subject = Subject::deploy(&server, kind, "[variables]\nplace = \"here\"\n").await;
    for _ in 0..2 {
        assert_eq!(subject.text("note", &["kept"]).await, "|kept");
    }
    assert_ne!(
        subject.text("chance", &[]).await,
        subject.text("chance", &[]).await
    );
    let variables = subject.text("variables", &[]).await;
    let mut names: Vec<_> = variables
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["place", "storage_key", "wasm_id"]);
    assert!(variables.contains("place=here\n"), "{variables}");
    let connected = subject.text("connect", &["127.0.0.1:80"]).await;
    assert!(connected.contains("Err"), "{connected}");
}
