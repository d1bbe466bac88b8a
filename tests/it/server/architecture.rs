//! The page for developers names only files and functions that exist, and the code keeps rules of the house that no compiler knows.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts between backticks.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_life_of_a_call_names_existing_functions() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let life = page.split("## The life of a call").nth(1).unwrap();
    let life = life.split("\n## ").next().unwrap();
    let steps: Vec<_> = life
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("`: `"))
        .collect();
    assert!((10..=12).contains(&steps.len()), "{} steps", steps.len());
    for step in steps {
        let names = quoted(step);
        let [.., file, name] = names.as_slice() else {
            panic!("no file and name: {step}");
        };
        let code =
            fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let defined = ["fn", "struct", "impl"].iter().any(|word| {
            code.match_indices(&format!("{word} {name}"))
                .any(|(at, found)| {
                    let next = code[at + found.len()..].chars().next();
                    next.is_some_and(|next| !next.is_alphanumeric() && next != '_')
                })
        });
        assert!(defined, "{file} does not define {name}");
    }
}

#[test]
fn paths_of_the_page_exist() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let paths = quoted(&page)
        .into_iter()
        .filter(|path| path.starts_with("crates/") || path.starts_with("tests/"));
    let mut count = 0;
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
        count += 1;
    }
    assert!(count > 20);
}

/// All files below a folder of the repository whose names end so, without those of builds.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let (mut files, mut open) = (vec![], vec![root().join(folder)]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") {
                    open.push(path);
                }
            } else if path.to_string_lossy().ends_with(end) {
                files.push(path);
            }
        }
    }
    files
}

/// The first line of each doc comment, with its number.
fn first_lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut before = None;
    code.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.trim_start();
        let here = line.strip_prefix("///").or(line.strip_prefix("//!"));
        let first = here.filter(|_| before.is_none());
        before = here;
        Some((at + 1, first?.trim()))
    })
}

/// A doc comment begins with the noun or verb of its subject, which a question word hides.
#[test]
fn no_doc_comment_begins_with_a_question_word() {
    const WORDS: [&str; 7] = ["What", "Where", "How", "Who", "Whether", "When", "Which"];
    let mut wrong = vec![];
    let mut count = 0;
    for folder in ["crates", "tests", "xtask", "fuzz", "benches", "examples"] {
        for file in files(folder, ".rs") {
            let code = fs::read_to_string(&file).unwrap();
            for (line, text) in first_lines(&code) {
                count += 1;
                let word = text.split_whitespace().next().unwrap_or_default();
                if WORDS.contains(&word) {
                    wrong.push(format!("{}:{line}: {text}", file.display()));
                }
            }
        }
    }
    assert!(count > 5_000, "{count} doc comments");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A crate without a line there is optimised in each build of the tests, which takes minutes.
#[test]
fn every_crate_of_the_workspace_is_built_quickly_for_tests() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let profile = manifest.split("[profile.dev.package]").nth(1).unwrap();
    let profile = profile.split("\n[").next().unwrap();
    for file in files("crates", "Cargo.toml") {
        let text = fs::read_to_string(&file).unwrap();
        // Templates, and crates with a workspace of their own.
        if !text.contains("\nworkspace = true") {
            continue;
        }
        let name = text.split("name = \"").nth(1).unwrap();
        let name = name.split('"').next().unwrap();
        let line = format!("\n{name} = {{ opt-level = 0 }}");
        assert!(profile.contains(&line), "{name} is missing");
    }
}
