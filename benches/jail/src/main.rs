//! The speed at which `true` runs in a warm jail, beside a bare spawn and wait of it in the same process.
//!
//! `cargo run --release -p jail-bench`. It starts itself as its wardens.

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use iof_jail::{Demand, Jail, Profile, Program, Request, Settings};

const TRUE: &str = "/bin/true";
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 8;

fn main() -> ExitCode {
    if let Some(code) = iof_jail::warden_main() {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(compare()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn compare() -> Result<(), Box<dyn std::error::Error>> {
    // Features to do without, to see what each costs: `landlock`, `seccomp`...
    let without = std::env::args().skip(1);
    let without = without.map(|name| serde_json::from_value(name.into()));
    let settings = Settings {
        demand: Demand::Available,
        without: without.collect::<Result<_, _>>()?,
        ..Settings::default()
    };
    let jail = Jail::new(settings, std::env::current_exe()?).await?;
    let started = Instant::now();
    let program = jail.program(Profile::new(TRUE))?;
    program.warm(4).await?;
    println!("a warden starts in {:?}", started.elapsed() / 4);
    for at_once in [1, 4] {
        let (mut bare, mut jailed) = (Side::default(), Side::default());
        for _ in 0..ROUNDS {
            let before = cpu(std::process::id());
            let counted = tokio::task::spawn_blocking(move || bare_round(at_once)).await?;
            bare.add(counted, cpu(std::process::id()) - before);
            let before = cpu(std::process::id());
            let counted = jailed_round(&program, at_once).await?;
            jailed.add(counted, cpu(std::process::id()) - before);
        }
        let ratios = bare.rates.iter().zip(&jailed.rates);
        let ratio = median(ratios.map(|(bare, jailed)| jailed / bare).collect());
        let (of_bare, of_jailed) = (bare.cpu_per_run(), jailed.cpu_per_run());
        println!(
            "{at_once} at once: bare {:.0}/s, jailed {:.0}/s, ratio {ratio:.2}; \
             CPU per run: bare {of_bare:.0} us, jailed {of_jailed:.0} us, ratio {:.2}",
            median(bare.rates),
            median(jailed.rates),
            of_bare / of_jailed
        );
    }
    Ok(())
}

/// The measurements of one way to run it.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    runs: f64,
    ticks: u64,
}

impl Side {
    fn add(&mut self, (runs, took): (u32, Duration), ticks: u64) {
        self.rates.push(f64::from(runs) / took.as_secs_f64());
        self.runs += f64::from(runs);
        self.ticks += ticks;
    }

    /// In microseconds, a tick being 10 ms. What else the machine does changes it little, unlike the
    /// rates: whoever sleeps more often waits more often for a busy core.
    fn cpu_per_run(&self) -> f64 {
        self.ticks as f64 * 10_000.0 / self.runs
    }
}

/// Ticks of CPU that a process and all below it used, with those that ended.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(4);
    let own: u64 = ticks.filter_map(|n| n.parse::<u64>().ok()).sum();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let lists = threads.flatten().flatten();
    let lists = lists.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    let below = lists.map(|list| {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.map(cpu).sum::<u64>()
    });
    own + below.sum::<u64>()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn bare_round(at_once: usize) -> (u32, Duration) {
    let started = Instant::now();
    let total: u32 = std::thread::scope(|scope| {
        let all: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while started.elapsed() < ROUND {
                        let ended = Command::new(TRUE).env_clear().status();
                        count += u32::from(ended.is_ok_and(|status| status.success()));
                    }
                    count
                })
            })
            .collect();
        all.into_iter()
            .filter_map(|thread| thread.join().ok())
            .sum()
    });
    (total, started.elapsed())
}

async fn jailed_round(
    program: &Program,
    at_once: usize,
) -> Result<(u32, Duration), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let program = program.clone();
        all.spawn(async move {
            let mut count = 0;
            while started.elapsed() < ROUND {
                let request = Request {
                    timeout: Duration::from_secs(10),
                    ..Request::default()
                };
                let ended = program.run(request).await;
                count += u32::from(ended.is_ok_and(|ended| ended.exit.status() == 0));
            }
            count
        });
    }
    let mut total = 0;
    while let Some(count) = all.join_next().await {
        total += count?;
    }
    Ok((total, started.elapsed()))
}
