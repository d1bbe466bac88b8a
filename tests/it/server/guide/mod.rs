//! docs/guide/server.md as a reader follows it: its commands are run, its settings are checked, its proxies are tried.

mod finding_out;
mod jobs;
mod machine;
mod proxies;
mod typed;

use iof_tests::guests::root;
use std::fs;

fn guide() -> String {
    fs::read_to_string(root().join("docs/guide/server.md")).unwrap()
}

/// The code blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let text = guide();
    let begin = format!("```{language}\n");
    let parts = text.split(&begin).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap().to_owned())
        .collect()
}
