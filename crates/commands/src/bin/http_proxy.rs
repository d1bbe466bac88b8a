//! `http_proxy`: the program of 2020, outside of any function.
//!
//! It has the same arguments, the same output and the same exit statuses as the command inside functions, from the same
//! code. It runs with its user's rights, and still reaches only public addresses unless an option allows others: its
//! main use is to try what a function will be able to do. The arguments are parsed in two steps, options here and
//! `METHOD URL [HEADERS_JSON]` where the command parses them.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use bytesize::ByteSize;
use clap::Parser;
use clap::error::ErrorKind;
use iof_commands::http_proxy::{Failure, Invocation, Options, status};
use iof_egress::{Addresses, Config, Egress, Outbound, Pin, Rules, SecretInjections};
use tokio::time::Instant;
use uuid::Uuid;

const STATUSES: &str = "\
Exit status:
  0  there was a response, of whatever HTTP status
  2  the arguments are wrong: method, URL, headers or an option
  3  the address is not reached (see --allow-private)
  4  no connection: name not found, nobody there, TLS failed
  5  the time was over
  6  something is too large, too many redirects, or no HTTP came back

Examples:
  echo \"\" | http_proxy get https://example.com/
  echo \"123\" | http_proxy post https://example.com/ '{\"X-My-Header\":\"foo\"}'";

/// Sends one HTTP request with standard input as its body, and writes the response's body.
///
/// METHOD is one of get, post, put, patch, delete, head, options. HEADERS_JSON is an object of
/// strings and replaces the default, {"Content-Type":"text/plain"}. Redirects are followed, up to
/// ten. Proxy settings in the environment are ignored.
#[derive(Parser)]
#[command(name = "http_proxy", version, after_help = STATUSES)]
#[command(override_usage = "http_proxy [OPTIONS] METHOD URL [HEADERS_JSON] < BODY")]
struct Args {
    /// Write the status line and the headers before the body
    #[arg(short, long)]
    include: bool,
    /// Ask for a compressed response, and decode it: gzip, deflate and br
    #[arg(long)]
    compressed: bool,
    /// Send it again after a lost connection or status 502 to 504, up to N times and ten; never
    /// post and patch
    #[arg(long, value_name = "N", default_value_t = 0)]
    retry: u32,
    /// Reach private and loopback addresses, too
    #[arg(long)]
    allow_private: bool,
    /// Connect to ADDR:PORT for requests to HOST:PORT; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR:PORT", value_parser = parse_pin)]
    connect_to: Vec<Pin>,
    /// Trust the certificate authorities in FILE (PEM), too; may be repeated
    #[arg(long, value_name = "FILE")]
    cacert: Vec<PathBuf>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    max_time: Duration,
    #[arg(hide = true)]
    words: Vec<String>,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return write(e.to_string().as_bytes());
        }
        Err(e) => {
            // The first line states the error; the others are for readers of --help.
            let text = e.to_string();
            let line = text.lines().next().unwrap_or_default();
            return fail(status::USAGE, line.trim_start_matches("error: "));
        }
    };
    match request(args) {
        Ok(stdout) => write(&stdout),
        Err((status, message)) => fail(status, &message),
    }
}

fn request(args: Args) -> Result<Bytes, (i32, String)> {
    let failed = |failure: Failure| (failure.status, failure.to_string());
    let options = Options {
        include: args.include,
        retries: args.retry,
        compressed: args.compressed,
    };
    let invocation = Invocation::new(options, &args.words).map_err(failed)?;
    let config = Config {
        pin: args.connect_to,
        ca_files: args.cacert,
        addresses: if args.allow_private {
            Addresses::Any
        } else {
            Addresses::Public
        },
        // The user's own time and memory: one limit on time, and a high one on size.
        first_byte_timeout: args.max_time,
        idle_timeout: args.max_time,
        total_timeout: args.max_time,
        max_request: ByteSize::gib(1),
        max_response: ByteSize::gib(1),
        max_retries: 10,
        ..Config::default()
    };
    // Its messages name settings of the server's file; here these are options.
    let settings = |e: iof_egress::ConfigError| {
        let message = e.to_string();
        (
            status::USAGE,
            message
                .replace("egress.ca_files", "--cacert")
                .replace("egress.pin", "--connect-to"),
        )
    };

    let mut body = Vec::new();
    std::io::stdin()
        .read_to_end(&mut body)
        .map_err(|e| (status::USAGE, format!("standard input cannot be read: {e}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| (status::UNREACHABLE, format!("no runtime: {e}")))?;
    runtime.block_on(async {
        let egress = Egress::new(config).map_err(settings)?;
        let rules = any_public();
        let context = Outbound {
            call: Uuid::now_v7(),
            function: "http_proxy",
            // Only observers use it, and there are none.
            function_id: 0,
            version: 0,
            rules: &rules,
            secrets: SecretInjections::NONE,
            depth: 0,
            deadline: Instant::now() + args.max_time,
            max_redirects: None,
            // `send` sets both by the options.
            retries: 0,
            decode: false,
            trace: None,
        };
        invocation
            .send(&egress, &context, body.into())
            .await
            .map_err(failed)
    })
}

/// The addresses are the policy here; every method, name and port is allowed.
fn any_public() -> Rules {
    // Fixed texts; every test of this program needs them to parse.
    ["* http://*:*", "* https://*:*"]
        .iter()
        .filter_map(|rule| rule.parse().ok())
        .collect()
}

/// `HOST:PORT:ADDR:PORT`, where an IPv6 address stands in brackets.
fn parse_pin(text: &str) -> Result<Pin, String> {
    const FORM: &str = "Write HOST:PORT:ADDR:PORT, such as example.com:443:127.0.0.1:8443";
    let host_end = if text.starts_with('[') {
        text.find(']').map(|i| i + 1)
    } else {
        text.find(':')
    };
    let (host, rest) = text.split_at(host_end.ok_or(FORM)?);
    let (port, to) = rest
        .strip_prefix(':')
        .and_then(|rest| rest.split_once(':'))
        .ok_or(FORM)?;
    Ok(Pin {
        host: host.to_owned(),
        port: port
            .parse()
            .map_err(|_| format!("the port is not valid: got {port:?}. {FORM}"))?,
        to: to
            .parse()
            .map_err(|_| format!("the target is not an address and a port: got {to:?}. {FORM}"))?,
    })
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match seconds {
        Some(seconds) if !seconds.is_zero() && seconds <= Duration::from_secs(86400) => Ok(seconds),
        _ => Err(format!(
            "the time is not a number of seconds up to 86400: got {text:?}"
        )),
    }
}

/// A reader that has enough and closes the pipe is not a failure.
fn write(bytes: &[u8]) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => fail(
            status::PROTOCOL,
            &format!("standard output cannot be written: {e}"),
        ),
    }
}

fn fail(status: i32, message: &str) -> ExitCode {
    // If stderr is closed, nothing can be reported.
    let _ = writeln!(std::io::stderr(), "http_proxy: {message}");
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        let pin = |text| parse_pin(text).map(|pin| (pin.host, pin.port, pin.to.to_string()));
        assert_eq!(
            pin("a.b:443:127.0.0.1:8443").unwrap(),
            ("a.b".into(), 443, "127.0.0.1:8443".into())
        );
        assert_eq!(
            pin("[::1]:80:[::2]:81").unwrap(),
            ("[::1]".into(), 80, "[::2]:81".into())
        );
        for wrong in [
            "",
            "a",
            "a:1",
            "a:1:2",
            "a:x:127.0.0.1:1",
            "a:1:b:1",
            "a:1:127.0.0.1",
            "[::1:1:2",
        ] {
            assert!(parse_pin(wrong).is_err(), "{wrong}");
        }
    }
}
