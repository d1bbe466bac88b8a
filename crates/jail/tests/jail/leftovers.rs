//! The end of a run: nothing of it is left.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use iof_jail::{Exit, Jail, Limit, Profile, Request, RunError};

use crate::support::{
    EXE, PYTHON, SCRATCH, count, eventually, is_running, jails, out, request, run, settings,
};

#[tokio::test]
async fn daemons_end_with_their_run() {
    for (n, way) in jails().await.into_iter().enumerate() {
        // An argument that no other process has.
        let marker = format!("7{}{n}", std::process::id());
        let script = format!(
            "setsid sleep {marker} & (setsid sh -c 'sleep {marker} & sleep {marker}' &) & \
             nohup sleep {marker} >/dev/null 2>&1 & sleep 0.2; echo done"
        );
        let program = way.program(Profile::new("/bin/sh"));
        let ended = run(&program, &["-c", &script], "").await.unwrap();
        assert_eq!(out(&ended), "done", "{}", way.name);
        assert!(!is_running(&marker), "{}", way.name);
        // The timeout ends them just as well.
        let script = script.replace("echo done", "sleep 60");
        let request = Request {
            timeout: Duration::from_millis(500),
            ..request(&["-c", &script], "")
        };
        let ended = program.run(request).await.unwrap();
        assert_eq!(ended.exit, Exit::Limit(Limit::Timeout), "{}", way.name);
        assert!(!is_running(&marker), "{}", way.name);
    }
}

#[tokio::test]
async fn a_dropped_run_ends() {
    for (n, way) in jails().await.into_iter().enumerate() {
        let marker = format!("6{}{n}", std::process::id());
        let program = way.program(Profile::new("/bin/sh"));
        let script = format!("setsid sleep {marker} & sleep {marker}");
        {
            let args = ["-c", script.as_str()];
            let running = run(&program, &args, "");
            let early = tokio::time::timeout(Duration::from_millis(300), running).await;
            assert!(early.is_err(), "{}: {early:?}", way.name);
        }
        eventually("the run's processes end", || !is_running(&marker)).await;
        assert_eq!(
            out(&run(&program, &["-c", "echo on"], "").await.unwrap()),
            "on"
        );
    }
}

#[tokio::test]
async fn the_scratch_directory_is_new_each_time() {
    let many = format!(
        "for i in $(seq 200); do echo {} > $i; done",
        "x".repeat(100)
    );
    for way in jails().await {
        let program = way.program(Profile::new("/bin/sh"));
        for script in [
            "echo secret > f; echo > .hidden; mkdir -p a/b/c; ln -s /etc l; mkfifo p",
            "mkdir a; echo > a/f; chmod 000 a",
            "chmod 000 .",
            "echo > ../dev/shm/f; true",
            "rm -rf \"$PWD\" 2>/dev/null; true",
            "for i in $(seq 300); do mkdir d; cd d; done",
            &many,
            "cd /; rm -rf $TMPDIR/* .; true",
        ] {
            let ended = run(&program, &["-c", script], "").await.unwrap();
            assert_eq!(ended.exit, Exit::Code(0), "{} {script} {ended:?}", way.name);
            let look =
                "pwd; ls -A . /dev/shm 2>/dev/null | grep -v : ; stat -c %a .; echo > f && cat f";
            let ended = run(&program, &["-c", look], "").await.unwrap();
            let output = out(&ended);
            let mut lines = output.lines();
            let directory = lines.next().unwrap();
            assert!(
                directory == "/tmp" || directory.starts_with("/var/tmp/iof-jail-"),
                "{output}"
            );
            let rest: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
            assert_eq!(rest, ["700"], "{} {script}", way.name);
        }
    }
}

#[tokio::test]
async fn wardens_end_with_their_program_and_when_idle() {
    let settings = iof_jail::Settings {
        idle: Duration::from_millis(300),
        runs: 3,
        ..settings(&[])
    };
    let jail = Jail::new(settings, EXE).await.unwrap();
    let program = jail.program(Profile::new("/bin/sh")).unwrap();
    let started = children();
    let mut wardens = BTreeSet::new();
    for _ in 0..7 {
        run(&program, &["-c", "true"], "").await.unwrap();
        wardens.extend(children().difference(&started).copied());
    }
    // Other tests of this process start wardens, too: at least the three of seven runs.
    assert!(wardens.len() >= 3, "{wardens:?}");
    let ours = || children().intersection(&wardens).next().is_none();
    eventually("idle wardens end", ours).await;

    run(&program, &["-c", "true"], "").await.unwrap();
    drop(program);
}

fn children() -> BTreeSet<u32> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists = threads.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split(' ')
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The number of runs in each kind of jail; `cargo xtask soak jails` makes 250.
fn runs() -> usize {
    std::env::var("IOF_TEST_RUNS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(48)
}

/// Many runs, each hostile in another way, eight at a time, in a process of its own so that
/// its descriptors, processes and files can be counted.
#[test]
fn hostile_runs_leave_nothing() {
    if std::env::var_os("IOF_JAIL_SOAK").is_none() {
        let scratch = scratch();
        let test = "leftovers::hostile_runs_leave_nothing";
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env("IOF_JAIL_SOAK", "1")
            .env(SCRATCH, scratch.path())
            .output()
            .unwrap();
        assert!(alone.status.success(), "{alone:?}");
        assert!(is_empty(&scratch));
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(soak());
}

async fn soak() {
    let marker = format!("5{}", std::process::id());
    let fork = "bomb() { bomb | bomb & }; bomb; sleep 60";
    let sleepers = format!("setsid sleep {marker} & setsid nohup sleep {marker} & true");
    let wait = format!("trap '' TERM; sleep {marker}");
    let scripts = [
        ("/bin/sh", "exec yes", 2000),
        ("/bin/sh", "yes >&2", 2000),
        ("/bin/sh", "exec head -c 10G /dev/zero > big", 2000),
        ("/bin/sh", "rm -rf . /* 2>/dev/null; kill -9 -1", 2000),
        (
            "/bin/sh",
            "mkdir -p a/b/c; echo x > a/b/c/d; chmod 000 a",
            2000,
        ),
        ("/bin/sh", &sleepers, 2000),
        ("/bin/sh", &wait, 60),
        ("/bin/bash", fork, 150),
        ("/bin/sh", "exec 0<&- 1>&- 2>&-; true", 2000),
        (
            PYTHON,
            "import os\nos.setsid()\nif os.fork(): os._exit(3)\nos.abort()",
            2000,
        ),
        (PYTHON, "x = b'x' * (2 << 30)", 2000),
        (PYTHON, "import os\nwhile 1: os.open('/dev/null', 0)", 2000),
    ];
    for way in jails().await {
        let programs: Vec<_> = ["/bin/sh", "/bin/bash", PYTHON]
            .map(|path| {
                let mut profile = Profile::new(path);
                profile.limits.file_size = 1 << 20;
                profile.limits.stdout = 1 << 20;
                profile.limits.processes = 30;
                (path, way.program(profile))
            })
            .into();
        let before = (descriptors(), children());
        let mut running = tokio::task::JoinSet::new();
        for n in 0..runs() {
            let (path, script, timeout) = scripts[n % scripts.len()];
            let program = programs.iter().find(|(name, _)| *name == path).unwrap();
            let program = program.1.clone();
            let request = Request {
                timeout: Duration::from_millis(timeout)
                    + Duration::from_secs(20) * u32::from(timeout == 2000),
                stdin: if n % 2 == 0 {
                    "x".repeat(200_000).into()
                } else {
                    Default::default()
                },
                ..request(&["-c", script], "")
            };
            running.spawn(async move { program.run(request).await });
            if running.len() == 8 {
                settle(running.join_next().await.unwrap().unwrap());
            }
        }
        while let Some(ended) = running.join_next().await {
            settle(ended.unwrap());
        }
        drop(programs);
        eventually("wardens end", || children() == before.1).await;
        assert_eq!(descriptors(), before.0, "{}", way.name);
        assert!(!is_running(&marker), "{}", way.name);
    }
}

/// Each run ended by itself or by its limit; without a pid namespace, its program may have killed the warden, and a
/// permit may not have come in time.
fn settle(ended: Result<iof_jail::Ended, RunError>) {
    match ended {
        Ok(_) | Err(RunError::Lost | RunError::Busy | RunError::NotStarted(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The server is killed in the middle, so its own code cannot clean up.
#[test]
fn a_killed_server_takes_everything_with_it() {
    let marker = format!("3{}", std::process::id());
    if let Ok(marker) = std::env::var("IOF_JAIL_VICTIM") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut all = tokio::task::JoinSet::new();
            for way in jails().await {
                let program = way.program(Profile::new("/bin/sh"));
                let script = format!("echo > f; setsid sleep {marker} & exec sleep {marker}");
                all.spawn(async move { run(&program, &["-c", &script], "").await });
            }
            all.join_all().await;
        });
        return;
    }
    let scratch = scratch();
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "leftovers::a_killed_server_takes_everything_with_it",
        ])
        .env("IOF_JAIL_VICTIM", &marker)
        .env(SCRATCH, scratch.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let running = || count(&marker) >= 8 && !is_empty(&scratch);
        eventually("all of them run", running).await;
        server.kill().unwrap();
        server.wait().unwrap();
        eventually("all of them end", || !is_running(&marker)).await;
        eventually("no warden of it is left", || is_empty(&scratch)).await;
    });
}

/// A directory that every user may use.
fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::tempdir_in("/var/tmp").unwrap();
    let open = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(scratch.path(), open).unwrap();
    scratch
}

fn is_empty(directory: &tempfile::TempDir) -> bool {
    std::fs::read_dir(directory.path())
        .unwrap()
        .next()
        .is_none()
}
