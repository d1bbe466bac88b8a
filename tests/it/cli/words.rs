//! The program's own texts: help, version, settings, and refusals with a next step.

use iof_tests::server::{Server, program};
use std::process::{Command, Output};

fn iof(args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(program())
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_and_version_are_on_stdout() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["version"],
        &["--version"],
    ] {
        let output = iof(args, &[]);
        assert!(output.status.success(), "{args:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{args:?}"
        );
    }
    assert!(text(&iof(&["version"], &[]).stdout).starts_with("iof 0."));
    let nothing = iof(&[], &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("Usage: iof"));
    let help = text(&iof(&["serve", "--help"], &[]).stdout);
    for part in [
        "--listen",
        "--data",
        "--config",
        "--set",
        "--print-config",
        "IOF_LIMITS_WALL_TIME",
        "Examples:",
    ] {
        assert!(help.contains(part), "{part} is missing in\n{help}");
    }
    assert!(!text(&iof(&["--help"], &[]).stdout).contains("compile-worker"));
}

#[test]
fn settings_come_from_four_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("iof.toml");
    std::fs::write(
        &file,
        "[limits]\nwall_time = \"1s\"\nguest_cpu = \"1s\"\ncommands = 1\n",
    )
    .unwrap();
    let output = iof(
        &[
            "serve",
            "--print-config",
            "--config",
            file.to_str().unwrap(),
            "--set",
            "limits.commands=3",
        ],
        &[
            ("IOF_LIMITS_GUEST_CPU", "2s"),
            ("IOF_LIMITS_COMMANDS", "2"),
            ("IOF_AUTH_KEYS", "a key that nobody may see"),
            // Kubernetes sets these variables for a service named iof.
            ("IOF_SERVICE_HOST", "10.0.0.1"),
            ("IOF_PORT", "tcp://10.0.0.1:80"),
        ],
    );
    let printed = text(&output.stdout);
    for line in ["wall_time = \"1s\"", "guest_cpu = \"2s\"", "commands = 3"] {
        assert!(printed.contains(line), "{line} is missing in\n{printed}");
    }
    assert!(!printed.contains("nobody may see"), "{printed}");
}

#[tokio::test]
async fn invalid_arguments_are_refused_with_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    let never = home.path().join("never");
    let never = never.to_str().unwrap();
    for (args, words) in [
        (
            vec!["--set", "limits.wall_tmie=1s"],
            vec!["limits.wall_tmie", "limits.wall_time"],
        ),
        (
            vec!["--set", "limits.wall_time=soon"],
            vec!["limits.wall_time", "soon"],
        ),
        (
            vec!["--listen", "0.0.0.0:0"],
            vec!["0.0.0.0:0", "auth.keys", "IOF_AUTH_KEYS"],
        ),
        (
            vec!["--set", "auth.keys=short"],
            vec!["auth.keys", "openssl"],
        ),
        (
            vec!["--set", "defaults.outbound=http://x/?q"],
            vec!["defaults.outbound"],
        ),
        (
            vec!["--set", "egress.ca_files=/nowhere/ca.pem"],
            vec!["/nowhere/ca.pem"],
        ),
        (
            vec!["--config", "/nowhere/iof.toml"],
            vec!["/nowhere/iof.toml"],
        ),
        (vec!["--set", "log=nonsense=x=y"], vec!["log"]),
        (
            vec!["--set", "tls.listen=here"],
            vec!["tls.listen", "127.0.0.1:8080"],
        ),
        (
            vec!["--set", "public_url=https://f.example.com/api"],
            vec!["public_url", "https://f.example.com"],
        ),
        (
            vec!["--set", "public_url=f.example.com"],
            vec!["public_url", "https://"],
        ),
        (
            vec!["--set", "second_state.status=true"],
            vec!["second_state.status", "real"],
        ),
        (
            vec!["--set", "compile.unknown_imports=ignore"],
            vec!["compile.unknown_imports", "refuse"],
        ),
        (
            vec!["--set", "server.multipart_parts=0"],
            vec!["server.multipart_parts", "between 1"],
        ),
    ] {
        let output = iof(&[&["serve", "--data", never][..], &args].concat(), &[]);
        let errors = text(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{args:?}: {errors}"
        );
        assert!(
            errors.starts_with("iof: ") || errors.starts_with("error: "),
            "{errors}"
        );
        for word in words {
            assert!(errors.contains(word), "{word:?} is not in {errors:?}");
        }
    }
    let server = Server::start("").await;
    let taken = server.url.trim_start_matches("http://");
    let second = text(&iof(&["serve", "--listen", taken, "--data", never], &[]).stderr);
    assert!(
        second.contains(taken) && second.contains("--listen"),
        "{second}"
    );
    let data = server.data();
    let second = text(
        &iof(
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data",
                data.to_str().unwrap(),
            ],
            &[],
        )
        .stderr,
    );
    assert!(second.contains("in use by another iof"), "{second}");
}

#[test]
fn a_reader_that_closes_the_pipe_is_not_a_failure() {
    let command = format!("{} serve --print-config | true", program().display());
    let output = Command::new("sh")
        .args(["-c", &command])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}
