//! The bodies that native programs send to the proxy, and the memory that the server holds for them.

use std::time::Duration;

use iof_tests::guests::guest;
use iof_tests::server::Server;
use iof_tests::upstream::Upstream;
use serde_json::json;

use crate::guests::native::{of, run, script};

/// A program that opens many connections and sends large bodies: rules are checked before a byte of a body is kept, and
/// allowed bodies share one budget.
#[tokio::test]
async fn bodies_of_a_program_are_checked_first_and_bounded_together() {
    const MANY: &str = r#"p=${http_proxy#http://}; p=${p%/}; n=0
while [ $n -lt 12 ]; do n=$((n + 1)); (
  exec 3<>/dev/tcp/${p%:*}/${p#*:}
  printf 'POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %s\r\n\r\n' "$1" "$2" >&3
  head -c "$3" /dev/zero >&3; head -n 1 <&3; sleep "$4"; ) & done; wait"#;
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let more = "network = \"egress\"\ntime = \"60s\"\n";
    let config = format!(
        "[defaults]\ncommands = [\"many\"]\noutbound = [\"POST http://api.example.com/mirror\"]\n\
         [ceiling]\ncommands = [\"many\"]\noutbound = [\"* http://*\"]\n{}{pin}[egress]\nmax_request = \"4MiB\"\n",
        script("many", MANY, more)
    );
    let server = Server::start(config).await;
    let function = server.upload(guest("command")).await;
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
        kib.unwrap() >> 10
    };
    let statuses = async |args: &[&str]| {
        let output = of(&server, &function, "many", args).await;
        let stdout = output["stdout"].as_str().unwrap().to_owned();
        let mut statuses: Vec<_> = stdout
            .lines()
            .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
            .collect();
        statuses.dedup();
        (statuses, output)
    };
    let size = "3000000";
    let all = ["http://api.example.com/mirror", size, size, "0"];
    let (codes, output) = statuses(&all).await;
    assert_eq!(codes, ["200"], "{output}");
    let before = resident();
    let denied = ["http://other.example.com/mirror", size, size, "0"];
    let (codes, output) = statuses(&denied).await;
    assert_eq!(codes, ["403"], "{output}");
    // Endless bodies hold the run's own budget, and no more.
    let cut = async {
        let all = json!({ "program": "many", "args": ["http://api.example.com/mirror", "3900000", "3800000", "9"],
            "timeout": 1500 });
        run(&server, &function, all).await
    };
    let watch = async {
        let mut most = 0;
        for _ in 0..28 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            most = most.max(resident());
        }
        most
    };
    let (_, most) = tokio::join!(cut, watch);
    assert!(most < before + 20, "{before} MiB became {most} MiB");
    let large = ["http://api.example.com/mirror", "5000000", "5000000", "0"];
    let (codes, output) = statuses(&large).await;
    assert_eq!(codes, ["413"], "{output}");
}
