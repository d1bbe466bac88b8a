//! The reach of a program: files, network, processes, users.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use iof_jail::{Exit, Feature, Profile};

use crate::support::{jails, out, text};

const DEVICES: [&str; 5] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

#[tokio::test]
async fn only_declared_files_are_visible() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(directory.path(), 0o777);
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "top").unwrap();
    mode(&secret, 0o666);
    let cat = format!("cat {}", secret.display());
    let put = format!("echo more >> {}; cat {0}", secret.display());
    let exec = "cp /bin/true t; ./t; echo $?";
    for way in jails().await {
        for path in [
            "/etc/shadow",
            "/etc/passwd-",
            "/root",
            "/home",
            "/var/tmp",
            "/proc/1/environ",
        ] {
            let ended = way.sh(&format!("cat {path}/* {path}")).await;
            assert_eq!(ended.exit, Exit::Code(1), "{} {path} {ended:?}", way.name);
            assert_eq!(text(&ended.stdout), "", "{} {path}", way.name);
        }
        assert_ne!(way.sh(&cat).await.exit, Exit::Code(0), "{}", way.name);
        let mut profile = Profile::new("/bin/sh");
        profile.read = vec![directory.path().to_owned()];
        assert_eq!(
            out(&way.run(profile.clone(), &["-c", &cat]).await),
            "top",
            "{}",
            way.name
        );
        let ended = way.run(profile, &["-c", &put]).await;
        assert_eq!(out(&ended), "top", "{}", way.name);
        assert!(!ended.stderr.is_empty(), "{}", way.name);
        let mut profile = Profile::new("/bin/sh");
        profile.write = vec![directory.path().to_owned()];
        let ended = way.run(profile, &["-c", &put]).await;
        assert_eq!(out(&ended), "topmore", "{}", way.name);
        std::fs::write(&secret, "top").unwrap();

        if way.has(Feature::MountNamespace) {
            let listed = out(&way.sh("ls -A / /etc /dev /var").await);
            let mut strange = listed.lines().filter(|line| {
                [
                    "root", "home", "opt", "srv", "run", "boot", "sys", "shadow", "log", "lib/dpkg",
                ]
                .contains(line)
            });
            assert_eq!(strange.next(), None, "{}", way.name);
            assert!(
                listed.contains("null") && listed.contains("usr"),
                "{listed}"
            );
            let writable = "find / -writable -not -path '/proc/*' -not -type l 2>/dev/null";
            let mut writable: Vec<_> = text(&way.sh(writable).await.stdout)
                .lines()
                .map(str::to_owned)
                .collect();
            writable.sort();
            let mut expected: Vec<_> = DEVICES.into_iter().chain(["/dev/shm", "/tmp"]).collect();
            expected.sort_unstable();
            assert_eq!(writable, expected, "{}", way.name);
        }

        // The system's files are read and executed but not changed; files that a run wrote are not executed.
        assert!(out(&way.sh("cat /usr/lib/os-release").await).contains("NAME"));
        for script in [
            "echo x >> /bin/sh",
            "touch /usr/x",
            "rm -f /bin/true",
            "mkdir /x",
        ] {
            let ended = way.sh(&format!("{script} && echo done")).await;
            assert_eq!(text(&ended.stdout), "", "{} {script}", way.name);
        }
        assert_eq!(out(&way.sh(exec).await), "126", "{}", way.name);
        let ended = way
            .sh("echo x > /dev/null; head -c 1 /dev/urandom | wc -c; cat /dev/mem /dev/vda")
            .await;
        assert_eq!(text(&ended.stdout), "1", "{}", way.name);
    }
}

#[tokio::test]
async fn a_changed_link_is_not_followed() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(directory.path());
    let at = |name: &str| directory.path().join(name);
    for name in ["v1", "v2"] {
        std::fs::create_dir(at(name)).unwrap();
        open(&at(name));
        std::fs::write(at(name).join("file"), name).unwrap();
    }
    for way in jails().await {
        std::os::unix::fs::symlink("v1", at("link")).unwrap();
        let mut profile = Profile::new("/bin/sh");
        profile.read = vec![at("link")];
        let script = format!("cat {}/file", at("link").display());
        let program = way.program(profile);
        std::fs::remove_file(at("link")).unwrap();
        std::os::unix::fs::symlink("v2", at("link")).unwrap();
        let ended = crate::support::run(&program, &["-c", &script], "").await;
        assert!(
            ended.unwrap_err().to_string().contains("v2"),
            "{}",
            way.name
        );
        std::fs::remove_file(at("link")).unwrap();
        std::os::unix::fs::symlink("v1", at("link")).unwrap();
        let ended = crate::support::run(&program, &["-c", &script], "").await;
        assert_eq!(out(&ended.unwrap()), "v1", "{}", way.name);
        std::fs::remove_file(at("link")).unwrap();
    }
}

#[tokio::test]
async fn there_is_no_network() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = directory.path().join("socket");
    let _unix = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let name = format!("iof-jail-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let script = format!(
        "import socket, sys\n\
         def attempt(name, family, kind, address):\n\
         \x20 try:\n\
         \x20   s = socket.socket(family, kind); s.settimeout(2); s.connect(address); s.send(b'x')\n\
         \x20   print(name)\n\
         \x20 except OSError as e: print(name, e, file=sys.stderr)\n\
         attempt('tcp', socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', {tcp}))\n\
         attempt('udp', socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', {udp}))\n\
         attempt('path', socket.AF_UNIX, socket.SOCK_STREAM, '{path}')\n\
         attempt('abstract', socket.AF_UNIX, socket.SOCK_STREAM, '\\0{name}')\n\
         attempt('netlink', socket.AF_NETLINK, socket.SOCK_RAW, (0, 0))\n\
         attempt('packet', socket.AF_PACKET, socket.SOCK_RAW, ('lo', 0))\n\
         a, b = socket.socketpair(); a.send(b'pair'); print(b.recv(4).decode())",
        tcp = tcp.local_addr().unwrap().port(),
        udp = udp.local_addr().unwrap().port(),
        path = path.display(),
    );
    for way in jails().await {
        let ended = way.python(&script).await;
        let reached = out(&ended);
        let reached: Vec<_> = reached
            .lines()
            // Without a filter, these are the sockets of its own namespace.
            .filter(|line| way.has(Feature::Seccomp) || !["netlink", "packet"].contains(line))
            .collect();
        assert_eq!(reached, ["pair"], "{} {}", way.name, text(&ended.stderr));
        assert!(udp.recv(&mut [0]).is_err(), "{}", way.name);
    }
    // The same script outside of a jail.
    let free = std::process::Command::new(crate::support::PYTHON)
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(
        text(&free.stdout).starts_with("tcp\nudp\npath\nabstract"),
        "{free:?}"
    );
}

#[tokio::test]
async fn other_processes_are_out_of_reach() {
    let server = std::process::id();
    let script = format!(
        "import ctypes, os\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         def attempt(name, f):\n\
         \x20 try:\n\
         \x20   if f() not in (None, -1): print(name)\n\
         \x20   elif f() is None: print(name)\n\
         \x20 except OSError as e: pass\n\
         attempt('signal', lambda: os.kill({server}, 0))\n\
         attempt('attach', lambda: libc.ptrace(16, {server}, 0, 0))\n\
         attempt('environ', lambda: open('/proc/{server}/environ').read())\n\
         attempt('ppid', lambda: open('/proc/%d/environ' % os.getppid()).read())\n\
         attempt('trace', lambda: libc.ptrace(0, 0, 0, 0))\n\
         attempt('limits', lambda: libc.prlimit(os.getppid(), 7, ctypes.byref((ctypes.c_ulong * 2)(0, 0)), None))\n\
         attempt('nice', lambda: libc.setpriority(0, os.getppid(), 19))\n\
         attempt('group', lambda: libc.setpriority(2, 0, 19))\n\
         attempt('own', lambda: os.kill(os.getpid(), 0))\n\
         attempt('own-limits', lambda: __import__('resource').setrlimit(7, (20, 20)))"
    );
    for way in jails().await {
        let ended = way.python(&script).await;
        let reached = out(&ended);
        // Without seccomp it can change itself and its warden's settings, which only makes later runs slower.
        let soft = ["limits", "nice", "group", "trace"];
        let reached: Vec<_> = reached
            .lines()
            .filter(|line| way.has(Feature::Seccomp) || !soft.contains(line))
            .collect();
        assert_eq!(
            reached,
            ["own", "own-limits"],
            "{} {}",
            way.name,
            text(&ended.stderr)
        );

        // It can signal only its own processes and, without a pid namespace, its warden.
        let program = way.program(Profile::new("/bin/sh"));
        let request = || crate::support::request(&["-c", "kill -9 -1; echo survived"], "");
        let ended = program.run(request()).await;
        match way.has(Feature::PidNamespace) {
            true => assert!(ended.is_ok(), "{} {ended:?}", way.name),
            false => drop(ended),
        }
        let next = crate::support::run(&program, &["-c", "echo next"], "").await;
        assert_eq!(out(&next.unwrap()), "next", "{}", way.name);
    }
}

#[tokio::test]
async fn a_program_is_nobody_and_cannot_change_its_user() {
    let script = "import os, ctypes\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        print(os.getuid() != 0, libc.prctl(39, 0, 0, 0, 0))\n\
        try: os.setuid(0); print('root')\n\
        except OSError: print('no root')\n\
        hdr = (ctypes.c_uint32 * 2)(0x20080522, 0); data = (ctypes.c_uint32 * 6)()\n\
        libc.capget(hdr, data); print(list(data))\n\
        try: open('/dev/tty'); print('tty')\n\
        except OSError: print('no tty')\n\
        print(libc.syscall(435, 0, 0), ctypes.get_errno(), libc.unshare(0x10000000), libc.personality(0x40000))";
    for way in jails().await {
        let ended = way.python(script).await;
        let output = out(&ended);
        let (output, kernel) = output.rsplit_once('\n').unwrap();
        let expected = "True 1\nno root\n[0, 0, 0, 0, 0, 0]\nno tty";
        assert_eq!(output, expected, "{} {}", way.name, text(&ended.stderr));
        // Namespaces by themselves do not keep a program from making its own.
        if way.has(Feature::Seccomp) {
            assert_eq!(kernel, "-1 38 -1 -1", "{}", way.name);
        }
    }
}

#[tokio::test]
async fn nothing_is_inherited() {
    // Open without FD_CLOEXEC, as another library might leave one.
    let file = std::fs::File::open("/etc/hostname").unwrap();
    let leaked = rustix::io::fcntl_dupfd_cloexec(&file, 77).unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let script = "import os, signal\nopen_ = []\nfor n in range(256):\n  try: os.fstat(n); open_.append(n)\n  \
        except OSError: pass\n\
        ignored = [s for s in range(1, 65) if s not in (9, 19, 32, 33) and signal.getsignal(s) == signal.SIG_IGN]\n\
        print(open_, ignored, signal.pthread_sigmask(signal.SIG_BLOCK, []))";
    for way in jails().await {
        let ended = way.python(script).await;
        // Python itself ignores SIGPIPE (13) and SIGXFSZ (25).
        let expected = "[0, 1, 2] [<Signals.SIGPIPE: 13>, <Signals.SIGXFSZ: 25>] set()";
        let output =
            out(&ended).replace("[13, 25]", "[<Signals.SIGPIPE: 13>, <Signals.SIGXFSZ: 25>]");
        assert_eq!(output, expected, "{}", way.name);
    }
    drop(leaked);
}
