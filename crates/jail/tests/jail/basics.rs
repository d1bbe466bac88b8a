//! The basics of every run: arguments, environment, streams, a directory, and the end of the program.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use iof_jail::{
    Exit, Jail, Limits, Profile, ProfileError, Request, RunError, Settings, StartError,
};

use crate::support::{EXE, jail, jails, out, request, run, settings, text};

#[tokio::test]
async fn arguments_and_streams_are_passed() {
    for way in jails().await {
        let mut profile = Profile::new("/bin/sh");
        profile.env = vec![("B".into(), "profile".into()), ("HOME".into(), "/x".into())];
        let program = way.program(profile);
        let script = "cat; echo \"$A $B $HOME\"; echo \"$0 $1\" >&2; exit 7";
        let ended = program
            .run(Request {
                env: vec![("A".into(), "run".into()), ("B".into(), "run".into())],
                ..request(&["-c", script, "zero", "a b"], "in\n")
            })
            .await
            .unwrap();
        assert_eq!(ended.exit, Exit::Code(7), "{}: {ended:?}", way.name);
        assert_eq!(text(&ended.stdout), "in\nrun profile /x", "{}", way.name);
        assert_eq!(text(&ended.stderr), "zero a b", "{}", way.name);
    }
}

#[tokio::test]
async fn the_environment_is_what_was_declared() {
    for way in jails().await {
        let listed = out(&way.run(Profile::new("/usr/bin/env"), &[]).await);
        let mut names: Vec<_> = listed.lines().filter_map(|l| l.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "PATH", "TMPDIR"], "{}", way.name);
    }
    let jail = jail(&[]).await;
    let env = jail.program(Profile::new("/usr/bin/env")).unwrap();
    for (name, value) in [
        ("LD_PRELOAD", "x"),
        ("LD_LIBRARY_PATH", "."),
        ("GLIBC_TUNABLES", "x"),
        ("", "x"),
        ("A=B", "x"),
        ("A", "x\0"),
    ] {
        let refused = env
            .run(Request {
                env: vec![(name.into(), value.into())],
                ..request(&[], "")
            })
            .await;
        assert!(
            matches!(refused, Err(RunError::Environment(_))),
            "{name} {refused:?}"
        );
    }
}

#[tokio::test]
async fn ends_of_programs_are_distinguished() {
    for way in jails().await {
        for (script, exit, status) in [
            ("exit 0", Exit::Code(0), 0),
            ("exit 255", Exit::Code(255), 255),
            ("kill -9 $$", Exit::Signal(9), 137),
            ("kill -SEGV $$", Exit::Signal(11), 139),
            ("kill -ABRT $$", Exit::Signal(6), 134),
        ] {
            let ended = way.sh(script).await;
            assert_eq!(
                (ended.exit, ended.exit.status()),
                (exit, status),
                "{} {script}",
                way.name
            );
        }
    }
}

#[tokio::test]
async fn invalid_programs_are_distinguished() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let open = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(directory.path(), open(0o755)).unwrap();
    for way in jails().await {
        let make = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, open(0o755)).unwrap();
            path
        };
        let text = make("text", "neither a binary nor a script\n");
        let ended = run(&way.program(Profile::new(&text)), &[], "").await;
        assert!(
            matches!(ended, Err(RunError::NotExecutable)),
            "{} {ended:?}",
            way.name
        );

        let no_interpreter = make("lost", "#!/nowhere/at-all\n");
        let ended = run(&way.program(Profile::new(&no_interpreter)), &[], "").await;
        assert!(
            matches!(ended, Err(RunError::NotFound)),
            "{} {ended:?}",
            way.name
        );

        let removed = way.program(Profile::new(make("gone", "#!/bin/sh\n")));
        std::fs::remove_file(directory.path().join("gone")).unwrap();
        let ended = run(&removed, &[], "").await;
        assert!(
            matches!(ended, Err(RunError::NotFound)),
            "{} {ended:?}",
            way.name
        );

        let others = make("others", "#!/bin/sh\n");
        let program = way.program(Profile::new(&others));
        std::fs::set_permissions(&others, open(0o600)).unwrap();
        let ended = run(&program, &[], "").await;
        assert!(
            matches!(ended, Err(RunError::NotPermitted)),
            "{} {ended:?}",
            way.name
        );

        let script = make("script", "#!/bin/sh\necho yes\n");
        assert_eq!(
            out(&way.run(Profile::new(script), &[]).await),
            "yes",
            "{}",
            way.name
        );
    }
}

#[tokio::test]
async fn streams_may_be_ignored_and_closed() {
    for way in jails().await {
        let large = "x".repeat(10 << 20);
        let sh = way.program(Profile::new("/bin/sh"));
        let ended = run(&sh, &["-c", "true"], &large).await.unwrap();
        assert_eq!(ended.exit, Exit::Code(0), "{}", way.name);
        let ended = run(
            &sh,
            &["-c", "exec 0<&- 1>&-; sleep 0.1; echo on >&2"],
            &large,
        )
        .await;
        assert_eq!(text(&ended.unwrap().stderr), "on", "{}", way.name);
        let ended = run(&sh, &["-c", "cat"], &large).await.unwrap();
        assert!(
            ended.stdout == large,
            "{}: {} bytes",
            way.name,
            ended.stdout.len()
        );
        let ended = run(&sh, &["-c", "wc -c"], "").await.unwrap();
        assert_eq!(out(&ended), "0", "{}", way.name);
    }
}

#[tokio::test]
async fn arguments_are_limited() {
    for way in jails().await {
        let sh = way.program(Profile::new("/bin/sh"));
        // A NUL after each word counts, as it does for the kernel.
        let rest = Limits::ARGUMENTS - "-c".len() - 1 - "echo ${#0}".len() - 1 - 1;
        let (fits, over) = ("\u{1}".repeat(rest), "x".repeat(rest + 1));
        let ended = run(&sh, &["-c", "echo ${#0}", &fits], "").await.unwrap();
        assert_eq!(out(&ended), rest.to_string(), "{}", way.name);
        let refused = run(&sh, &["-c", "echo ${#0}", &over], "").await;
        assert!(
            matches!(refused, Err(RunError::TooLong { .. })),
            "{refused:?}"
        );
        let refused = run(&sh, &["-c", "a\0b"], "").await;
        assert!(matches!(refused, Err(RunError::Argument)), "{refused:?}");
    }
}

#[tokio::test]
async fn private_paths_of_the_server_are_in_no_profile() {
    let data = tempfile::tempdir_in("/var/tmp").unwrap();
    let settings = Settings {
        denied: vec![data.path().to_owned()],
        ..settings(&[])
    };
    let jail = Jail::new(settings, EXE).await.unwrap();
    let mut profile = Profile::new("/bin/sh");
    jail.program(profile.clone()).unwrap();
    profile.read = vec!["/var/tmp".into()];
    let refused = jail.program(profile);
    assert!(
        matches!(refused, Err(ProfileError::Denied { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn permits_are_limited_and_waited_for() {
    for way in jails().await {
        let mut profile = Profile::new("/bin/sh");
        profile.concurrency = 1;
        let program = way.program(profile);
        let first = {
            let program = program.clone();
            async move { run(&program, &["-c", "sleep 0.5"], "").await.unwrap() }
        };
        let second = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let busy = Request {
                timeout: Duration::from_millis(100),
                ..request(&["-c", "true"], "")
            };
            let busy = program.run(busy).await;
            assert!(matches!(busy, Err(RunError::Busy)), "{busy:?}");
            run(&program, &["-c", "true"], "").await.unwrap()
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.exit, second.exit), (Exit::Code(0), Exit::Code(0)));
    }
}

#[tokio::test]
async fn a_binary_that_is_not_a_warden_is_detected() {
    let silent = Jail::new(settings(&[]), "/bin/true").await.unwrap_err();
    assert!(
        matches!(silent, StartError::Silent | StartError::Io(_)),
        "{silent}"
    );
    let missing = Jail::new(settings(&[]), "/nowhere").await.unwrap_err();
    assert!(matches!(missing, StartError::Io(_)), "{missing}");
}

#[tokio::test]
async fn a_missing_required_part_is_refused() {
    let mut settings = settings(&[iof_jail::Feature::Landlock]);
    settings.demand = iof_jail::Demand::Required;
    let lacks = Jail::new(settings, EXE).await.unwrap_err();
    assert!(lacks.to_string().contains("Landlock"), "{lacks}");
}
