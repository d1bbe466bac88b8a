//! The registry: the commands by name, and their grants.
//!
//! The registry checks the grant before it looks up the command, so that a function cannot find out by name which other
//! commands a server has. It also enforces the deadline: a command may keep time itself to report something useful
//! about it, but whether a run was in time is decided here, once, so that it never depends on which of two timers fires
//! first.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::call::{CallContext, Output, Refusal, Request, TIMED_OUT};
use crate::http::HttpClient;
use crate::run::{Observer, RunRecord};

/// A named capability with Unix shape.
#[async_trait]
pub trait Command: Send + Sync {
    /// The name by which functions run it and grants name it.
    fn name(&self) -> &str;

    /// Returns whether it ends by itself at the earlier of the request's timeout and the call's deadline.
    /// The registry then sets no timer for it.
    fn keeps_time(&self) -> bool {
        false
    }

    /// The message for a function without the grant: the declaration that grants it. `None` for the commands of 2020,
    /// which only the server grants.
    fn how_to_grant(&self) -> Option<&'static str> {
        None
    }

    /// Runs it. Failures are statuses with a line on stderr, as with any command. It is dropped
    /// in the middle when its time is over, unless it keeps time.
    async fn run(&self, call: &CallContext, request: Request) -> Output;
}

/// All commands of a server. Built once at the start; share it in an `Arc`.
#[derive(Default)]
pub struct Registry {
    commands: BTreeMap<String, Box<dyn Command>>,
    observers: Vec<Arc<dyn Observer>>,
    http: Option<Arc<dyn HttpClient>>,
}

impl Registry {
    /// A registry without commands, whose runs are in the log only.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// A registry without commands. `observers` get the record of every run, besides the log.
    pub fn with_observers(observers: Vec<Arc<dyn Observer>>) -> Registry {
        Registry {
            commands: BTreeMap::new(),
            observers,
            http: None,
        }
    }

    /// Sets the client of requests whose bodies stream; without one, all of them are denied.
    pub fn set_http(&mut self, client: impl HttpClient + 'static) {
        self.http = Some(Arc::new(client));
    }

    /// The client of requests whose bodies stream.
    pub fn http(&self) -> Option<&Arc<dyn HttpClient>> {
        self.http.as_ref()
    }

    /// Adds a command. A command of the same name is replaced and returned: an operator's native program
    /// may replace a built-in, and the caller decides whether that is intended.
    pub fn register(&mut self, command: impl Command + 'static) -> Option<Box<dyn Command>> {
        self.commands
            .insert(command.name().to_owned(), Box::new(command))
    }

    /// The names of all commands, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.keys().map(String::as_str)
    }

    /// The declaration that grants a command which every server has, so that its existence is not a secret.
    pub fn how_to_grant(&self, name: &str) -> Option<&'static str> {
        self.commands.get(name)?.how_to_grant()
    }

    /// Runs `name` for `call`, if granted, within the request's timeout and the call's deadline.
    ///
    /// # Errors
    /// A [`Refusal`]; the result of the command itself is in its [`Output`].
    pub async fn run(
        &self,
        call: &CallContext,
        name: &str,
        request: Request,
    ) -> Result<Output, Refusal> {
        let running = RunRecord::new(call, &self.observers, name, &request);
        let result = self.run_unrecorded(call, name, request).await;
        running.done(&result);
        result
    }

    async fn run_unrecorded(
        &self,
        call: &CallContext,
        name: &str,
        request: Request,
    ) -> Result<Output, Refusal> {
        if !call.grants.commands.contains(name) {
            return Err(Refusal::NotGranted);
        }
        let command = self.commands.get(name).ok_or(Refusal::NotFound)?;
        // A guest may ask for more time than a clock can count.
        let own = Instant::now()
            .checked_add(request.timeout)
            .unwrap_or(call.deadline);
        let deadline = own.min(call.deadline);
        let run = command.run(call, request);
        let output = match command.keeps_time() {
            true => Some(run.await),
            false => timeout_at(deadline, run).await.ok(),
        };
        match output {
            Some(output) if Instant::now() < deadline => Ok(output),
            // The command's own message names the cause of the wait, so it is preferred.
            Some(output) if command.keeps_time() && output.status == TIMED_OUT => Ok(output),
            _ => Err(Refusal::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::Grants;

    /// A command that sleeps for the milliseconds of its first argument.
    struct Sleep;

    #[async_trait]
    impl Command for Sleep {
        fn name(&self) -> &str {
            "sleep"
        }

        async fn run(&self, _: &CallContext, request: Request) -> Output {
            tokio::time::sleep(Duration::from_millis(request.args[0].parse().unwrap())).await;
            Output {
                status: 3,
                stdout: request.stdin,
                ..Output::default()
            }
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::new();
        assert!(registry.register(Sleep).is_none());
        registry
    }

    fn call(granted: &[&str], deadline: Duration) -> CallContext {
        let commands = granted.iter().map(|&name| name.to_owned()).collect();
        CallContext {
            call: Uuid::nil(),
            function: "test".into(),
            function_id: 7,
            version: 2,
            secrets: Arc::default(),
            grants: Arc::new(Grants {
                commands,
                ..Grants::default()
            }),
            depth: 0,
            deadline: Instant::now() + deadline,
            trace: None,
        }
    }

    fn request(ms: u32, timeout: Duration) -> Request {
        Request {
            args: vec![ms.to_string()],
            env: Vec::new(),
            stdin: "in".into(),
            timeout,
        }
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test(start_paused = true)]
    async fn granted_commands_run_and_others_do_not() {
        let registry = registry();
        let output = registry
            .run(&call(&["sleep"], LONG), "sleep", request(1, LONG))
            .await
            .unwrap();
        assert_eq!((output.status, &output.stdout[..]), (3, &b"in"[..]));
        for name in ["sleep", "missing"] {
            let refused = registry.run(&call(&[], LONG), name, request(1, LONG)).await;
            assert_eq!(refused, Err(Refusal::NotGranted), "{name}");
        }
        let refused = registry
            .run(&call(&["missing"], LONG), "missing", request(1, LONG))
            .await;
        assert_eq!(refused, Err(Refusal::NotFound));
        assert_eq!(registry.names().collect::<Vec<_>>(), ["sleep"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_timeout_and_deadline_ends_it() {
        let registry = registry();
        for (deadline, timeout, ms, in_time) in [
            (LONG, SHORT, 49, true),
            (LONG, SHORT, 1000, false),
            (SHORT, LONG, 49, true),
            (SHORT, LONG, 1000, false),
            (LONG, Duration::ZERO, 0, false),
            (LONG, Duration::MAX, 1000, true),
            // If both timers fire at the same instant, the run always counts as late.
            (LONG, SHORT, 50, false),
        ] {
            let started = Instant::now();
            let result = registry
                .run(&call(&["sleep"], deadline), "sleep", request(ms, timeout))
                .await;
            assert_eq!(
                result.is_ok(),
                in_time,
                "{deadline:?} {timeout:?} {ms}: {result:?}"
            );
            if !in_time {
                assert_eq!(result, Err(Refusal::TimedOut));
                assert!(started.elapsed() <= SHORT + Duration::from_millis(1));
            }
        }
    }
}
