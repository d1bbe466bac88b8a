//! All tests again, as a server that is not root.

use std::process::Command;

use crate::support::text;

/// Runs as `nobody`, without groups, with a signal ignored as under `nohup`.
#[test]
fn all_tests_pass_as_nobody() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let ended = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        // One test at a time, because without a user namespace, processes of one user are counted together.
        .args(["--test-threads=1"])
        .current_dir("/")
        .output()
        .unwrap();
    assert!(
        ended.status.success(),
        "{}\n{}",
        text(&ended.stdout),
        text(&ended.stderr)
    );
}
