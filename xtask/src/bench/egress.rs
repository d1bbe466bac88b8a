//! `cargo xtask bench egress`: the cost of an outbound request of a function, beside the program of 2020 started for
//! each, beside nginx as a reverse proxy, and beside a minimal proxy of the same libraries, all to the same upstream.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{Scratch, build, median, post, serve, upload, wrk};
use crate::{
    guests, packages,
    process::{Server, output},
    step::{Outcome, Problem, step},
};

/// The name under which functions know the upstream.
const NAME: &str = "upstream.bench";
/// The body of each request and of its response.
const BODY: &str = "world";
/// The concurrency of every measurement.
const PARALLEL: usize = 16;

/// `http_proxy` in a function against the native program, and against two proxies.
pub(crate) fn egress(seconds: u32, rounds: u32) -> Outcome {
    guests::build()?;
    packages::need("wrk", "wrk", "it makes the load")?;
    let sbin = Path::new("/usr/sbin/nginx");
    if !sbin.is_file() {
        packages::need("nginx", "nginx-light", "it is compared with")?;
    }
    let release = build()?;
    let scratch = Scratch::new()?;
    let echo = Server::start(&mut Command::new(release.join("echo")))?;
    let upstream = echo.url.trim_start_matches("http://").to_owned();
    let port = upstream.rsplit(':').next().unwrap_or_default().to_owned();

    let nginx = Nginx::start(sbin, &scratch, &upstream)?;
    let bare = Server::start(Command::new(release.join("proxy")).arg(format!("{}/", echo.url)))?;
    let settings = format!(
        "log = \"warn\"\n[defaults]\noutbound = [\"POST http://{NAME}:{port}\"]\n\
         [egress]\nmax_concurrent_per_function = 64\n\
         [[egress.pin]]\nhost = \"{NAME}\"\nport = {port}\nto = \"{upstream}\"\n"
    );
    let iof = serve(&release, &scratch, &settings)?;
    let path = upload(&iof.url, &scratch, "command", "post")?;
    let request = format!("http://{NAME}:{port}/");
    let check = || {
        let answer = post(&iof.url, &path, "text/plain", request.as_bytes())?;
        match answer == BODY {
            true => Ok(()),
            false => Err(Problem::new(format!("the function failed: got {answer}"))),
        }
    };
    check()?;
    let script = |name: &str, body: &str| {
        let text = format!(
            "wrk.method = \"POST\"\nwrk.body = [[{body}]]\nwrk.headers[\"Content-Type\"] = \"text/plain\"\n"
        );
        scratch.file(name, &text)
    };
    let (plain, called) = (script("plain.lua", BODY)?, script("called.lua", &request)?);
    let nginx_url = format!("{}/", nginx.url);
    let (bare_url, iof_url) = (format!("{}/", bare.url), format!("{}{path}", iof.url));
    let program = release.join("http_proxy");
    let url = format!("http://{NAME}:{port}/");
    let connect = format!("{NAME}:{port}:{upstream}");
    let native = || {
        spawned(
            &program,
            &["--connect-to", &connect, "--", "post", &url],
            seconds,
        )
    };
    for (url, script) in [
        (&nginx_url, &plain),
        (&bare_url, &plain),
        (&iof_url, &called),
    ] {
        wrk(url, 1, script)?;
    }

    let (mut natives, mut proxied) = (vec![], vec![]);
    let (mut bares, mut functions) = (vec![], vec![]);
    step(
        &format!("measure all in turns, {rounds} rounds of {seconds} s each, {PARALLEL} at a time"),
        || {
            println!("   round     native/s      nginx/s       bare/s   function/s");
            for round in 1..=rounds {
                let native = native()?;
                let nginx = wrk(&nginx_url, seconds, &plain)?;
                let bare = wrk(&bare_url, seconds, &plain)?;
                let function = wrk(&iof_url, seconds, &called)?;
                check()?;
                if nginx.failed + bare.failed + function.failed > 0 {
                    return Err(Problem::new(format!(
                        "{} requests through nginx, {} through the bare proxy and {} calls failed",
                        nginx.failed, bare.failed, function.failed
                    )));
                }
                let (nginx, bare) = (nginx.per_second, bare.per_second);
                let function = function.per_second;
                println!(
                    "   {round:>5} {native:>12.0} {nginx:>12.0} {bare:>12.0} {function:>12.0}"
                );
                natives.push(native);
                proxied.push(nginx);
                bares.push(bare);
                functions.push(function);
            }
            Ok(())
        },
    )?;
    let (native, nginx) = (median(&mut natives), median(&mut proxied));
    let (bare, function) = (median(&mut bares), median(&mut functions));
    println!("\nnative   {native:.0} requests/s (median), a process a request");
    println!("nginx    {nginx:.0} requests/s (median), a reverse proxy over keep-alive");
    println!("bare     {bare:.0} requests/s (median), a proxy of only axum and hyper");
    println!("function {function:.0} requests/s (median), http_proxy in a fresh instance a call");
    println!("egress ratio to native {:.1}", function / native);
    println!("egress ratio to nginx {:.2}", function / nginx);
    println!("egress ratio to the bare proxy {:.2}", function / bare);
    Ok(())
}

/// Runs a program again and again, each to its end, and returns the runs per second.
fn spawned(program: &Path, args: &[&str], seconds: u32) -> Outcome<f64> {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds.into());
    let worker = || {
        while Instant::now() < until {
            let mut child = Command::new(program)
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|e| Problem::new(format!("http_proxy does not start: {e}")))?;
            if let Some(mut stdin) = child.stdin.take() {
                let _ = std::io::Write::write_all(&mut stdin, BODY.as_bytes());
            }
            let output = child
                .wait_with_output()
                .map_err(|e| Problem::new(format!("http_proxy: {e}")))?;
            if output.stdout != BODY.as_bytes() {
                return Err(Problem::new(format!("http_proxy failed: got {output:?}")));
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(Ok(())))
            .collect::<Outcome<Vec<()>>>()
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// nginx in front of the upstream. It ends when it is dropped.
struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    fn start(sbin: &Path, scratch: &Scratch, upstream: &str) -> Outcome<Self> {
        // The port is taken and released again, because nginx cannot report which one it got.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.map_err(|e| scratch.problem(&e))?;
        let folder = scratch.0.join("nginx");
        fs::create_dir_all(&folder).map_err(|e| scratch.problem(&e))?;
        let folder = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .collect();
        let config = scratch.file(
            "nginx.conf",
            &format!(
                "daemon off;\nworker_processes auto;\npid {folder}/pid;\nerror_log stderr error;\n\
                 events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}\
                 keepalive_requests 1000000000;\n\
                 upstream up {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
                 server {{ listen {address}; location / {{ proxy_pass http://up; proxy_http_version 1.1; \
                 proxy_set_header Connection \"\"; }} }}\n}}\n"
            ),
        )?;
        let program = match sbin.is_file() {
            true => sbin,
            false => Path::new("nginx"),
        };
        let child = Command::new(program)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|e| Problem::new(format!("nginx does not start: {e}")))?;
        let nginx = Self {
            child,
            url: format!("http://{address}"),
        };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Ok(nginx);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(Problem::new("nginx does not listen"))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // On SIGTERM it ends its workers; a killed nginx would leave them behind.
        let stopped = output(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        if stopped.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
