//! Resident workers.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use iof_jail::{Exit, Profile, RunError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{PYTHON, eventually, is_running, jails};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_worker_answers_until_it_ends() {
    let script = "import sys\nheld = []\n\
        for line in sys.stdin:\n\
        \x20 if line == 'grow\\n': held.append(b'x' * (50 << 20))\n\
        \x20 sys.stderr.write('E' * 40000); sys.stderr.flush()\n\
        \x20 print(line.strip() * 2, flush=True)\n\
        sys.exit(5)";
    for way in jails().await {
        let mut profile = Profile::new(PYTHON);
        profile.limits.cpu = None;
        let program = way.program(profile);
        let args = ["-c".to_owned(), script.to_owned()];
        let mut worker = program.open(&args, &[], LONG, None).await.unwrap();
        let mut stdin = worker.stdin.take().unwrap();
        for line in ["one", "two", "grow"] {
            let before = worker.usage().await;
            stdin
                .write_all(format!("{line}\n").as_bytes())
                .await
                .unwrap();
            let mut answer = String::new();
            BufReader::new(&mut worker.stdout)
                .read_line(&mut answer)
                .await
                .unwrap();
            assert_eq!(answer.trim(), line.repeat(2), "{}", way.name);
            let after = worker.usage().await;
            assert_eq!(after.processes, 1, "{}", way.name);
            let grown = after.memory.saturating_sub(before.memory) >= 50 << 20;
            assert_eq!(grown, line == "grow", "{} {before:?} {after:?}", way.name);
        }
        eventually("standard error arrives", || {
            worker.stderr().len() == 64 << 10
        })
        .await;
        drop(stdin);
        let exit = tokio::time::timeout(LONG, worker.ended()).await.unwrap();
        assert_eq!(exit.unwrap(), Exit::Code(5), "{}", way.name);
        assert_eq!(worker.ended().await.unwrap(), Exit::Code(5), "{}", way.name);
    }
}

#[tokio::test]
async fn a_worker_can_be_killed_and_dropped() {
    for (n, way) in jails().await.into_iter().enumerate() {
        let marker = format!("4{}{n}", std::process::id());
        let mut profile = Profile::new("/bin/sh");
        profile.concurrency = 1;
        let program = way.program(profile);
        let args = [
            "-c".to_owned(),
            format!("setsid sleep {marker} & exec sleep {marker}"),
        ];
        let worker = program.open(&args, &[], LONG, None).await.unwrap();
        eventually("it runs", || is_running(&marker)).await;
        // The worker has the only permit.
        let busy = program
            .open(&args, &[], Duration::from_millis(50), None)
            .await;
        assert!(matches!(busy, Err(RunError::Busy)), "{busy:?}");
        worker.kill().await;
        assert!(!is_running(&marker), "{}", way.name);
        let worker = program.open(&args, &[], LONG, None).await.unwrap();
        eventually("it runs", || is_running(&marker)).await;
        drop(worker);
        eventually("it is gone", || !is_running(&marker)).await;
    }
}

#[tokio::test]
async fn a_worker_without_a_program_is_detected() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = directory.path().join("text");
    std::fs::write(&path, "no program\n").unwrap();
    open(directory.path());
    open(&path);
    for way in jails().await {
        let program = way.program(Profile::new(&path));
        let mut worker = program.open(&[], &[], LONG, None).await.unwrap();
        let ended = worker.ended().await;
        assert!(
            matches!(ended, Err(RunError::NotExecutable)),
            "{} {ended:?}",
            way.name
        );
    }
}

/// The end of a worker may be known before its output has been read.
#[tokio::test]
async fn the_last_output_of_a_worker_is_read() {
    for way in jails().await {
        let program = way.program(Profile::new("/bin/sh"));
        let args = ["-c".to_owned(), "echo last words >&2; exit 7".to_owned()];
        for _ in 0..50 {
            let mut worker = program.open(&args, &[], LONG, None).await.unwrap();
            assert_eq!(worker.ended().await.unwrap(), Exit::Code(7), "{}", way.name);
            let stderr = String::from_utf8(worker.kill().await).unwrap();
            assert_eq!(stderr, "last words\n", "{}", way.name);
        }
    }
}
