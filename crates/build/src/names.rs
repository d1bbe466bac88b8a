//! Names of projects and functions: what a crate, a folder and a function can be called.

use crate::Error;

/// As rustc calls the crate.
pub(crate) fn crate_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Long enough for anybody, and short enough for a host name.
const LONGEST: usize = 63;

const KEYWORDS: [&str; 55] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "default", "raw",
    "safe",
];

/// Crates that a project depends on or that rustc brings: a package of the same name would hide them.
const TAKEN: [&str; 13] = [
    "alloc",
    "core",
    "iof",
    "iof_guest",
    "iof_guest_macros",
    "proc_macro",
    "schemars",
    "serde",
    "serde_json",
    "std",
    "test",
    "wasm_bindgen",
    "wasm_bindgen_macro",
];

/// True if a crate, a folder and a function can have this name.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::Name {
            name: name.to_owned(),
            why,
        })
    };
    let rule = "small letters, digits, - and _, and a letter first";
    let suggestion = suggestion(name).map_or(String::new(), |name| format!(", such as `{name}`"));
    if name.is_empty() {
        return refuse("it is empty; give one, such as `hello`".into());
    }
    if name.contains(['/', '\\']) {
        return refuse(format!(
            "it holds a path: go to the folder that it is to be made in, and give only the name{suggestion}"
        ));
    }
    if name.chars().count() > LONGEST {
        return refuse(format!(
            "it has more than {LONGEST} characters: choose a shorter one"
        ));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if let Some(other) = name.chars().find(|c| !fits(*c)) {
        return refuse(format!(
            "{other:?} is in it, and names have {rule}{suggestion}"
        ));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refuse(format!("names have {rule}{suggestion}"));
    }
    let module = crate_name(name);
    if KEYWORDS.contains(&&*module) {
        return refuse(format!(
            "it is a word of Rust: choose another, such as `{name}-function`"
        ));
    }
    if TAKEN.contains(&&*module) {
        return refuse(format!(
            "a crate that functions need is called that: choose another, such as `my-{name}`"
        ));
    }
    Ok(())
}

/// The nearest name that would do.
fn suggestion(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).find(|part| !part.is_empty())?;
    let fitting: String = last
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let fitting = fitting
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .trim_end_matches('-');
    let fitting: String = fitting.chars().take(LONGEST).collect();
    let known = fitting.is_empty()
        || fitting == name
        || KEYWORDS.contains(&&*crate_name(&fitting))
        || TAKEN.contains(&&*crate_name(&fitting));
    (!known).then_some(fitting)
}

#[cfg(test)]
mod tests {
    use crate::{Template, new};
    use std::fs;

    fn why(name: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let error = new(name, Template::Rust, folder.path()).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{name}");
        error.to_string()
    }

    #[test]
    fn names_that_no_crate_can_have_are_refused() {
        let cases = [
            ("", "it is empty; give one, such as `hello`"),
            ("a/b", "give only the name, such as `b`"),
            ("../hello", "give only the name, such as `hello`"),
            (
                "Send Mail",
                "'S' is in it, and names have small letters, digits, - and _, and a letter first, such as `send-mail`",
            ),
            ("été", "'é' is in it"),
            ("2020", "and a letter first"),
            ("-x", "and a letter first, such as `x`"),
            (
                "match",
                "it is a word of Rust: choose another, such as `match-function`",
            ),
            (
                "serde-json",
                "a crate that functions need is called that: choose another, such as `my-serde-json`",
            ),
            ("iof", "choose another, such as `my-iof`"),
            (".", "'.' is in it"),
        ];
        for (name, part) in cases {
            let why = why(name);
            assert!(why.contains(part), "{name}: {why}");
        }
        assert!(why(&"a".repeat(64)).contains("more than 63 characters"));
    }
}
