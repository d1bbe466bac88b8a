//! Tests of functions, on the machine where they are written.
//!
//! A function is a plain function: a test calls it, and answers its requests to the server.
//!
//! ```
//! fn rate(currency: &str) -> iof::Result<f64> {
//!     let response = iof::http::get("https://rates.example.com/").query("of", currency).send()?;
//!     Ok(response.error_for_status()?.json()?)
//! }
//!
//! // In a `#[test]`:
//! let host = iof::testing::http(|request| {
//!     assert_eq!(request.url, "https://rates.example.com/?of=EUR");
//!     iof::http::Response::new(200).with_body("1.5")
//! });
//! assert_eq!(rate("EUR").unwrap(), 1.5);
//! assert_eq!(host.requests().len(), 1);
//! ```
//!
//! An answer applies to the thread that made it, until the value that [`commands`] or [`http()`] returned is
//! dropped; the latest of several is used. A storage always exists, one for each thread, and so for each test.
//!
//! This module is not part of an uploaded module.

mod http;
pub(crate) mod storage;
pub(crate) mod variable;

use std::cell::RefCell;
use std::rc::Rc;

pub use self::http::{Http, Request, http};
pub use self::variable::{Variable, variable};
pub use crate::command::{Output, Run};

type Answer = Rc<RefCell<dyn FnMut(&Run) -> Output>>;
type Runs = Rc<RefCell<Vec<Run>>>;

thread_local! {
    /// The answers, the latest last.
    static HOSTS: RefCell<Vec<(Answer, Runs)>> = const { RefCell::new(Vec::new()) };
}

/// Answers commands until it is dropped, and records which were run.
#[must_use = "commands are answered until this is dropped: keep it in a variable"]
pub struct Host {
    answer: Answer,
    runs: Runs,
}

/// Answers the commands of this thread.
///
/// ```
/// use iof::{Command, testing};
///
/// let host = testing::commands(|run| match run.name.as_str() {
///     "date" => testing::Output::ok("Monday\n"),
///     _ => testing::Output::failed(-1, "Command not found.\n"),
/// });
/// assert_eq!(Command::new("date").arg("+%A").output().stdout, b"Monday\n");
/// assert_eq!(host.runs()[0].args, ["+%A"]);
/// ```
pub fn commands(answer: impl FnMut(&Run) -> Output + 'static) -> Host {
    let host = Host {
        answer: Rc::new(RefCell::new(answer)),
        runs: Rc::default(),
    };
    HOSTS.with_borrow_mut(|hosts| hosts.push((host.answer.clone(), host.runs.clone())));
    host
}

impl Host {
    /// The commands that were run, in their order.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        self.runs.borrow().clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        HOSTS.with_borrow_mut(|hosts| {
            hosts.retain(|(_, runs)| !Rc::ptr_eq(runs, &self.runs));
        });
    }
}

/// Runs a command by the latest answer.
pub(crate) fn run(run: &Run) -> Output {
    let Some((answer, runs)) = HOSTS.with_borrow(|hosts| hosts.last().cloned()) else {
        #[expect(
            clippy::panic,
            reason = "only a test gets here, and it fails with the next step"
        )]
        {
            panic!(
                "the command `{}` was run outside of the server, where nobody answers it. In a test, answer it \
                 yourself: let _host = iof::testing::commands(|run| iof::testing::Output::ok(\"…\"));",
                run.name
            )
        }
    };
    runs.borrow_mut().push(run.clone());
    let mut answer = answer.borrow_mut();
    answer(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;

    #[test]
    fn the_latest_answer_holds_until_it_is_dropped() {
        let say = |text: &'static str| commands(move |_| Output::ok(text));
        let stdout = || String::from_utf8(Command::new("a").output().stdout).unwrap();
        let first = say("first");
        let second = say("second");
        assert_eq!(stdout(), "second");
        drop(first);
        assert_eq!(stdout(), "second");
        let first = say("again");
        assert_eq!(stdout(), "again");
        drop(first);
        assert_eq!(stdout(), "second");
        assert_eq!(second.runs().len(), 3);
    }

    #[test]
    #[should_panic = "the command `a` was run outside of the server, where nobody answers it. In a test, answer it \
                      yourself: let _host = iof::testing::commands(|run| iof::testing::Output::ok(\"…\"));"]
    fn nobody_answers() {
        drop(commands(|_| Output::default()));
        Command::new("a").output();
    }

    #[test]
    fn a_command_line_arrives_whole() {
        let host = commands(|_| Output::failed(7, "no\n"));
        let error = Command::new("a")
            .arg("1")
            .args(["2", "3"])
            .env("K", "old")
            .envs([("L", "l"), ("K", "new")])
            .stdin("te")
            .stdin_u8(b'x')
            .stdin_u8vec(b"t")
            .timeout(5)
            .run()
            .unwrap_err();
        assert_eq!(error.to_string(), "the command `a` ended with 7: no");
        assert_eq!(
            (error.status(), error.output().stderr.as_slice()),
            (7, &b"no\n"[..])
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let run = &host.runs()[0];
        assert_eq!(run.args, ["1", "2", "3"]);
        assert_eq!(run.env, [pair("K", "new"), pair("L", "l")]);
        assert_eq!(run.stdin, b"text");
        assert_eq!(run.timeout.as_millis(), 5);
    }
}
