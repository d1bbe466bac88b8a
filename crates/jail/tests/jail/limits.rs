//! Each limit, with a program that exceeds it and one that does not.

use std::time::{Duration, Instant};

use iof_jail::{Ended, Exit, Feature, Limit, Limits, Network, Profile, Request};

use crate::support::{PYTHON, Way, jails, out, request, text};

async fn limited(way: &Way, program: &str, script: &str, change: impl Fn(&mut Limits)) -> Ended {
    let mut profile = Profile::new(program);
    change(&mut profile.limits);
    way.run(profile, &["-c", script]).await
}

#[tokio::test]
async fn time() {
    for way in jails().await {
        let sh = way.program(Profile::new("/bin/sh"));
        for script in [
            "trap '' TERM INT HUP; sleep 1000",
            "exec sleep 1000",
            "kill -STOP $$",
            "while :; do :; done",
        ] {
            let started = Instant::now();
            let request = Request {
                timeout: Duration::from_millis(300),
                ..request(&["-c", &format!("echo before; {script}")], "")
            };
            let ended = sh.run(request).await.unwrap();
            assert_eq!(
                ended.exit,
                Exit::Limit(Limit::Timeout),
                "{} {script}",
                way.name
            );
            assert_eq!(text(&ended.stdout), "before", "{}", way.name);
            assert!(
                started.elapsed() < Duration::from_secs(9),
                "{:?}",
                started.elapsed()
            );
        }
        let ended = way.sh("sleep 0.3; echo after").await;
        assert_eq!(out(&ended), "after", "{}", way.name);
    }
}

#[tokio::test]
async fn cpu() {
    let most = |limits: &mut Limits| limits.cpu = Some(Duration::from_secs(1));
    for way in jails().await {
        let ended = limited(&way, "/bin/sh", "while :; do :; done", most).await;
        assert_eq!(
            ended.exit,
            Exit::Limit(Limit::Cpu),
            "{} {ended:?}",
            way.name
        );
        // Four processes take a quarter each, so that none exceeds the kernel's own limit.
        let four = "for i in 1 2 3 4; do while :; do :; done & done; wait";
        let ended = limited(&way, "/bin/sh", four, most).await;
        assert_eq!(
            ended.exit,
            Exit::Limit(Limit::Cpu),
            "{} {ended:?}",
            way.name
        );
        let ended = limited(&way, "/bin/sh", "sleep 1.2; echo fine", most).await;
        assert_eq!(out(&ended), "fine", "{}", way.name);
    }
}

#[tokio::test]
async fn memory() {
    let most = |limits: &mut Limits| limits.memory = 256 << 20;
    for way in jails().await {
        let one = "x = b'x' * (300 << 20)";
        let ended = limited(&way, PYTHON, one, most).await;
        assert!(
            text(&ended.stderr).contains("MemoryError"),
            "{} {ended:?}",
            way.name
        );
        let shared = "import mmap, time\nm = mmap.mmap(-1, 400 << 20)\n\
             for i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(10)";
        let ended = limited(&way, PYTHON, shared, most).await;
        assert_eq!(
            ended.exit,
            Exit::Limit(Limit::Memory),
            "{} {ended:?}",
            way.name
        );
        let many = "import os, time\nfor i in range(5):\n  if os.fork() == 0: break\n\
             x = b'x' * (100 << 20); time.sleep(10)";
        let ended = limited(&way, PYTHON, many, most).await;
        assert_eq!(
            ended.exit,
            Exit::Limit(Limit::Memory),
            "{} {ended:?}",
            way.name
        );
        let fits = "x = b'x' * (200 << 20); print(len(x))";
        let ended = limited(&way, PYTHON, fits, most).await;
        assert_eq!(out(&ended), (200 << 20).to_string(), "{}", way.name);
    }
}

#[tokio::test]
async fn processes() {
    let count = "import os, time\nn = 0\ntry:\n  while n < 200:\n    if os.fork() == 0: time.sleep(60)\n    n += 1\n\
         except OSError as e: pass\nprint(n)";
    for way in jails().await {
        let most = |limits: &mut Limits| limits.processes = 20;
        let forked: u32 = out(&limited(&way, PYTHON, count, most).await)
            .parse()
            .unwrap();
        // Without a user namespace the kernel counts everything of the user, the warden too; an
        // unprivileged server's whole user may be over the limit already.
        match way.has(Feature::UserNamespace) {
            true => assert_eq!(forked, 19, "{}", way.name),
            false => assert!(forked < 20, "{} {forked}", way.name),
        }
        let bomb = "bomb() { bomb | bomb & }; bomb; sleep 60";
        let profile = Profile::new("/bin/bash");
        let bomb = Request {
            timeout: Duration::from_millis(500),
            ..request(&["-c", bomb], "")
        };
        let program = way.program(profile);
        let ended = program.run(bomb).await.unwrap();
        assert_ne!(ended.exit, Exit::Code(0), "{}", way.name);
        let after = program
            .run(request(&["-c", "echo alive"], ""))
            .await
            .unwrap();
        assert_eq!(out(&after), "alive", "{}", way.name);
    }
}

#[tokio::test]
async fn output() {
    for way in jails().await {
        let most = |limits: &mut Limits| (limits.stdout, limits.stderr) = (100_000, 50_000);
        for (script, limit) in [
            ("exec yes", Limit::Stdout),
            ("exec head -c 10G /dev/zero", Limit::Stdout),
            ("yes >&2", Limit::Stderr),
            ("head -c 100001 /dev/zero", Limit::Stdout),
            ("head -c 50001 /dev/zero >&2", Limit::Stderr),
        ] {
            let ended = limited(&way, "/bin/sh", script, most).await;
            assert_eq!(ended.exit, Exit::Limit(limit), "{} {script}", way.name);
            let (out, err) = (ended.stdout.len(), ended.stderr.len());
            let full = if limit == Limit::Stdout {
                (100_000, 0)
            } else {
                (0, 50_000)
            };
            assert_eq!((out, err), full, "{} {script}", way.name);
        }
        let flood = "import os\nwhile True: os.write(1, b'x')";
        let ended = limited(&way, PYTHON, flood, most).await;
        assert_eq!(ended.exit, Exit::Limit(Limit::Stdout), "{}", way.name);
        let all = "head -c 100000 /dev/zero; head -c 50000 /dev/zero >&2";
        let ended = limited(&way, "/bin/sh", all, most).await;
        let lengths = (ended.exit, ended.stdout.len(), ended.stderr.len());
        assert_eq!(lengths, (Exit::Code(0), 100_000, 50_000), "{}", way.name);
    }
}

#[tokio::test]
async fn files() {
    for way in jails().await {
        let most = |limits: &mut Limits| limits.file_size = 1 << 20;
        let ended = limited(&way, "/bin/sh", "exec head -c 10G /dev/zero > big", most).await;
        assert_eq!(
            ended.exit,
            Exit::Limit(Limit::FileSize),
            "{} {ended:?}",
            way.name
        );
        let ended = limited(
            &way,
            "/bin/sh",
            "head -c 1M /dev/zero > big; wc -c < big",
            most,
        )
        .await;
        assert_eq!(out(&ended), (1 << 20).to_string(), "{}", way.name);

        let open = "import os\nn = 0\ntry:\n  while n < 100000: os.open('/dev/null', 0); n += 1\n\
             except OSError as e: print(n, e.errno)";
        let most = |limits: &mut Limits| limits.files = 50;
        let ended = limited(&way, PYTHON, open, most).await;
        assert_eq!(out(&ended), "47 24", "{}", way.name);
        if !way.has(Feature::MountNamespace) {
            continue;
        }
        let most = |limits: &mut Limits| (limits.scratch, limits.scratch_files) = (1 << 20, 16);
        for script in [
            "head -c 2M /dev/zero > big",
            "for i in 1 2 3; do head -c 512K /dev/zero > $i || exit 1; done",
            "head -c 2M /dev/zero > /dev/shm/big",
            "for i in $(seq 17); do mkdir $i || exit 1; done",
        ] {
            let ended = limited(&way, "/bin/sh", script, most).await;
            assert_eq!(ended.exit, Exit::Code(1), "{} {script}", way.name);
            assert!(
                text(&ended.stderr).contains("No space"),
                "{} {ended:?}",
                way.name
            );
        }
        let ended = limited(
            &way,
            "/bin/sh",
            "head -c 900K /dev/zero > a; mkdir $(seq 15)",
            most,
        );
        assert_eq!(out(&ended.await), "", "{}", way.name);
    }
}

#[tokio::test]
async fn uncounted_memory_is_unavailable() {
    for way in jails().await {
        if !way.has(Feature::Seccomp) {
            continue;
        }
        // memfd_create, shmget, msgget, semget, mq_open: no such call.
        let calls = match std::env::consts::ARCH {
            "x86_64" => "319, 29, 68, 64, 240",
            _ => "279, 194, 186, 190, 180",
        };
        let script = format!(
            "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
             for n in [{calls}]:\n  r = libc.syscall(n, b'x', 4096, 0o1700, 0); print(r, ctypes.get_errno())"
        );
        let ended = way.python(&script).await;
        assert_eq!(out(&ended), ["-1 38"; 5].join("\n"), "{}", way.name);
    }
}

/// Memory that programs hold in the kernel: that of sockets, also of those that are sent and not received, and of page
/// tables.
#[tokio::test]
async fn memory_in_the_kernel_counts() {
    let most = |limits: &mut Limits| limits.memory = 64 << 20;
    const SOCKETS: &str = "import os, socket, time\nkeep = []\n\
        for n in range(2):\n  if os.fork() == 0: break\n\
        try:\n  while True:\n\
        \x20   pair = socket.socketpair(); keep.append(pair)\n\
        \x20   for one in pair:\n\
        \x20     one.setblocking(False); one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)\n\
        \x20     try:\n        while True: one.send(b'x' * 65536)\n\
        \x20     except BlockingIOError: pass\n\
        except OSError: time.sleep(20)";
    const SENT: &str = "import array, os, socket, time\nto, kept = socket.socketpair()\n\
        for n in range(2):\n  if os.fork() == 0: break\n\
        try:\n  while True:\n\
        \x20   pair = socket.socketpair()\n    pair[0].setblocking(False)\n\
        \x20   try:\n      while True: pair[0].send(b'x' * 65536)\n\
        \x20   except BlockingIOError: pass\n\
        \x20   fds = array.array('i', [one.fileno() for one in pair])\n\
        \x20   to.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n\
        \x20   for one in pair: one.close()\n\
        except OSError: time.sleep(20)";
    const TABLES: &str = "import ctypes, time\nlibc = ctypes.CDLL(None)\n\
        libc.mmap.restype = ctypes.c_void_p\n\
        p = libc.mmap(None, ctypes.c_size_t(1 << 38), 1, 0x4022, -1, ctypes.c_size_t(0))\n\
        c = (ctypes.c_char * (1 << 38)).from_address(p)\n\
        for n in range(0, 1 << 38, 1 << 21): c[n]\ntime.sleep(20)";
    for way in jails().await {
        for (name, script) in [("sockets", SOCKETS), ("sent", SENT), ("tables", TABLES)] {
            // Without a network namespace, sockets in transit cannot be seen.
            if name == "sent" && !way.has(Feature::NetNamespace) {
                continue;
            }
            let ended = limited(&way, PYTHON, script, most).await;
            let expected = Exit::Limit(Limit::Memory);
            assert_eq!(ended.exit, expected, "{} {name} {ended:?}", way.name);
        }
        let few = "import socket\npairs = [socket.socketpair() for n in range(40)]\n\
            for a, b in pairs: a.send(b'x' * 4096)\nprint(sum(len(b.recv(9999)) for a, b in pairs))";
        let ended = limited(&way, PYTHON, few, most).await;
        assert_eq!(out(&ended), (40 * 4096).to_string(), "{}", way.name);
    }
}

#[tokio::test]
async fn no_core_is_dumped() {
    for way in jails().await {
        assert_eq!(out(&way.sh("ulimit -Hc").await), "0", "{}", way.name);
        let again = "import resource as r\nr.setrlimit(r.RLIMIT_CORE, (0, 0)); print(r.getrlimit(r.RLIMIT_CORE))";
        let (piped, plain) = ("(1, 1)", "(0, 0)");
        let expected = if way.has(Feature::Seccomp) {
            piped
        } else {
            plain
        };
        assert_eq!(out(&way.python(again).await), expected, "{}", way.name);
        let ended = way.sh("sh -c 'kill -ABRT $$'; echo $?; ls -A").await;
        assert_eq!(out(&ended), "134", "{}", way.name);
    }
}

#[tokio::test]
async fn the_smallest_limits_run_the_smallest_program() {
    let limits = Limits {
        cpu: Some(Duration::from_millis(1)),
        memory: 16 << 20,
        processes: 1,
        files: 16,
        file_size: 0,
        scratch: 4096,
        scratch_files: 16,
        stdout: 0,
        stderr: 0,
        arguments: 0,
        connections: 0,
    };
    for way in jails().await {
        for network in [Network::None, Network::Proxy] {
            if network == Network::Proxy && !way.has(Feature::NetNamespace) {
                continue;
            }
            let program = way.program(Profile {
                limits: limits.clone(),
                network,
                ..Profile::new("/bin/true")
            });
            // Without a user namespace, processes of the same user elsewhere count as well.
            if way.has(Feature::UserNamespace) {
                for _ in 0..3 {
                    let ended = program.run(request(&[], "")).await.unwrap();
                    assert_eq!(ended.exit, Exit::Code(0), "{} {network:?}", way.name);
                }
            }
        }
    }
}
