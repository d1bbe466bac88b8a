//! The loop of an author: a saved file is served soon after cargo is done with it.

use crate::cli::dev::{Author, Running};
use std::fs;
use std::time::{Duration, Instant};

/// Saves that are measured; the median counts, because another process of the machine may delay one.
const SAVES: usize = 5;

/// The time from the save to the start of cargo, and from its end to the function that is served.
#[test]
fn a_save_is_served_within_400_milliseconds_beside_cargo() {
    let author = Author::new("saves");
    author.says(&author.folder, &["new", "saved"]);
    let project = author.folder.join("saved");
    let mut dev = Running::start(author.iof(&project, &["dev", "--listen", "127.0.0.1:0"]));
    dev.line("saved version 1 runs");
    dev.line("call it");
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let mut beside: Vec<Duration> = (0..SAVES)
        .map(|number| {
            // The background work after the last save has ended by then.
            std::thread::sleep(Duration::from_millis(500));
            let text =
                format!("{text}\n#[iof::function]\nfn save_{number}() -> u32 {{ {number} }}\n");
            let saved = Instant::now();
            fs::write(&source, text).unwrap();
            dev.line("$ cargo ");
            let began = Instant::now();
            dev.line("Finished ");
            let built = Instant::now();
            dev.line(&format!("saved version {} runs", number + 2));
            (began - saved) + built.elapsed()
        })
        .collect();
    let export = format!("save_{}", SAVES - 1);
    let called = author.says(&project, &["call", "saved", &export, "--dev"]);
    assert_eq!(called.trim(), (SAVES - 1).to_string(), "{}", dev.seen);
    assert_eq!(dev.interrupt(), Some(0), "{}", dev.seen);
    beside.sort();
    assert!(beside[SAVES / 2] < Duration::from_millis(400), "{beside:?}");
}
