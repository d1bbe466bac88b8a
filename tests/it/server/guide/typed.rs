//! Every command of the guide that root runs, in order, on a separate machine.
//!
//! Missing programs have stand-ins: for systemd the first process by the lines of the unit, for packages a copy of the
//! program, for certbot its hook. The commands themselves are unchanged.

use super::machine::{Machine, SYSTEMCTL};
use super::{blocks, guide};
use iof_tests::Identity;
use iof_tests::guests::{path, root};
use std::fs;
use std::process::Command;

/// A stand-in for `dpkg -i` and `dpkg -x` of a package with the name of a release.
const DPKG: &str = r#"
case "$2" in iof_[0-9]*.[0-9]*.[0-9]*_amd64.deb) ;; *) echo "dpkg: $2 is not a package" >&2; exit 99 ;; esac
case "$1" in
-x) install -D -m 755 /srv/iof "$3/usr/bin/iof" ;;
-i) install -m 755 /srv/iof /usr/local/bin/iof.new && mv /usr/local/bin/iof.new /usr/local/bin/iof
    systemctl try-restart iof ;;
*) exit 99 ;;
esac
"#;

/// A stand-in for certbot, which runs the hook by `/bin/sh`; on Debian that has no braces.
const CERTBOT: &str = r#"
[ "$1 $2" = "renew --deploy-hook" ]
RENEWED_LINEAGE=/srv/live exec /bin/sh -c "$3"
"#;

/// The lines after `# `, without the comments beside them.
fn lines() -> Vec<String> {
    let (mut lines, mut inside) = (vec![], false);
    for line in guide().lines() {
        inside ^= line.starts_with("```");
        if let Some(line) = line.strip_prefix("# ").filter(|_| inside) {
            lines.push(line.split("     ").next().unwrap().trim_end().to_owned());
        }
    }
    lines
}

/// The release that `install.sh` fetches.
fn release(machine: &Machine) {
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("iof-{version}-{}-linux", std::env::consts::ARCH);
    machine.install(&format!("srv/{name}/iof"));
    machine.install("srv/iof");
    let script = fs::read_to_string(root().join("deploy/install.sh")).unwrap();
    let script = script.replace("@VERSION@", version);
    machine.write("srv/install.sh", &script.replace("@URL@", "file:///srv"));
    let line = format!(
        "tar --use-compress-program 'gzip -1' -cf {name}.tar.gz {name} && sha256sum {name}.tar.gz > SHA256SUMS"
    );
    let packed = Command::new("sh")
        .args(["-c", &line])
        .current_dir(machine.path("srv"))
        .status();
    assert!(packed.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_root_work_unchanged() {
    let Some(machine) = Machine::new() else {
        return;
    };
    release(&machine);
    machine.stub("systemctl", SYSTEMCTL);
    machine.stub("dpkg", DPKG);
    machine.stub("certbot", CERTBOT);
    let identity = Identity::new(&["functions.example.com"]);
    fs::create_dir_all(machine.path("srv/live")).unwrap();
    machine.write("srv/live/fullchain.pem", &identity.certificate_pem);
    machine.write("srv/live/privkey.pem", &identity.key_pem);
    fs::copy(path("hello"), machine.path("srv/hello.wasm")).unwrap();

    let mut script =
        "cd /srv\nfail() { echo \"FAILED: $1\"; cat /run/iof.log; exit 1; }\n".to_owned();
    let lines = lines();
    for line in &lines {
        script += &format!("cat <<'LINE'\n$ {line}\nLINE\n{{ {line}\n}} || fail \"this line\"\n");
        // The steps in the text around the commands.
        if line.contains("systemctl enable --now iof") {
            script += "iof doctor --config /etc/iof/iof.toml > /run/doctor || true\ngrep -q '^fine   store' /run/doctor || fail doctor\n\
                       iof deploy hello.wasm --name hello || fail deploy\niof call hello say before || fail call\n";
        }
        if line.starts_with("certbot") {
            script += "stat -c '%U %a %n' /etc/iof/tls/*.pem\n";
        }
        if line.contains("systemctl start iof") {
            script += "iof call hello say again || fail call\n";
        }
    }
    // The settings of the page are valid.
    let settings = blocks("toml");
    for (at, block) in settings.iter().enumerate() {
        machine.write(&format!("srv/settings-{at}.toml"), block);
        script += &format!(
            "IOF_AUTH_KEYS='a key of the operator' iof serve --check --data /srv/none --listen 127.0.0.1:0 --config /srv/settings-{at}.toml || \
             fail 'settings {at}'\n"
        );
    }
    script += "systemctl stop iof\n";
    let output = machine.run(&script).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = printed + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");

    assert_eq!(lines.len(), 19, "{lines:#?}");
    assert_eq!(settings.len(), 4, "{settings:#?}");
    for words in [
        &*format!("iof {} is in /usr/local/bin", env!("CARGO_PKG_VERSION")),
        "hello before",
        "iof 400 /etc/iof/tls/fullchain.pem",
        "iof 400 /etc/iof/tls/privkey.pem",
        "backed up to /backup/2026-11-30: functions 1, ",
        "keep secrets.key (or the file of secrets.key_file) elsewhere",
        "restored to /var/lib/iof, from a backup of iof ",
        "in use      yes: by the process ",
        "this release can use the data",
        "backed up to /backup/before-0.2",
        "the settings are fine",
    ] {
        assert!(
            printed.contains(words),
            "{words:?} is missing in: {printed}"
        );
    }
    // After each restore, with the data from before.
    assert_eq!(printed.matches("hello again").count(), 2, "{printed}");
    // As the page says, the reload takes over the certificate and logs that; nothing failed.
    let log = machine.log();
    assert!(log.contains("reloaded: "), "{log}");
    assert!(
        !log.contains("\"level\":\"ERROR\"") && !log.contains("\"level\":\"WARN\""),
        "{log}"
    );
}

/// Commands that need systemd as the first process are checked by their form: systemd accepts the unit that the page
/// makes.
#[test]
fn the_unit_of_the_guide_is_valid() {
    let line = lines()
        .into_iter()
        .find(|line| line.starts_with("sed "))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("iof.service");
    let line = line.replace("/etc/systemd/system/iof.service", unit.to_str().unwrap());
    let created = Command::new("sh")
        .args(["-c", &line])
        .current_dir(root())
        .status();
    assert!(created.unwrap().success(), "{line}");
    let text = fs::read_to_string(&unit).unwrap();
    assert!(text.contains("\nExecStart=/usr/local/bin/iof serve --config /etc/iof/iof.toml\n"));
    // The unit has the parts for `systemctl enable`, `reload` and `status`.
    for section in [
        "\nWantedBy=multi-user.target",
        "\nExecReload=/bin/kill -HUP $MAINPID",
        "\nType=notify",
    ] {
        assert!(text.contains(section), "{section}");
    }
}

/// The configuration of the package: the user, the key of secrets once and for all, and a restart of a running server.
#[tokio::test(flavor = "multi_thread")]
async fn the_package_makes_the_user_and_the_key_once() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.stub("systemctl", "echo \"systemctl $*\"\n");
    let script = "set -e\ninstall -d /etc/iof\nconfigure() { sh /srv/deploy/debian/postinst configure; }\n\
                  configure\ngetent passwd iof\nstat -c '%U:%G %a' /etc/iof/secrets.key\n\
                  before=$(sha256sum < /etc/iof/secrets.key)\nmkdir -p /run/systemd/system\nconfigure\n\
                  [ \"$before\" = \"$(sha256sum < /etc/iof/secrets.key)\" ] && echo 'the same key'\nls /etc/iof\n\
                  sh /srv/deploy/debian/prerm remove\nsh /srv/deploy/debian/postrm remove\n";
    let output = machine.run(script).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{output:?}");
    let lines: Vec<&str> = printed.lines().collect();
    let [user, mode, reload, restart, same, files, stop, again] = lines[..] else {
        panic!("{printed}")
    };
    assert!(
        user.starts_with("iof:x:") && user.ends_with("::/var/lib/iof:/usr/sbin/nologin"),
        "{user}"
    );
    assert_eq!(
        (mode, same, files),
        ("iof:iof 600", "the same key", "secrets.key")
    );
    assert_eq!(
        [reload, restart, stop, again],
        [
            "systemctl daemon-reload",
            "systemctl try-restart iof.service",
            "systemctl disable --now iof.service",
            "systemctl daemon-reload"
        ]
    );
}
