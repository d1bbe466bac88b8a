//! `cargo xtask bench saves`: the loop of an author, from a saved file to the served function.
//!
//! `iof dev` prints a line at each step, and this bench takes the time of each line. The time of cargo depends on the
//! compiler and the project, so it is reported separately.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use super::{build, median};
use crate::{
    process::output,
    step::{Outcome, Problem, step},
};

/// The time limit of a first build, which compiles the dependencies of functions.
const PATIENCE: Duration = Duration::from_secs(600);

/// `iof dev` in a project of its own, and the lines that it prints with their times.
struct Dev {
    source: PathBuf,
    child: Child,
    lines: Receiver<(Instant, String)>,
    _home: tempfile::TempDir,
}

impl Dev {
    fn start(program: &Path) -> Outcome<Self> {
        let home = tempfile::tempdir().map_err(Problem::new)?;
        let iof = |folder: &Path, args: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(args)
                .current_dir(folder)
                .env("XDG_CONFIG_HOME", home.path());
            command
        };
        output(&mut iof(home.path(), &["new", "hello"]))?;
        let project = home.path().join("hello");
        let mut child = iof(&project, &["dev", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Problem::new)?;
        let (tell, lines) = channel();
        let stdout = child
            .stdout
            .take()
            .map(|one| Box::new(one) as Box<dyn Read + Send>);
        let stderr = child
            .stderr
            .take()
            .map(|one| Box::new(one) as Box<dyn Read + Send>);
        for stream in [stdout, stderr].into_iter().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = tell.send((Instant::now(), line));
                }
            });
        }
        let dev = Self {
            source: project.join("src/lib.rs"),
            child,
            lines,
            _home: home,
        };
        dev.line("runs, ")?;
        dev.line("or  ")?;
        Ok(dev)
    }

    /// The time of the next line that has these words.
    fn line(&self, words: &str) -> Outcome<Instant> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (at, line) = self
                .lines
                .recv_timeout(left)
                .map_err(|_| Problem::new(format!("iof dev did not print {words:?}")))?;
            if line.contains(words) {
                return Ok(at);
            }
        }
    }

    /// Saves a change, and returns the seconds from the save to the served function, and the part of cargo in them.
    fn save(&self, number: u32) -> Outcome<(f64, f64)> {
        let text = fs::read_to_string(&self.source).map_err(Problem::new)?;
        let text = text.split("// save").next().unwrap_or_default();
        let text =
            format!("{text}// save\n#[iof::function]\nfn save_{number}() -> u32 {{ {number} }}\n");
        let saved = Instant::now();
        fs::write(&self.source, text).map_err(Problem::new)?;
        let began = self.line("$ cargo ")?;
        let built = self.line("Finished ")?;
        let served = self.line("runs, ")?;
        let seconds = |from: Instant, to: Instant| (to - from).as_secs_f64();
        Ok((seconds(saved, served), seconds(began, built)))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Saves in turns, in a project of each program.
pub(crate) fn saves(rounds: u32, mut programs: Vec<PathBuf>) -> Outcome {
    if programs.is_empty() {
        programs.push(build()?.join("iof"));
    }
    let mut devs = vec![];
    for program in &programs {
        step(
            &format!("a project, served by {}", program.display()),
            || {
                devs.push(Dev::start(program)?);
                Ok(())
            },
        )?;
    }
    let mut times = vec![(vec![], vec![]); devs.len()];
    step(&format!("{rounds} saves of each"), || {
        for number in 0..rounds {
            for (dev, (all, cargo)) in devs.iter().zip(&mut times) {
                let (total, of_cargo) = dev.save(number)?;
                all.push(total);
                cargo.push(of_cargo);
                // The background work after a save has ended by then.
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Ok(())
    })?;
    for (program, (all, cargo)) in programs.iter().zip(&mut times) {
        let mut beside: Vec<f64> = all.iter().zip(&*cargo).map(|(all, of)| all - of).collect();
        println!(
            "   {}: save to served {:.0} ms, of cargo {:.0}, beside it {:.0} (medians)",
            program.display(),
            median(all) * 1e3,
            median(cargo) * 1e3,
            median(&mut beside) * 1e3
        );
    }
    Ok(())
}
