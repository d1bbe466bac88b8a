//! `iof top`: the busiest functions of a server, from two readings of their counts.

mod units;

use crate::args::{Top, TopOrder};
use crate::client::Client;
use crate::output::table;
use crate::{escape, print, print_bytes};
use http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use units::{duration, rate, size, time, whole};

/// Moves a terminal's cursor to its first cell.
const HOME: &str = "\x1b[H";
/// Erases the rest of a line.
const ERASE_LINE: &str = "\x1b[K";
/// Erases everything below the cursor.
const ERASE_BELOW: &str = "\x1b[J";
/// The number of lines above the rows: the server, its calls, its functions, a blank line and the names of the columns.
const HEAD: usize = 5;
/// The number of rows if the height of the terminal is unknown.
const ROWS: usize = 20;

/// The counts of all functions at a moment.
#[derive(Clone, Deserialize)]
struct Reading {
    uptime: f64,
    bounds: Vec<f64>,
    /// Absent from servers that do not count memory by function.
    #[serde(default)]
    memory_bounds: Vec<f64>,
    functions: Vec<Counts>,
}

/// The counts of one version of a function since the server started.
#[derive(Clone, Deserialize)]
struct Counts {
    function: String,
    version: i64,
    calls: u64,
    client_faults: u64,
    faults: u64,
    loads: u64,
    cpu: f64,
    times: Vec<u64>,
    waits: Vec<u64>,
    #[serde(default)]
    memory: Vec<u64>,
}

/// The activity of one version of a function between two readings.
#[derive(Debug, PartialEq)]
struct Row {
    function: String,
    version: i64,
    calls_per_second: f64,
    /// The share of failed calls among those with a valid request; `None` without such calls.
    failed: Option<f64>,
    /// The median and the 99th percentile of the time, and the 99th percentile of the wait for permits, in seconds.
    /// `None` without calls.
    p50: Option<f64>,
    p99: Option<f64>,
    wait_p99: Option<f64>,
    /// The number of cores that it held on average.
    cores: f64,
    /// The 99th percentile of the most memory that a call had at once, in bytes; `None` without calls.
    memory_p99: Option<f64>,
}

pub(crate) async fn run(top: Top) -> Result<ExitCode, String> {
    let client = Client::new(&top.remote)?;
    let is_live = std::io::stdout().is_terminal() && !top.remote.json && top.count.is_none();
    let count = match top.count {
        Some(count) => Some(u64::from(count)),
        None if is_live => None,
        None => Some(1),
    };
    let mut before = read(&client).await?;
    let mut printed = 0;
    if is_live {
        print_bytes(format!("{HOME}{ERASE_BELOW}").as_bytes());
    }
    loop {
        tokio::time::sleep(top.interval).await;
        let after = read(&client).await?;
        let server = client.ask(Method::GET, "/v1/server", "").await?;
        let mut rows = rows(&before, &after);
        sort(&mut rows, top.sort);
        let shown = match top.remote.json {
            true => format!("{}\n", object(&server, &rows)),
            false => page(
                client.origin(),
                &server,
                &before,
                &after,
                &rows,
                Room {
                    rows: height(&top, is_live),
                    columns: columns().filter(|_| is_live),
                },
            ),
        };
        let ended = match is_live {
            false => print(&shown),
            true => print_bytes(frame(&shown).as_bytes()),
        };
        printed += 1;
        if ended != ExitCode::SUCCESS || count.is_some_and(|count| printed >= count) {
            return Ok(ended);
        }
        if !is_live && !top.remote.json {
            print("\n");
        }
        before = after;
    }
}

async fn read(client: &Client) -> Result<Reading, String> {
    let counts = client.ask(Method::GET, "/v1/server/functions", "").await?;
    serde_json::from_value(counts).map_err(|error| {
        format!("the server's answer is not that of a server of this version: {error}")
    })
}

/// The most rows that are shown.
fn height(top: &Top, is_live: bool) -> usize {
    match (top.rows, is_live) {
        (Some(rows), _) => rows as usize,
        (None, true) => terminal_size::terminal_size().map_or(ROWS, |(_, lines)| {
            usize::from(lines.0).saturating_sub(HEAD + 1).max(1)
        }),
        (None, false) => ROWS,
    }
}

/// The width of the terminal.
fn columns() -> Option<usize> {
    terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0))
}

/// A page with the control sequences by which it replaces the previous one on a terminal.
fn frame(page: &str) -> String {
    let columns = columns();
    let mut frame = HOME.to_owned();
    for line in escape::block(page).lines() {
        // A wrapped line would push the first lines out.
        frame.extend(line.chars().take(columns.unwrap_or(usize::MAX)));
        frame += &format!("{ERASE_LINE}\n");
    }
    frame + ERASE_BELOW
}

/// The difference of two readings. If the second has lower counts, the server restarted, and all of its counts are new.
fn rows(before: &Reading, after: &Reading) -> Vec<Row> {
    let is_new = after.uptime < before.uptime;
    let known: HashMap<_, _> = before
        .functions
        .iter()
        .filter(|_| !is_new)
        .map(|counts| ((counts.function.as_str(), counts.version), counts))
        .collect();
    let seconds = elapsed(before, after);
    let row = |now: &Counts| {
        let then = known
            .get(&(now.function.as_str(), now.version))
            .filter(|then| then.calls <= now.calls);
        let since = |field: fn(&Counts) -> u64| {
            field(now).saturating_sub(then.map_or(0, |then| field(then)))
        };
        let groups = |field: fn(&Counts) -> &Vec<u64>| -> Vec<u64> {
            let then = then.map(|then| field(then).as_slice()).unwrap_or_default();
            let earlier = then.iter().chain(std::iter::repeat(&0));
            let now = field(now).iter().zip(earlier);
            now.map(|(now, then)| now.saturating_sub(*then)).collect()
        };
        let calls = since(|of| of.calls);
        let right = calls.saturating_sub(since(|of| of.client_faults));
        let times = groups(|of| &of.times);
        Row {
            function: now.function.clone(),
            version: now.version,
            calls_per_second: calls as f64 / seconds,
            failed: (right > 0).then(|| since(|of| of.faults) as f64 / right as f64),
            p50: quantile(0.5, &after.bounds, &times),
            p99: quantile(0.99, &after.bounds, &times),
            wait_p99: quantile(0.99, &after.bounds, &groups(|of| &of.waits)),
            cores: (now.cpu - then.map_or(0.0, |then| then.cpu)).max(0.0) / seconds,
            memory_p99: quantile(0.99, &after.memory_bounds, &groups(|of| &of.memory)),
        }
    };
    after.functions.iter().map(row).collect()
}

/// The time between two readings, in seconds.
fn elapsed(before: &Reading, after: &Reading) -> f64 {
    let seconds = match after.uptime < before.uptime {
        true => after.uptime,
        false => after.uptime - before.uptime,
    };
    seconds.max(1e-3)
}

/// A quantile from a histogram, interpolated linearly within each bucket as in Prometheus. Beyond the last
/// bound, it is that bound.
fn quantile(share: f64, bounds: &[f64], groups: &[u64]) -> Option<f64> {
    let total: u64 = groups.iter().sum();
    if total == 0 {
        return None;
    }
    let (wanted, mut seen, mut lower) = (share * total as f64, 0.0, 0.0);
    for (count, upper) in groups.iter().zip(bounds) {
        let count = *count as f64;
        if count > 0.0 && seen + count >= wanted {
            return Some(lower + (upper - lower) * (wanted - seen) / count);
        }
        seen += count;
        lower = *upper;
    }
    bounds.last().copied()
}

fn sort(rows: &mut [Row], order: TopOrder) {
    let key = |row: &Row| match order {
        TopOrder::Calls => row.calls_per_second,
        TopOrder::Failed => row.failed.unwrap_or(-1.0),
        TopOrder::P99 => row.p99.unwrap_or(-1.0),
        TopOrder::Wait => row.wait_p99.unwrap_or(-1.0),
        TopOrder::Cores => row.cores,
        TopOrder::Memory => row.memory_p99.unwrap_or(-1.0),
    };
    rows.sort_by(|a, b| {
        let calls = b.calls_per_second.total_cmp(&a.calls_per_second);
        let first = key(b).total_cmp(&key(a)).then(calls);
        first.then_with(|| (&a.function, a.version).cmp(&(&b.function, b.version)))
    });
}

/// The room for a table.
struct Room {
    /// The most rows.
    rows: usize,
    /// The most columns of text; `None` if there is no bound.
    columns: Option<usize>,
}

/// The page for people.
fn page(
    origin: &str,
    server: &Json,
    before: &Reading,
    after: &Reading,
    rows: &[Row],
    room: Room,
) -> String {
    let figure = |group: &str, name: &str| whole(server[group][name].as_f64().unwrap_or_default());
    let total: f64 = rows.iter().map(|row| row.calls_per_second).sum();
    let loads = |of: &Reading| of.functions.iter().map(|counts| counts.loads).sum::<u64>();
    let misses = loads(after).saturating_sub(loads(before)) as f64 / elapsed(before, after);
    let called: Vec<_> = rows
        .iter()
        .filter(|row| row.calls_per_second > 0.0)
        .collect();
    let mut cells: Vec<_> = called
        .iter()
        .take(room.rows)
        .map(|row| {
            vec![
                row.function.clone(),
                row.version.to_string(),
                rate(row.calls_per_second),
                row.failed
                    .map_or("-".into(), |failed| format!("{:.1}%", failed * 100.0)),
                row.p50.map_or("-".into(), time),
                row.p99.map_or("-".into(), time),
                row.wait_p99.map_or("-".into(), time),
                format!("{:.2}", row.cores),
                row.memory_p99.map_or("-".into(), size),
            ]
        })
        .collect();
    let head = format!(
        "iof {} at {origin}, up {}\n\
         calls: {}/s, {} running of {}, {} waiting\n\
         functions: {} called, {} loaded of {}, {} loads/s\n\n",
        server["version"].as_str().unwrap_or_default(),
        duration(after.uptime),
        rate(total),
        figure("calls", "running"),
        figure("calls", "limit"),
        figure("calls", "waiting"),
        called.len(),
        figure("functions", "loaded"),
        figure("functions", "limit"),
        rate(misses),
    );
    let names = [
        "FUNCTION",
        ">VERSION",
        ">CALLS/S",
        ">FAILED",
        ">P50",
        ">P99",
        ">WAIT P99",
        ">CORES",
        ">MEM P99",
    ];
    let none = "No function was called.";
    let full = table(&names, &cells, none);
    let width = full.lines().map(|line| line.chars().count()).max();
    let excess = width
        .unwrap_or_default()
        .saturating_sub(room.columns.unwrap_or(usize::MAX));
    if excess == 0 {
        return head + &full;
    }
    shorten(&mut cells, excess);
    head + &table(&names, &cells, none)
}

/// The least length of a function's name to which a narrow terminal shortens it.
const NAME: usize = 8;

/// Shortens the names of functions, so that their figures have room.
fn shorten(cells: &mut [Vec<String>], excess: usize) {
    let names = cells.iter_mut().filter_map(|row| row.first_mut());
    let names: Vec<_> = names.collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let most = longest.unwrap_or_default().saturating_sub(excess).max(NAME);
    for name in names {
        if name.chars().count() > most {
            *name = name.chars().take(most - 1).chain(['…']).collect();
        }
    }
}

/// The page for scripts, with times in seconds, sizes in bytes, and shares from 0 to 1.
fn object(server: &Json, rows: &[Row]) -> Json {
    let functions: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "function": row.function,
                "version": row.version,
                "calls_per_second": row.calls_per_second,
                "failed": row.failed,
                "p50": row.p50,
                "p99": row.p99,
                "wait_p99": row.wait_p99,
                "cores": row.cores,
                "memory_p99": row.memory_p99,
            })
        })
        .collect();
    json!({ "server": server, "functions": functions })
}

#[cfg(test)]
mod tests;
