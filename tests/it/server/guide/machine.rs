//! A virtual machine: a root with the programs of this one, its own users, settings, data and network.

use iof_tests::guests::root;
use iof_tests::server::program;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The longest that a script may take; it starts servers and compiles.
const PATIENCE: Duration = Duration::from_secs(180);

/// The command that mounts the machine's files, and runs `/srv/script` in it.
const ENTER: &str = "ip link set lo up && mount --rbind /usr \"$0/usr\" && mount --bind \"$0/local\" \"$0/usr/local\" && \
                     mount -t proc proc \"$0/proc\" && mount --rbind /dev \"$0/dev\" && cd / && \
                     exec chroot \"$0\" /usr/bin/bash /srv/script";

pub(super) struct Machine {
    folder: TempDir,
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl Machine {
    /// A machine, if this user may make one: that needs root, like the commands of the guide.
    pub(super) fn new() -> Option<Self> {
        let tried = Command::new("unshare")
            .args([
                "-mnpf",
                "chroot",
                "/",
                "/usr/sbin/ip",
                "link",
                "set",
                "lo",
                "up",
            ])
            .output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            eprintln!("this user may not make namespaces and change roots: the guide is not typed");
            return None;
        }
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let here = machine.path("");
        for folder in [
            "usr",
            "local/bin",
            "local/sbin",
            "proc",
            "dev",
            "run",
            "root",
            "srv",
            "backup",
            "tmp",
            "var/tmp",
            "var/lib/nginx",
            "var/log/nginx",
        ] {
            fs::create_dir_all(here.join(folder)).unwrap();
        }
        for folder in ["tmp", "var/tmp", "backup"] {
            fs::set_permissions(here.join(folder), fs::Permissions::from_mode(0o1777)).unwrap();
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), here.join(link)).unwrap();
        }
        done(Command::new("cp").args(["-a", "/etc"]).arg(&here));
        done(
            Command::new("cp")
                .arg("-r")
                .arg(root().join("deploy"))
                .arg(here.join("srv")),
        );
        Some(machine)
    }

    /// A path of the machine.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// Puts `iof` where programs of a release are.
    pub(super) fn install(&self, path: &str) {
        let to = self.path(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // Without symbols it has a third of the size.
        done(Command::new("strip").arg("-o").arg(&to).arg(program()));
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    /// Puts a program of the test before that of the system.
    pub(super) fn stub(&self, name: &str, script: &str) {
        let path = format!("local/sbin/{name}");
        self.write(&path, &format!("#!/usr/bin/bash\nset -e\n{script}"));
        fs::set_permissions(self.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script in it, as root, and ends all processes that the script leaves running.
    pub(super) async fn run(&self, script: &str) -> Output {
        self.write("srv/script", script);
        let mut command = tokio::process::Command::new("unshare");
        command
            .args(["-mnpf", "--kill-child", "sh", "-c", ENTER])
            .arg(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .env("HOME", "/root")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        output
            .unwrap_or_else(|_| panic!("not done after {PATIENCE:?}:\n{}", self.log()))
            .unwrap()
    }

    /// The log of the service.
    pub(super) fn log(&self) -> String {
        read(&self.path("run/iof.log"))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A stand-in for systemd as the first process, by the lines of the unit.
pub(super) const SYSTEMCTL: &str = r#"
unit=/etc/systemd/system/iof.service
pid=/run/iof.pid
runs() { [ -e $pid ] && kill -0 "$(cat $pid)" 2>/dev/null; }
start() {
    if runs; then return; fi
    install -d -o iof -g iof -m 700 "/var/lib/$(sed -n 's/^StateDirectory=//p' $unit)"
    cd "$(sed -n 's/^WorkingDirectory=//p' $unit)"
    umask "$(sed -n 's/^UMask=//p' $unit)"
    user=$(sed -n 's/^User=//p' $unit)
    : > /run/iof.out
    setpriv --reuid "$user" --regid "$user" --init-groups env -i \
        $(sed -n 's/^ExecStart=//p' $unit) > /run/iof.out 2>> /run/iof.log < /dev/null &
    echo $! > $pid
    for _ in $(seq 600); do
        if grep -q '^listening on' /run/iof.out; then return; fi
        if ! runs; then break; fi
        sleep 0.1
    done
    cat /run/iof.log >&2
    exit 1
}
stop() {
    runs || return 0
    kill -TERM "$(cat $pid)"
    for _ in $(seq 600); do if ! runs; then rm -f $pid; return; fi; sleep 0.1; done
    exit 1
}
case "$*" in
daemon-reload) [ -e $unit ] ;;
"enable --now iof" | "start iof") start ;;
"stop iof") stop ;;
"reload iof") kill -HUP "$(cat $pid)" ;;
"try-restart iof") if runs; then stop; start; fi ;;
*) echo "systemctl $*: not a line that this test knows" >&2; exit 99 ;;
esac
"#;
