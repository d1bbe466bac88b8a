//! `cargo xtask bench neighbours`: functions that answer quickly, beside those that use all resources they can get.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::{
    Scratch, build, post, serve,
    tenants::{SETTINGS, load, script, upload},
};
use crate::{
    guests, packages,
    step::{Outcome, Problem, step},
};

/// Functions that answer quickly.
const QUIET: u64 = 900;
/// Functions that compute, each with a call in progress all the time.
const LOUD: u32 = 100;
/// The most by which the slowest percent may slow down beside them.
const MOST: f64 = 5.0;

/// A module whose only function `go` has this body, without its length. Its memory may grow to 128 MiB.
fn module(body: &[u8], number: u32) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, content: &[u8]| {
        module.push(id);
        module.push(u8::try_from(content.len()).unwrap_or(u8::MAX));
        module.extend(content);
    };
    section(1, &[1, 0x60, 0, 0]);
    section(3, &[1, 0]);
    section(5, &[1, 1, 1, 0x80, 0x10]);
    section(7, &[&[1, 2][..], b"go", &[0, 0]].concat());
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    section(10, &[&[1, length][..], body].concat());
    section(0, &[&[1, b'n'][..], &number.to_le_bytes()].concat());
    module
}

/// Adds to a local forever.
const SPINS: [u8; 16] = [
    1, 1, 0x7f, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x21, 0, 0x0c, 0, 0x0b, 0x0b,
];
/// Grows the memory by 16 MiB as often as it may, and fills all of it, forever.
const FILLS: [u8; 27] = [
    0, 0x03, 0x40, 0x41, 0x80, 0x02, 0x40, 0, 0x1a, 0x41, 0, 0x41, 1, 0x3f, 0, 0x41, 16, 0x74,
    0xfc, 0x0b, 0, 0x0c, 0, 0x0b, 0x01, 0x01, 0x0b,
];

/// The latency of the slowest percent of the quiet functions, with and without loud neighbours.
pub(crate) fn neighbours(seconds: u32) -> Outcome {
    guests::build()?;
    packages::need("wrk", "wrk", "it makes the load")?;
    let release = build()?;
    let scratch = Scratch::new()?;
    let script = script(&scratch)?;
    let iof = serve(&release, &scratch, SETTINGS)?;
    let mut loud = vec![];
    step(
        &format!("upload {QUIET} functions and {} loud ones", 2 * LOUD),
        || {
            upload(&iof, QUIET)?;
            for (kind, body) in [("spin", &SPINS[..]), ("fill memory", &FILLS)] {
                let first = super::upload_module(&iof.url, &module(body, 0))?;
                for number in 1..LOUD {
                    super::upload_module(&iof.url, &module(body, number))?;
                }
                loud.push((kind, first));
            }
            Ok(())
        },
    )?;
    let measure = |seconds| load(&iof, &script, QUIET, 0.0, seconds);
    measure(seconds)?;
    let quiet = measure(seconds)?;
    println!(
        "\n| {LOUD} of {} functions | requests/s | p50 ms | p99 ms | of quiet | loud calls that ended |\n|---|---|---|---|---|---|",
        QUIET + u64::from(LOUD)
    );
    let ms = |us: u64| us as f64 / 1e3;
    let rate = |requests: u64, micros: u64| requests as f64 * 1e6 / micros as f64;
    println!(
        "| are quiet | {:.0} | {:.2} | {:.2} | 1 | |",
        rate(quiet.requests, quiet.micros),
        ms(quiet.p50),
        ms(quiet.p99)
    );
    let mut worst = 0.0_f64;
    for (kind, first) in loud {
        let (stop, ended) = (AtomicBool::new(false), AtomicU64::new(0));
        let measured = std::thread::scope(|scope| {
            for id in first..first + u64::from(LOUD) {
                let (stop, ended, url) = (&stop, &ended, &iof.url);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        // The answer names the limit that ended the call.
                        drop(post(url, &format!("/api/run/{id}/go"), "text/plain", b""));
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            std::thread::sleep(Duration::from_secs(2));
            let measured = measure(seconds);
            stop.store(true, Ordering::Relaxed);
            measured
        })?;
        let ratio = measured.p99 as f64 / quiet.p99.max(1) as f64;
        worst = worst.max(ratio);
        println!(
            "| {kind} | {:.0} | {:.2} | {:.2} | {ratio:.1} | {} |",
            rate(measured.requests, measured.micros),
            ms(measured.p50),
            ms(measured.p99),
            ended.load(Ordering::Relaxed)
        );
    }
    if worst > MOST {
        return Err(Problem::new(format!(
            "loud neighbours slow the slowest percent down too much: got {worst:.1} times, at most {MOST:.0} times is allowed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_modules_are_valid() {
        for body in [&SPINS[..], &FILLS] {
            let module = module(body, 7);
            let mut at = 8;
            while at < module.len() {
                at += 2 + usize::from(module[at + 1]);
            }
            assert_eq!(at, module.len());
        }
    }
}
