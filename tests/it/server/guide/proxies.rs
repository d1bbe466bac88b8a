//! The proxies of the guide, in front of a server.

use super::blocks;
use super::machine::Machine;
use iof_tests::guests::path;
use std::fs;
use std::process::Command;

/// The server behind the proxy, with the setting of the page.
const SERVER: &str = "set -e\ncd /srv\nfail() { echo \"FAILED: $1\"; cat /run/iof.log /var/log/nginx/error.log; exit 1; }\n\
    iof serve --config /srv/iof.toml --data /srv/data > /run/iof.out 2> /run/iof.log &\n\
    for _ in $(seq 300); do grep -q '^listening' /run/iof.out && break; sleep 0.1; done\n\
    iof deploy hello.wasm --name hello --server http://127.0.0.1:8080 || fail deploy\n";

/// The properties of the proxy for clients: their addresses, large bodies, and lines that stream. `$1` is its address.
const CLIENT: &str = r#"
through() { curl -sS --fail-with-body --resolve functions.example.com:80:127.0.0.1 "$@"; }
at=http://functions.example.com
[ "$(through $at/readyz)" = ready ] || fail readyz
[ "$(through -H 'content-type: text/plain' -d proxy $at/v1/functions/hello/call/say)" = 'hello proxy' ] || fail call
# Its own pages are not foreign behind the name that it is known by.
through -H "origin: $at" -H 'content-type: text/plain' -d x $at/v1/functions/hello/call/say > /dev/null || fail origin
# More than the megabyte that nginx takes by itself.
head -c 3000000 /dev/zero | tr '\0' x > large
through -H 'content-type: text/plain' --data-binary @large -o answer $at/v1/functions/hello/call/say || fail large
[ "$(wc -c < answer)" = 3000006 ] || fail 'large answer'
# A poll for news is held open, and answered when there is some.
last=$(through "$at/v1/functions/hello/logs?limit=1" -H "authorization: Bearer $KEY" | jq '.logs[0].id')
(sleep 1; through -H 'content-type: text/plain' -d later $at/v1/functions/hello/call/say > /dev/null) &
through "$at/v1/functions/hello/logs?after=$last&wait=20" -H "authorization: Bearer $KEY" | jq -e '.logs | length == 1' || fail poll
echo "all of it"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn nginx_works_as_the_guide_describes() {
    if Command::new("nginx").arg("-v").output().is_err() {
        eprintln!("nginx is not there (Debian: nginx-light): the block is not tried");
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.install("local/bin/iof");
    fs::copy(path("hello"), machine.path("srv/hello.wasm")).unwrap();
    let public = blocks("toml")
        .into_iter()
        .find(|block| block.starts_with("public_url"))
        .unwrap();
    // Without TLS, which is the proxy's own part.
    let public = public.replace("https://", "http://");
    machine.write(
        "srv/iof.toml",
        &format!("{public}[auth]\nkeys = [\"a key of the operator\"]\n"),
    );
    let [block] = &blocks("nginx")[..] else {
        panic!("one block for nginx")
    };
    machine.write(
        "srv/nginx.conf",
        &format!(
            "user root;\npid /run/nginx.pid;\nerror_log /var/log/nginx/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n\
             server {{\nlisten 127.0.0.1:80;\nserver_name functions.example.com;\n{block}}}\n}}\n"
        ),
    );
    let script = format!(
        "export KEY='a key of the operator' IOF_KEY='a key of the operator'\n{SERVER}\
         nginx -t -c /srv/nginx.conf || fail 'nginx -t'\nnginx -c /srv/nginx.conf || fail nginx\n{CLIENT}"
    );
    let output = machine.run(&script).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = printed + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && printed.contains("all of it"),
        "{printed}"
    );
    assert!(printed.contains("test is successful"), "{printed}");
}

#[test]
fn caddy_accepts_the_block_of_the_guide() {
    let [block] = &blocks("caddy")[..] else {
        panic!("one block for Caddy")
    };
    if Command::new("caddy").arg("version").output().is_err() {
        eprintln!("caddy is not there: only the form of its block is looked at");
        let lines: Vec<&str> = block.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "functions.example.com {",
                "reverse_proxy 127.0.0.1:8080",
                "}"
            ]
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Caddyfile");
    fs::write(&file, block).unwrap();
    let taken = Command::new("caddy")
        .args(["validate", "--adapter", "caddyfile", "--config"])
        .arg(&file)
        .env("HOME", folder.path())
        .output()
        .unwrap();
    assert!(taken.status.success(), "{taken:?}");
}
