//! The command line: the commands of authors and operators, and their output.

mod author;
mod backup;
mod build_table;
mod calling;
mod checked_starts;
mod dev;
mod doctor;
mod findings;
mod first_hour;
mod grants_seen;
mod hints;
mod json;
mod keys_kept;
mod keys_told;
mod next_steps;
mod readme;
mod refused_calls;
mod session;
mod session_records;
mod settings;
mod strangers;
pub(crate) mod terminal;
mod top;
mod variables;
mod words;

use iof_tests::guests::wat;
use iof_tests::user::User;
use std::fs;

/// A module named `hello` whose export `which` returns a number.
fn module(user: &User, number: u32) {
    let module = wat(&format!(
        "(module (func (export \"which\") (result i32) (i32.const {number})))"
    ));
    fs::write(user.folder().join("hello.wasm"), module).unwrap();
}

/// Runs a command and returns its output, which must contain these words.
async fn types(user: &User, line: &[&str], words: &[&str]) -> String {
    let output = user.types(line).await;
    for word in words {
        assert!(
            output.contains(word),
            "{line:?}: {word:?} is missing in: {output}"
        );
    }
    output
}
