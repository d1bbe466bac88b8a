//! Native programs run by functions: the arguments that a declaration allows, and the limits that end a run.

use std::fmt::Write;
use std::time::{Duration, Instant};

use iof_tests::call::Uploaded;
use iof_tests::guests::guest;
use iof_tests::server::Server;
use serde_json::{Value, json};

/// A command that runs a script; `more` is the rest of its declaration.
pub(crate) fn script(name: &str, script: &str, more: &str) -> String {
    // Braces of the script are not patterns.
    let script = script.replace('{', "{{").replace('}', "}}");
    format!(
        "[commands.{name}]\nprogram = \"/bin/bash\"\nargs = [\"-c\", '''{script}''', \"{name}\", \"{{.*}}...\"]\n{more}\n"
    )
}

/// A server with these commands, all of them granted to every upload.
pub(super) async fn server(names: &[&str], declared: &str) -> (Server, Uploaded) {
    let commands = format!("{names:?}");
    let config =
        format!("[defaults]\ncommands = {commands}\n[ceiling]\ncommands = {commands}\n{declared}");
    let server = Server::start(config).await;
    let function = server.upload(guest("command")).await;
    (server, function)
}

pub(crate) async fn run(server: &Server, function: &Uploaded, request: Value) -> Value {
    let answer = server
        .run(function.id, "run_ssvm", request.to_string())
        .await;
    assert_eq!(answer.fault(), "", "{answer:?}\n{}", server.log());
    answer.json()
}

pub(crate) async fn of(
    server: &Server,
    function: &Uploaded,
    program: &str,
    args: &[&str],
) -> Value {
    run(
        server,
        function,
        json!({ "program": program, "args": args }),
    )
    .await
}

#[tokio::test]
async fn a_declared_program_runs_and_an_undeclared_one_does_not() {
    let declared = "[commands.upper]\nprogram = \"/usr/bin/tr\"\nargs = [\"a-z\", \"A-Z\"]\n";
    let (server, function) = server(&["upper"], declared).await;
    let request = json!({ "program": "upper", "stdin": "shout" });
    let output = run(&server, &function, request.clone()).await;
    assert_eq!(
        output,
        json!({ "status": 0, "stdout": "SHOUT", "stderr": "" })
    );
    let other = of(&server, &function, "/usr/bin/tr", &["a", "b"]).await;
    assert_eq!(other["status"], -1, "{other}");
    // The denied case: the command is declared, but not granted to this version.
    let bare = server.deploy(guest("command"), "").await;
    let denied = run(&server, &bare, request).await;
    assert_eq!(denied["status"], -1, "{denied}");
    assert!(denied["stderr"].as_str().unwrap().contains("white list"));
}

#[tokio::test]
async fn arguments_must_match_the_declaration() {
    let declared = "[commands.say]\nprogram = \"/bin/echo\"\nargs = [\"-n\", \"size={[0-9]{1,3}}\", \"{[^-].*}...\"]\n";
    let (server, function) = server(&["say"], declared).await;
    for (args, status, expected) in [
        (&["12", "a b", "c"][..], 0, "size=12 a b c"),
        (&["12"], 0, "size=12"),
        (&[], 2, "the number of arguments is not 1 or more: got 0"),
        (
            &["1234"],
            2,
            "argument 1 does not match the allowed pattern [0-9]{1,3}",
        ),
        (
            &["12", "-e"],
            2,
            "argument 2 does not match the allowed pattern",
        ),
    ] {
        let output = of(&server, &function, "say", args).await;
        assert_eq!(output["status"], status, "{args:?}: {output}");
        let text = format!("{}{}", output["stdout"], output["stderr"]);
        assert!(text.contains(expected), "{args:?}: {output}");
    }
}

#[tokio::test]
async fn the_environment_is_only_the_declared_one() {
    let more = "env = { FIXED = \"host\" }\npass_env = [\"CHOSEN\", \"FIXED\"]";
    let (server, function) = server(&["env"], &script("env", "env", more)).await;
    let output = run(
        &server,
        &function,
        json!({ "program": "env", "env": { "CHOSEN": "guest", "FIXED": "guest", "LD_PRELOAD": "/x.so", "OTHER": "guest" } }),
    )
    .await;
    let lines: Vec<_> = output["stdout"].as_str().unwrap().lines().collect();
    for (line, there) in [
        ("CHOSEN=guest", true),
        ("FIXED=host", true),
        ("OTHER=guest", false),
        ("LD_PRELOAD=/x.so", false),
    ] {
        assert_eq!(lines.contains(&line), there, "{line}: {lines:?}");
    }
    // Nothing of the server's own environment is visible.
    assert!(
        !lines.iter().any(|line| line.starts_with("IOF_")),
        "{lines:?}"
    );
}

/// Each limit that ends a run, as the function and the operator see it.
#[tokio::test]
async fn the_limit_that_ends_a_run_is_named() {
    const CASES: [(&str, &str, &str, &str, i64); 7] = [
        (
            "time",
            "trap '' TERM; sleep 60 & wait; sleep 60",
            "time = \"300ms\"",
            "time",
            110,
        ),
        ("cpu", "while :; do :; done", "cpu = \"1s\"", "cpu", -104),
        (
            "memory",
            "a=x; while :; do a=$a$a; done & b=y; while :; do b=$b$b; done",
            "memory = \"64MiB\"",
            "memory",
            0,
        ),
        ("stdout", "yes", "stdout = \"64KiB\"", "stdout", -119),
        ("stderr", "yes >&2", "stderr = \"4KiB\"", "stderr", -119),
        (
            "file_size",
            "exec dd if=/dev/zero of=f bs=1M count=10240 status=none",
            "file_size = \"1MiB\"",
            "file-size",
            -103,
        ),
        ("stdin", "cat", "stdin = \"3\"", "", 2),
    ];
    let mut declared = String::new();
    for (name, code, more, _, _) in CASES {
        let _ = write!(declared, "{}", script(name, code, more));
    }
    let names = CASES.map(|case| case.0);
    let (server, function) = server(&names, &declared).await;
    for (name, _, _, code, status) in CASES {
        let began = Instant::now();
        let request = json!({ "program": name, "stdin": "four" });
        let output = run(&server, &function, request).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(8), "{name}: {took:?}");
        let stderr = output["stderr"].as_str().unwrap();
        let rows = server.read_as(&function, "/v1/egress?limit=1").await;
        let row = &rows["sent"][0];
        // A process that gets no more memory reports that itself.
        let named = format!("(limit commands.{name}.{name})");
        if name == "memory" && !stderr.contains(&named) {
            assert!(
                stderr.contains("cannot allocate") || output["status"] != 0,
                "{output}"
            );
            continue;
        }
        assert!(stderr.contains(&named), "{name}: {output}");
        if name != "memory" {
            assert_eq!(output["status"], status, "{name}: {output}");
        }
        let outcome = match code {
            "" => "ok".to_owned(),
            code => format!("command-{code}"),
        };
        assert_eq!(row["outcome"], json!(outcome), "{name}: {row}");
    }
}

#[tokio::test]
async fn a_program_cannot_reach_the_host() {
    let declared = script("try", r#"eval "$1""#, "processes = 20");
    let (server, function) = server(&["try"], &declared).await;
    let data = server.data();
    let data = data.display();
    let pid = server.pid();
    for (attempt, allowed) in [
        ("cat /etc/shadow".to_owned(), false),
        (format!("ls {data}"), false),
        (format!("kill -0 {pid}"), false),
        (format!("cat /proc/{pid}/environ"), false),
        ("echo x > /usr/x".to_owned(), false),
        (
            format!(
                "exec 3<>/dev/tcp/{}",
                server.url.trim_start_matches("http://").replace(':', "/")
            ),
            false,
        ),
        (
            "exec 3<>/dev/udp/127.0.0.1/53 && echo x >&3".to_owned(),
            false,
        ),
        ("echo x > here && cat here && pwd".to_owned(), true),
        ("ls here".to_owned(), false),
        (
            "for i in {1..100}; do sleep 60 & done 2>/dev/null; jobs -p | wc -l | grep -qx 100"
                .to_owned(),
            false,
        ),
        (
            "cat /etc/ld.so.cache > /dev/null && /bin/true".to_owned(),
            true,
        ),
    ] {
        let output = of(&server, &function, "try", &[&attempt]).await;
        assert_eq!(output["status"] == 0, allowed, "{attempt}: {output}");
    }
    assert_eq!(server.get("/healthz").await.http, 200);
}

/// A hundred runs that leave processes and files behind, and a server that is killed in the middle of more.
#[tokio::test]
async fn nothing_is_left_behind() {
    let mark = format!("8{:05}", std::process::id() % 100_000);
    let leave = format!(
        "(setsid sleep {mark} &) ; sleep {mark} & disown; touch /tmp/left-{mark}; echo done"
    );
    let declared =
        script("leave", &leave, "") + &script("stay", &format!("sleep {mark}"), "time = \"30s\"");
    let (mut server, function) = server(&["leave", "stay"], &declared).await;
    for _ in 0..100 {
        let output = of(&server, &function, "leave", &[]).await;
        assert_eq!(output["stdout"], "done\n", "{output}");
    }
    assert_eq!(sleepers(&mark).await, 0);
    assert!(!std::path::Path::new(&format!("/tmp/left-{mark}")).exists());
    let staying = server.request("POST", &format!("/api/run/{}/run_ssvm", function.id));
    let staying = staying
        .header("Content-Type", "text/plain")
        .body(json!({ "program": "stay" }).to_string());
    let staying = tokio::spawn(staying.send());
    let until = Instant::now() + Duration::from_secs(10);
    while sleepers(&mark).await == 0 {
        assert!(Instant::now() < until, "it did not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill().await;
    let _ = staying.await;
    let until = Instant::now() + Duration::from_secs(10);
    while sleepers(&mark).await > 0 {
        assert!(Instant::now() < until, "programs outlive their server");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The number of processes on the machine with this mark.
async fn sleepers(mark: &str) -> usize {
    let found = tokio::process::Command::new("pgrep")
        .args(["-fc", &format!("^sleep {mark}$")])
        .output()
        .await
        .unwrap();
    String::from_utf8_lossy(&found.stdout)
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_at_once() {
    let declared = script("slow", "sleep 1", "concurrency = 1\nqueue = 1");
    let (server, function) = server(&["slow"], &declared).await;
    let one = || of(&server, &function, "slow", &[]);
    let outputs = tokio::join!(one(), one(), one(), one());
    let outputs = [outputs.0, outputs.1, outputs.2, outputs.3];
    let refused: Vec<_> = outputs.iter().filter(|o| o["status"] == 125).collect();
    assert_eq!(refused.len(), 2, "{outputs:?}");
    for output in refused {
        let stderr = output["stderr"].as_str().unwrap();
        assert!(stderr.contains("(limit commands.slow.queue)"), "{stderr}");
    }
}

#[tokio::test]
async fn an_invalid_declaration_is_named() {
    for (declared, expected) in [
        (
            "[commands.x]\nprogram = \"convert\"",
            &["commands.x", "absolute"][..],
        ),
        (
            "[commands.x]\nprogram = \"/bin/none\"",
            &["commands.x", "/bin/none"],
        ),
        (
            "[commands.x]\nprogram = \"/bin/echo\"\nargs = [\"{[}\"]",
            &["commands.x.args", "{[}"],
        ),
        (
            "[commands.x]\nprogram = \"/bin/echo\"\nmemroy = 5",
            &["memroy", "memory"],
        ),
        (
            "[commands.x]\nprogram = \"/bin/echo\"\nread = [\"/etc\"]",
            &["commands.x", "/etc", "such as /opt/NAME"],
        ),
        (
            "[commands.x]\nprogram = \"/bin/echo\"\nread = [\"/tmp\"]",
            &[
                "\"/tmp\" cannot be shown",
                "nothing below /proc, /sys, /tmp, /dev/shm is",
            ],
        ),
        (
            "[commands.x]\nprogram = \"/bin/echo\"\ntime = \"0s\"",
            &["commands.x.time"],
        ),
        (
            "[commands.x]\nprogram = \"/bin/echo\"\nnetwork = \"egress\"\n[commands.x.resident]",
            &["commands.x.network", "resident"],
        ),
        ("jail = \"maybe\"", &["jail", "required", "available"]),
    ] {
        let refused = Server::builder().config(declared).refused().await;
        for part in expected {
            assert!(refused.log.contains(part), "{declared}: {}", refused.log);
        }
    }
}

/// A server in a container that allows no further namespaces; `prepare` runs there as root.
async fn contained(prepare: &str) -> Option<(Server, tempfile::TempDir)> {
    let may = std::process::Command::new("unshare")
        .args(["-rm", "true"])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("unshare -rm is refused here, so there is nothing to start a server in");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("iof");
    let line = format!(
        "#!/bin/sh\nexec unshare -rm /bin/sh -c '{prepare}; exec {} \"$@\"' iof \"$@\"\n",
        iof_tests::server::program().display()
    );
    std::fs::write(&program, line).unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let config = "jail = \"available\"\n[defaults]\ncommands = [\"upper\"]\n[ceiling]\ncommands = [\"upper\"]\n\
                  [commands.upper]\nprogram = \"/usr/bin/tr\"\nargs = [\"a-z\", \"A-Z\"]\n";
    let server = Server::builder().program(&program).config(config);
    Some((server.start().await, folder))
}

#[tokio::test]
async fn without_further_namespaces_programs_run_in_the_available_jail() {
    let none =
        "for of in user pid net mnt ipc; do echo 0 > /proc/sys/user/max_${of}_namespaces; done";
    for prepare in ["echo 0 > /proc/sys/user/max_user_namespaces", none] {
        let Some((server, _folder)) = contained(prepare).await else {
            return;
        };
        let function = server.upload(guest("command")).await;
        let request = json!({ "program": "upper", "stdin": "shout" });
        let output = run(&server, &function, request).await;
        assert_eq!(output["stdout"], "SHOUT", "{output}{}", server.log());
        let log = server.log();
        assert!(
            log.contains("the jail of native commands lacks a part")
                && log.contains("the limit on such namespaces"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn without_a_jail_functions_are_served_but_programs_are_not() {
    // A warden cannot start, because its path is in /proc.
    let Some((server, _folder)) = contained("mount -t tmpfs none /proc").await else {
        return;
    };
    let log = server.log();
    assert!(
        log.contains("native commands do not run on this server") && log.contains("upper"),
        "{log}"
    );
}
