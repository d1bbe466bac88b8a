//! The session on the page of webhooks matches the current output of its commands.

use iof_tests::guests::{built, root};
use iof_tests::server::program;
use std::process::Command;

#[test]
fn the_session_of_the_guide_is_up_to_date() {
    let output = Command::new(program().with_file_name("xtask"))
        .args(["capture", "--check", "--binary"])
        .arg(program())
        .current_dir(root())
        // The dependencies of functions are compiled once for all tests.
        .env("CARGO_TARGET_DIR", built("guests"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = printed + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
}
