//! An observer gets the record of every run once, whatever its outcome.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use iof_command::{CallContext, Command, Grants, Observer, Output, Registry, Request, Run};
use tokio::time::Instant;
use uuid::Uuid;

#[derive(Default)]
struct Kept(Mutex<Vec<Run<'static>>>);

impl Observer for Kept {
    fn ran(&self, run: &Run<'_>) {
        // The service lives as long as the test.
        let command = run.command.to_owned().leak();
        self.0.lock().unwrap().push(Run {
            command,
            trace: None,
            ..*run
        });
    }
}

impl Kept {
    fn only(&self) -> Run<'static> {
        let mut runs = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }
}

/// A command that fails with a word on both outputs, or never ends, by its argument.
struct Fail;

#[async_trait]
impl Command for Fail {
    fn name(&self) -> &str {
        "fail"
    }

    async fn run(&self, _: &CallContext, request: Request) -> Output {
        if request.args == ["never"] {
            std::future::pending::<()>().await;
        }
        Output {
            status: 3,
            stdout: "out".into(),
            stderr: "error".into(),
            stopped: None,
        }
    }
}

fn setup() -> (Registry, Arc<Kept>, CallContext) {
    let kept = Arc::new(Kept::default());
    let mut registry = Registry::with_observers(vec![kept.clone()]);
    registry.register(Fail);
    let grants = Grants {
        commands: ["fail".to_owned(), "missing".to_owned()].into(),
        ..Grants::default()
    };
    let call = CallContext {
        call: Uuid::now_v7(),
        function: "test".into(),
        function_id: 7,
        version: 2,
        grants: Arc::new(grants),
        secrets: Arc::default(),
        depth: 0,
        deadline: Instant::now() + Duration::from_secs(60),
        trace: None,
    };
    (registry, kept, call)
}

fn request(args: &[&str], timeout: Duration) -> Request {
    Request {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: vec![("NAME".to_owned(), "value".to_owned())],
        stdin: "input".into(),
        timeout,
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_finished_run_is_recorded() {
    let (registry, kept, call) = setup();
    let before = SystemTime::now();
    let input = request(&["ab", "c"], LONG);
    registry.run(&call, "fail", input).await.unwrap();
    let run = kept.only();
    assert!(run.at >= before && run.at + run.took <= SystemTime::now());
    let expected = Run {
        at: run.at,
        call: call.call,
        function_id: 7,
        version: 2,
        command: "fail",
        status: Some(3),
        bytes_out: 8,
        bytes_in: 8,
        took: run.took,
        outcome: "ok",
        trace: None,
    };
    assert_eq!(run, expected);
}

#[tokio::test]
async fn a_refused_run_is_recorded() {
    let (registry, kept, call) = setup();
    let long = "ä".repeat(9000);
    for (name, outcome) in [
        ("sudo", "not-granted"),
        (&*long, "not-granted"),
        ("missing", "not-found"),
    ] {
        let input = request(&["never"], LONG);
        registry.run(&call, name, input).await.unwrap_err();
        let run = kept.only();
        assert_eq!((run.outcome, run.status), (outcome, None));
        assert_eq!((run.bytes_out, run.bytes_in), (10, 0));
        assert!(
            name.starts_with(run.command) && run.command.len() <= 256,
            "{run:?}"
        );
    }
}

#[tokio::test]
async fn an_unfinished_run_is_recorded() {
    let (registry, kept, call) = setup();
    let short = Duration::from_millis(20);
    let input = request(&["never"], short);
    registry.run(&call, "fail", input).await.unwrap_err();
    let run = kept.only();
    assert_eq!((run.outcome, run.status), ("timed-out", None));
    assert!(run.took >= short);

    let run = registry.run(&call, "fail", request(&["never"], LONG));
    tokio::time::timeout(short, run).await.unwrap_err();
    let run = kept.only();
    assert_eq!((run.outcome, run.status), ("cancelled", None));
    assert!(run.took >= short);
}
