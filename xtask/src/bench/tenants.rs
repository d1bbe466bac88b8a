//! `cargo xtask bench tenants`: many functions that take turns, beside one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Scratch, build, memory::MemorySamples, number_after, plot, serve, upload_module};
use crate::{
    guests, packages, paths,
    process::{Server, output},
    step::{Outcome, Problem, step},
    syscalls,
};

/// The settings of the server: the defaults, except for uploads.
pub(super) const SETTINGS: &str = "[second_state]\nrate_limit = 0\n";
/// Functions in rotation, one after the other.
const SIZES: [u64; 6] = [1, 10, 100, 1_000, 5_000, 10_000];
/// The exponent of Zipf's law.
const ZIPF: f64 = 1.1;
/// Uploads at a time.
const UPLOADERS: u64 = 8;
/// Calls that change the address space. None belongs on the hot path.
const WATCHED: [&str; 5] = ["mprotect", "madvise", "mmap", "munmap", "mremap"];
/// The most that memory may grow from the first third of a minute to its last, in means: rows of the call log come and
/// go. In less time caches still fill.
const GROWTH: f64 = 1.03;
const MINUTE: u32 = 60;
/// Seconds of load before a measurement, at least.
const WARM_UP: u32 = 10;
/// The longest that a stop may take.
const STOP: Duration = Duration::from_secs(2);

/// The script of wrk: it draws a function for each request, and prints its measurements at the end.
const SCRIPT: &str = r#"
local functions, zipf = tonumber(os.getenv("FUNCTIONS")), tonumber(os.getenv("ZIPF"))
local requests, drawn = {}, {}
function init()
  for id = 1, functions do
    requests[id] = wrk.format("POST", "/api/run/" .. id .. "/say", { ["Content-Type"] = "text/plain" }, "world")
  end
  local total, sum, id = 0, 0, 0
  for rank = 1, functions do total = total + rank ^ -zipf end
  for draw = 1, 65536 do
    while sum < draw * total / 65536 and id < functions do id = id + 1; sum = sum + id ^ -zipf end
    drawn[draw] = id
  end
end
function request()
  if zipf == 0 then return requests[math.random(functions)] end
  return requests[drawn[math.random(65536)]]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("measured requests %d us %d p50 %d p99 %d failed %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// One measurement.
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) micros: u64,
    pub(super) p50: u64,
    pub(super) p99: u64,
}

/// The state of the server at a moment.
struct State {
    /// Clock ticks of its own, and of the kernel for it.
    user: u64,
    system: u64,
    loads: u64,
    maps: u64,
}

/// Functions in rotation, uniformly and by Zipf's law. `image` gets the plot of the ratios.
pub(crate) fn tenants(seconds: u32, most: u64, image: Option<&Path>) -> Outcome {
    guests::build()?;
    packages::need("wrk", "wrk", "it makes the load")?;
    packages::need("strace", "strace", "it counts system calls")?;
    let release = build()?;
    let scratch = Scratch::new()?;
    let script = script(&scratch)?;
    let sizes = || SIZES.into_iter().filter(|size| *size <= most);
    let largest = sizes().max().unwrap_or(1);
    {
        let iof = serve(&release, &scratch, SETTINGS)?;
        step(&format!("upload {largest} functions"), || {
            let started = Instant::now();
            upload(&iof, largest)?;
            let taken = started.elapsed().as_secs_f64();
            println!("   {:.0} uploads a second", largest as f64 / taken);
            Ok(())
        })?;
    }
    println!(
        "\n| functions | drawn | requests/s | ratio | p50 ms | p99 ms | kernel | misses | maps | MB | growth | mapping calls a call | stop s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let (mut one, mut missed) = (None, vec![]);
    let (mut even, mut skewed) = (vec![], vec![]);
    for size in sizes() {
        for zipf in [0.0, ZIPF] {
            if size == 1 && zipf > 0.0 {
                continue;
            }
            let mut iof = serve(&release, &scratch, SETTINGS)?;
            let load = |seconds: u32| load(&iof, &script, size, zipf, seconds);
            // Each function is called often enough to be loaded, and to have its slots.
            load(WARM_UP.max(u32::try_from(size / 500).unwrap_or(u32::MAX)))?;
            let before = state(&iof)?;
            let (measured, memory) = MemorySamples::during(&iof, || load(seconds))?;
            let after = state(&iof)?;
            let (_, counts) =
                syscalls::count(iof.id(), &scratch.0.join("strace"), || load(2).map(drop))?;
            let counted = counts.iter().find(|(name, _)| name == "recvfrom");
            let calls = counted.map_or(1, |(_, count)| (*count).max(1));
            let mapping = counts
                .iter()
                .filter(|(name, _)| WATCHED.contains(&name.as_str()));
            let mapping: u64 = mapping.map(|(_, count)| count).sum();
            let stop = iof.stop()?;
            let requests = measured.requests;
            let per_second = requests as f64 * 1e6 / measured.micros as f64;
            let one = *one.get_or_insert(per_second);
            let growth = memory.growth();
            let line = if zipf > 0.0 { &mut skewed } else { &mut even };
            line.push((size, per_second / one));
            let (user, system) = (after.user - before.user, after.system - before.system);
            println!(
                "| {size} | {} | {per_second:.0} | {:.2} | {:.2} | {:.2} | {:.0} % | {:.2} % | {} | {:.0} | {:.3} | {:.3} | {:.1} |",
                if zipf > 0.0 { "Zipf" } else { "evenly" },
                per_second / one,
                measured.p50 as f64 / 1e3,
                measured.p99 as f64 / 1e3,
                100.0 * system as f64 / (user + system).max(1) as f64,
                100.0 * (after.loads - before.loads) as f64 / requests.max(1) as f64,
                after.maps,
                memory.last() / 1024.0,
                growth,
                mapping as f64 / calls as f64,
                stop.as_secs_f64(),
            );
            if stop > STOP {
                missed.push(format!(
                    "with {size} functions, the server stops too slowly: got {stop:?}, at most {STOP:?} is allowed"
                ));
            }
            if seconds >= MINUTE && growth > GROWTH {
                missed.push(format!(
                    "with {size} functions, memory grows too much within {seconds} s: got {growth:.3} times, at most {GROWTH} times is allowed"
                ));
            }
        }
    }
    if let Some(image) = image {
        let lines: [(&str, &str, &[plot::Point]); 2] = [
            ("evenly", "#0a6", &even),
            ("by Zipf's law", "#06c", &skewed),
        ];
        fs::write(image, plot::svg(&lines))
            .map_err(|e| Problem::new(format!("{}: {e}", image.display())))?;
    }
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Problem::new(missed.join("; "))),
    }
}

/// The file of the script.
pub(super) fn script(scratch: &Scratch) -> Outcome<PathBuf> {
    scratch.file("tenants.lua", SCRIPT)
}

/// Uploads as many modules, each with a section of its own, so that no two are one.
pub(super) fn upload(iof: &Server, functions: u64) -> Outcome {
    let module = paths::wasm().join("hello.wasm");
    let module =
        fs::read(&module).map_err(|e| Problem::new(format!("{}: {e}", module.display())))?;
    let (next, failed) = (AtomicU64::new(1), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..UPLOADERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > functions {
                        return;
                    }
                    let name = format!("tenant{number:08}");
                    let mut own = module.clone();
                    own.extend([0, 1 + 14, 14]);
                    own.extend(name.as_bytes());
                    if let Err(problem) = upload_module(&iof.url, &own) {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Some(problem);
                        }
                        return;
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(Some(problem)) => Err(problem),
        _ => Ok(()),
    }
}

pub(super) fn load(
    iof: &Server,
    script: &Path,
    functions: u64,
    zipf: f64,
    seconds: u32,
) -> Outcome<Load> {
    let report = output(
        Command::new("wrk")
            .args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
            .arg(script)
            .arg(&iof.url)
            .env("FUNCTIONS", functions.to_string())
            .env("ZIPF", zipf.to_string()),
    )?;
    let measured = report.lines().find(|line| line.starts_with("measured "));
    let number = |word: &str| number_after(measured?, word);
    let load = || {
        Some(Load {
            requests: number(" requests ")?,
            micros: number(" us ")?.max(1),
            p50: number(" p50 ")?,
            p99: number(" p99 ")?,
        })
    };
    match (load(), number(" failed ")) {
        (Some(load), Some(0)) => Ok(load),
        _ => Err(Problem::new(format!(
            "the report of wrk cannot be read: got\n{report}"
        ))),
    }
}

fn state(iof: &Server) -> Outcome<State> {
    let file = |name: &str| {
        let path = format!("/proc/{}/{name}", iof.id());
        fs::read_to_string(&path).map_err(|e| Problem::new(format!("{path}: {e}")))
    };
    let unread = || Problem::new("/proc has no numbers for the server");
    let stat = file("stat")?;
    // The fields after the name, which may contain blanks: utime and stime are the 14th and 15th of all.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|n| n.parse().ok())
            .ok_or_else(unread)
    };
    let server = output(Command::new("curl").args(["-sf", &format!("{}/v1/server", iof.url)]))?;
    let figure = |word: &str| number_after(&server, word).ok_or_else(unread);
    Ok(State {
        user: ticks(11)?,
        system: ticks(12)?,
        loads: figure("\"loads\":")?,
        maps: number_after(
            server.split("\"maps\"").nth(1).unwrap_or_default(),
            "used\":",
        )
        .ok_or_else(unread)?,
    })
}
