//! A user of the command line: the commands, and all their output.

use crate::server::program;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A user: a home directory, and a server.
pub struct User {
    home: TempDir,
    /// The value of `IOF_SERVER`; not set if empty.
    pub server: String,
}

impl User {
    /// A user of this server.
    ///
    /// # Panics
    /// If there is no temporary directory.
    pub fn new(server: &str) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            server: server.to_owned(),
        }
    }

    /// The home directory, in which commands are run.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Runs `iof`.
    ///
    /// # Panics
    /// If it does not start.
    #[expect(
        clippy::disallowed_methods,
        reason = "a command blocks a thread that is meant for it"
    )]
    pub fn run(&self, args: &[&str], stdin: &str) -> Output {
        use std::io::Write;
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.folder())
            .env_clear()
            .env("HOME", self.folder())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !self.server.is_empty() {
            command.env("IOF_SERVER", &self.server);
        }
        let mut child = command.spawn().unwrap();
        // A program that reads no stdin may have ended.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a command, and returns its line, its output and its exit status, without the parts that differ every time.
    pub async fn types(&self, line: &[&str]) -> String {
        self.types_with(line, "").await
    }

    /// The same, with text on its stdin.
    pub async fn types_with(&self, line: &[&str], stdin: &str) -> String {
        let output = tokio::task::block_in_place(|| self.run(line, stdin));
        let mut text = format!("$ iof {}\n", line.join(" "));
        for (sign, bytes) in [("", &output.stdout), ("! ", &output.stderr)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                text += &format!("{sign}{line}\n");
            }
        }
        match output.status.code() {
            Some(0) => {}
            code => text += &format!("[exit status {}]\n", code.unwrap_or(-1)),
        }
        self.stable(&text)
    }

    /// A text without ports, folders, times and ids.
    pub fn stable(&self, text: &str) -> String {
        let text = match self.server.as_str() {
            "" => text.to_owned(),
            server => text.replace(server, "http://127.0.0.1:8080"),
        };
        let text = text.replace(&*self.folder().to_string_lossy(), "HOME");
        let text = without_milliseconds(&text);
        let text = without_instants(&text);
        let mut stable = String::new();
        for line in text.split_inclusive('\n') {
            let words = line
                .split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
            let mut words: Vec<String> = words.map(str::to_owned).collect();
            for part in &mut words {
                let word = part
                    .trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
                    .to_owned();
                let digits =
                    |length| word.len() == length && word.bytes().all(|b| b.is_ascii_hexdigit());
                let known = [
                    (uuid_like(&word), "ID"),
                    (word.starts_with("iof_") && word.len() == 36, "KEY"),
                    (date_like(&word), "DATE"),
                    (
                        word.len() > 16 && word.bytes().all(|b| b.is_ascii_digit()),
                        "NUMBER",
                    ),
                    (digits(12) || digits(64), "SHA"),
                ];
                if let Some((_, name)) = known.iter().find(|(is, _)| *is) {
                    *part = part.replacen(&word, name, 1);
                }
            }
            stable += &words.concat();
        }
        // Times of day, and durations.
        times(&stable)
    }
}

/// Replaces times such as `2026-11-23T19:58:43.627Z` by INSTANT; a round one is an example and stays.
fn without_instants(text: &str) -> String {
    let mut parts = text.split('"');
    let mut stable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let instant = part.len() == 24 && part.starts_with("20") && part.ends_with('Z');
        stable += "\"";
        stable += if instant { "INSTANT" } else { part };
    }
    stable
}

/// Replaces `"ms":12` by `"ms":TOOK`.
fn without_milliseconds(text: &str) -> String {
    let mut parts = text.split("\"ms\":");
    let mut stable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        stable += "\"ms\":TOOK";
        stable += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    stable
}

fn uuid_like(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12]
}

fn date_like(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').collect();
    parts.len() == 3 && parts[0].len() == 4 && parts[0].starts_with("20")
}

/// Replaces `DATE 12:34:56` and `DATET12:34:56.789Z` by TIME, and `0.12 ms` by TOOK.
fn times(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let mut words: Vec<String> = vec![];
        for word in line.split(' ') {
            let clock = word.len() >= 8
                && word.bytes().filter(|b| *b == b':').count() == 2
                && word.bytes().next().is_some_and(|b| b.is_ascii_digit());
            if clock {
                words.push(format!(
                    "TIME{}",
                    &word[8.min(word.len())..]
                        .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                ));
            } else if word == "ms" && words.last().is_some_and(|last| last.parse::<f64>().is_ok()) {
                words.pop();
                words.push("TOOK ms".into());
            } else {
                words.push(word.to_owned());
            }
        }
        lines += &(words.join(" ") + "\n");
    }
    lines
}
