//! System calls of a running process, counted by strace while something else keeps it busy.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    process::output,
    step::{Outcome, Problem},
};

/// The number of calls of each system call, most frequent first.
pub(crate) type Counts = Vec<(String, u64)>;

/// Counts the system calls of process `pid` and all its threads for as long as `work` takes.
pub(crate) fn count<T>(
    pid: u32,
    table: &Path,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<(T, Counts)> {
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-o"])
        .arg(table)
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Problem::new(format!("strace does not start: {e}")))?;
    let mut line = String::new();
    let mut attached = false;
    if let Some(stderr) = strace.stderr.take() {
        let mut stderr = BufReader::new(stderr);
        while !attached && stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
            attached = line.contains(" attached");
        }
        // strace prints more when threads start and end; its pipe must not fill up and block it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    }
    let worked = if attached {
        work()
    } else {
        Err(Problem::new(format!(
            "strace cannot watch process {pid}: {}",
            line.trim()
        ))
        .next("run as root, or allow it with: sudo sysctl kernel.yama.ptrace_scope=0"))
    };
    // An interrupt makes strace detach from the process and write its table.
    let interrupted = output(Command::new("kill").args(["-INT", &strace.id().to_string()]));
    if interrupted.is_err() {
        let _ = strace.kill();
    }
    let _ = strace.wait();
    let worked = worked?;
    let text =
        fs::read_to_string(table).map_err(|e| Problem::new(format!("{}: {e}", table.display())))?;
    Ok((worked, parse(&text)))
}

/// Reads the table of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn parse(table: &str) -> Counts {
    let mut counts: Counts = table
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (calls, name) = (columns.get(3)?.parse().ok()?, *columns.last()?);
            (columns.len() >= 5 && name != "total").then(|| (name.to_owned(), calls))
        })
        .collect();
    counts.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    counts
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_table_of_strace_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.060000           1     50000      1000 recvfrom
 40.00    0.040000           1     40000           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.100000           1     90000      1000 total
";
        assert_eq!(
            super::parse(table),
            [("recvfrom".to_owned(), 50000), ("sendto".to_owned(), 40000)]
        );
        assert!(super::parse("").is_empty());
    }
}
