//! The public addresses of the machine itself, in a network namespace that has some.

use std::process::Stdio;

use tokio::process::Command;

const V4: &str = "93.184.215.14";
const V6: &str = "2606:2800:21f:cb07::1";

/// Runs the program in a namespace whose loopback interface has both addresses, after the commands `more`.
async fn run(more: &str, args: &[&str]) -> (i32, String) {
    let script = format!(
        "ip link set lo up && ip address add {V4}/32 dev lo && ip address add {V6}/128 dev lo nodad && {more} \
         exec \"$0\" \"$@\""
    );
    let output = Command::new("unshare")
        .args(["--net", "--map-root-user", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_http_proxy"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), stderr)
}

#[tokio::test]
async fn own_addresses_are_refused_like_private_ones() {
    let v6 = format!("http://[{V6}]:8080/");
    let v4 = format!("http://{V4}:8080/");
    for more in [
        "",
        // Machines of a fail-over pair let programs bind to addresses that they do not have.
        "echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind && echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind &&",
    ] {
        for url in [&v4, &v6] {
            let (status, stderr) = run(more, &["get", url]).await;
            assert_eq!(status, 3, "{more} {url} {stderr}");
            assert!(stderr.contains("is not an address"), "{stderr}");
        }
        // A neighbour is another machine: it does not answer, but it is not denied.
        let (status, stderr) = run(more, &["get", "http://93.184.215.15:8080/"]).await;
        assert_eq!(status, 4, "{more} {stderr}");
    }
}

/// A pin is the operator's decision.
#[tokio::test]
async fn a_pin_may_name_an_own_address() {
    let to = format!("a.test:80:{V4}:8080");
    let (status, stderr) = run("", &["--connect-to", &to, "get", "http://a.test/"]).await;
    assert_eq!(status, 4, "{stderr}");
    assert!(stderr.contains("connection refused"), "{stderr}");
}

#[tokio::test]
async fn a_program_of_the_user_reaches_own_addresses() {
    let url = format!("http://{V4}:8080/");
    let (status, stderr) = run("", &["--allow-private", "get", &url]).await;
    assert_eq!(status, 4, "{stderr}");
}
