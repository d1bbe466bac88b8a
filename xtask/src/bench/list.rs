//! `cargo xtask bench list`: what a server with many functions takes to list them, to show them and to start.
//!
//! Functions are rows here: one is uploaded, and copied in the database while the server is away. The compiler, which is what an
//! upload mostly costs, has benches of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use super::{Scratch, build, median, serve, tenants::SETTINGS, upload_module};
use crate::{
    packages,
    process::{Server, output},
    step::{Outcome, Problem, step},
};

/// Functions on the server, one after the other.
const SIZES: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];
/// Requests of each kind, whose median is shown; the first is not counted.
const REQUESTS: usize = 15;

/// `(module (func (export "say")))`
const MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x07\x01\x03say\0\0\x0a\x04\x01\x02\0\x0b";

/// Copies the first function until there are as many as it is told, and prints the size of the file.
const FILL: &str = r#"
import hashlib, os, sqlite3, sys, uuid
path, most = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(path)
def first(table):
    row = db.execute(f"SELECT * FROM {table} ORDER BY function_id LIMIT 1")
    return dict(zip([column[0] for column in row.description], row.fetchone()))
def insert(table, row):
    marks = ",".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({marks})", list(row.values()))
function, version = first("functions"), first("versions")
newest, = db.execute("SELECT MAX(function_id) FROM functions").fetchone()
for number in range(newest + 1, most + 1):
    one = str(uuid.UUID(int=(number << 80) | (7 << 76) | (2 << 62)))
    key = hashlib.md5(str(number).encode()).hexdigest()
    insert("functions", function | {"function_id": number, "name": f"function-{number:07}", "storage_key": key, "active_version": one})
    insert("versions", version | {"id": one, "function_id": number})
db.commit()
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
db.close()
print(os.path.getsize(path))
"#;

/// Measures the lists of servers with up to `most` functions. `programs` has the `iof` that is measured; a release build by default.
pub(crate) fn list(most: u64, programs: Option<PathBuf>) -> Outcome {
    packages::need("python3", "python3", "it copies rows of the database")?;
    packages::need("curl", "curl", "it sends the requests")?;
    let programs = match programs {
        Some(programs) => programs,
        None => build()?,
    };
    let scratch = Scratch::new()?;
    let script = scratch.file("fill.py", FILL)?;
    let database = scratch.0.join("data/iof.db");
    {
        let mut iof = serve(&programs, &scratch, SETTINGS)?;
        upload_module(&iof.url, MODULE)?;
        iof.stop()?;
    }
    println!(
        "\n| functions | database MB | start s | memory MB | page | last page | part of a name | console | functions in it | search in it | call |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    );
    for size in SIZES.into_iter().filter(|size| *size <= most) {
        let bytes = step(&format!("make {size} functions"), || {
            let filled = Command::new("python3")
                .arg(&script)
                .arg(&database)
                .arg(size.to_string())
                .output()
                .map_err(Problem::new)?;
            let errors = String::from_utf8_lossy(&filled.stderr);
            let bytes = String::from_utf8_lossy(&filled.stdout)
                .trim()
                .parse::<u64>();
            bytes.map_err(|_| Problem::new(format!("the functions cannot be made: {errors}")))
        })?;
        let started = Instant::now();
        let mut iof = serve(&programs, &scratch, SETTINGS)?;
        let start = started.elapsed().as_secs_f64();
        let jar = scratch.0.join("cookies");
        sign_in(&iof, &jar)?;
        let last = size.saturating_sub(100);
        let times = [
            "/v1/functions?limit=100".to_owned(),
            format!("/v1/functions?limit=100&after={last}"),
            "/v1/functions?name=nowhere".to_owned(),
            "/console".to_owned(),
            "/console/functions".to_owned(),
            "/console/functions?name=nowhere".to_owned(),
        ];
        let times: Outcome<Vec<f64>> = times
            .iter()
            .map(|path| request(&iof, &jar, path, &[]))
            .collect();
        let times = times?;
        // The copies have no artefact of their own: all are one module.
        let call = request(
            &iof,
            &jar,
            &format!("/v1/functions/{size}/call/say"),
            &["-X", "POST"],
        )?;
        let shown: String = times
            .iter()
            .chain([&call])
            .map(|time| format!(" {time:.1} |"))
            .collect();
        let megabytes = bytes as f64 / 1e6;
        let memory = resident(&iof)?;
        println!("| {size} | {megabytes:.1} | {start:.2} | {memory:.0} |{shown}");
        iof.stop()?;
    }
    println!("\nTimes of requests are medians in ms.");
    Ok(())
}

fn sign_in(iof: &Server, jar: &Path) -> Outcome {
    let url = format!("{}/console/sign-in", iof.url);
    let mut curl = Command::new("curl");
    curl.args(["-sf", "-d", "key=", "-H"])
        .arg(format!("Origin: {}", iof.url))
        .arg("-c")
        .arg(jar);
    output(curl.arg(url)).map(drop)
}

/// The median time of a request, in milliseconds, on connections of their own.
fn request(iof: &Server, jar: &Path, path: &str, more: &[&str]) -> Outcome<f64> {
    let mut times = vec![];
    for _ in 0..=REQUESTS {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{time_pretransfer} %{time_total}",
        ])
        .args(more)
        .arg("-b")
        .arg(jar);
        let said = output(curl.arg(format!("{}{path}", iof.url)))?;
        let numbers: Vec<f64> = said.split(' ').filter_map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [200.0 | 204.0, began, ended] => times.push((ended - began) * 1e3),
            _ => return Err(Problem::new(format!("{path} is not answered: got {said}"))),
        }
    }
    Ok(median(&mut times[1..]))
}

/// Its resident memory, in megabytes.
fn resident(iof: &Server) -> Outcome<f64> {
    let path = format!("/proc/{}/status", iof.id());
    let status = std::fs::read_to_string(&path);
    let status = status.map_err(|e| Problem::new(format!("{path}: {e}")))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes / 1024.0)
        .ok_or_else(|| Problem::new(format!("{path} has no VmRSS")))
}
