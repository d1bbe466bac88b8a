//! The page for developers names only files and functions that exist.

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
