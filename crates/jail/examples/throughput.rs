//! How fast `true` runs in a warm jail, beside a bare spawn and wait of it in the same process.
//!
//! `cargo run --release -p iof-jail --example throughput`. It starts itself as its wardens.

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
        let (mut bare, mut jailed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(tokio::task::spawn_blocking(move || bare_round(at_once)).await?);
            jailed.push(jailed_round(&program, at_once).await?);
        }
        let ratios = bare.iter().zip(&jailed).map(|(bare, jailed)| jailed / bare);
        let ratio = median(ratios.collect());
        let (bare, jailed) = (median(bare), median(jailed));
        println!("{at_once} at once: bare {bare:.0}/s, jailed {jailed:.0}/s, ratio {ratio:.2}");
    }
    Ok(())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn bare_round(at_once: usize) -> f64 {
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
    f64::from(total) / started.elapsed().as_secs_f64()
}

async fn jailed_round(
    program: &Program,
    at_once: usize,
) -> Result<f64, Box<dyn std::error::Error>> {
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
    Ok(f64::from(total) / started.elapsed().as_secs_f64())
}
