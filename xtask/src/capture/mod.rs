//! `cargo xtask capture`: terminal sessions in documents, from real runs.
//!
//! A document has its session between two marks. The output of the commands is put there, without the parts that differ
//! every time.

mod readme;
mod tour;
mod webhook;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    paths,
    process::{cargo, run},
    selection,
    step::{Outcome, Problem, step},
};

const BEGIN: &str = "<!-- capture: `cargo xtask capture` writes this -->\n```console\n";
const END: &str = "```\n<!-- end of capture -->";

/// A page with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Page {
    Webhooks,
    ComponentsTour,
    Readme,
}

#[derive(Debug, Args)]
pub(crate) struct Capture {
    /// Pages to write [default: all]
    #[arg(conflicts_with = "check")]
    pages: Vec<Page>,
    /// Write nothing, and fail if the session in the page of webhooks is out of date
    #[arg(long)]
    check: bool,
    /// Use this program, and build none
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run_capture(capture: &Capture) -> Outcome {
    let iof = program(capture.binary.as_deref())?;
    let is_chosen = |page| capture.pages.is_empty() || capture.pages.contains(&page);
    if is_chosen(Page::Webhooks) {
        let webhooks = Document::open("docs/guide/webhooks.md")?;
        let typed = step("type the lines of the webhook", || {
            webhook::session(&iof, &webhooks.text)
        })?;
        if capture.check {
            return webhooks.compare(&typed);
        }
        webhooks.put(&typed)?;
    }
    if is_chosen(Page::ComponentsTour) {
        let tour = Document::open("docs/guide/components-tour.md")?;
        let typed = step("type the lines of the tour of components", || {
            tour::session(&iof)
        })?;
        tour.put(&typed)?;
    }
    if is_chosen(Page::Readme) {
        let readme = Document::open("README.md")?;
        readme.put(&step("type the three commands of the README", || {
            readme::session(&iof)
        })?)?;
    }
    Ok(())
}

/// The program that is meant: the given one, or that of this tree, which is built.
pub(crate) fn program(binary: Option<&Path>) -> Outcome<PathBuf> {
    match binary {
        Some(binary) => fs::canonicalize(binary).map_err(|e| failed(binary, &e)),
        None => built(),
    }
}

fn built() -> Outcome<PathBuf> {
    step("build iof", || {
        run(cargo()
            .args(["build", "--bins"])
            .args(selection::DEMO)
            .current_dir(paths::root()))
    })?;
    Ok(paths::target().join("debug/iof"))
}

/// A document with a session.
struct Document {
    file: PathBuf,
    text: String,
}

impl Document {
    fn open(name: &str) -> Outcome<Self> {
        let file = paths::root().join(name);
        let text = fs::read_to_string(&file).map_err(|e| failed(&file, &e))?;
        Ok(Self { file, text })
    }

    /// The text before the session, the session, and the text behind it.
    fn parts(&self) -> Outcome<(&str, &str, &str)> {
        let missing = || {
            Problem::new(format!(
                "{} has no marks for a session",
                self.file.display()
            ))
        };
        let (before, rest) = self.text.split_once(BEGIN).ok_or_else(missing)?;
        let (session, after) = rest.split_once(END).ok_or_else(missing)?;
        Ok((before, session, after))
    }

    fn put(&self, session: &str) -> Outcome {
        let (before, _, after) = self.parts()?;
        let text = format!("{before}{BEGIN}{session}{END}{after}");
        fs::write(&self.file, text).map_err(|e| failed(&self.file, &e))?;
        print!("{session}");
        Ok(())
    }

    fn compare(&self, session: &str) -> Outcome {
        let (_, before, _) = self.parts()?;
        if before == session {
            return Ok(());
        }
        let stale = format!(
            "the session in {} is out of date. Its current text is:\n{session}",
            self.file.display()
        );
        Err(Problem::new(stale).next("write it by `cargo xtask capture`"))
    }
}

fn failed(file: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!("{}: {error}", file.display()))
}
