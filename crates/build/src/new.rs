//! `iof new`: a folder that builds, with everything that it needs from us inside.
//!
//! The crate `iof-guest` is copied in, so that a project builds without a registry that has it and keeps building when
//! iof is replaced. The folder is made under another name and renamed: it is there as a whole or not at all.

use crate::files::Held;
use crate::templates::Template;
use crate::{Error, files};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A project that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Created {
    /// Where it is.
    pub folder: PathBuf,
    /// Its files, below that folder; of the crates that it was given, their folders.
    pub files: Vec<PathBuf>,
    /// What can be typed next, in this order.
    pub next: Vec<String>,
}

/// Makes the project `name` in the folder `parent`.
///
/// # Errors
/// [`Error::Name`] for what no crate can be called, [`Error::Exists`] for a folder that is there, [`Error::File`] for
/// what cannot be written. Nothing is left behind then.
pub fn new(name: &str, template: Template, parent: &Path) -> Result<Created, Error> {
    check(name)?;
    let folder = parent.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists(folder));
    }
    let _held = Held::new();
    let made = tempfile::Builder::new()
        .prefix(&format!(".{name}-"))
        .permissions(permissions())
        .tempdir_in(parent)
        .map_err(Error::file(parent))?;
    let mut listed = vec![];
    for file in template.files() {
        let path = match file.path {
            // Embedded under names that mean nothing to git and cargo.
            "gitignore" => ".gitignore",
            "cargo-config.toml" => ".cargo/config.toml",
            path => path,
        };
        let text = String::from_utf8_lossy(file.bytes)
            .replace("__NAME__", name)
            .replace("__CRATE__", &crate_name(name));
        files::write(&made.path().join(path), text.as_bytes())?;
        listed.push(path.into());
    }
    for (place, files) in template.crates() {
        for file in *files {
            let path = made.path().join(place).join(file.path);
            files::write(&path, &moved(file.path, file.bytes))?;
        }
        listed.push(PathBuf::from(place).join(""));
    }
    fs::rename(made.path(), &folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::DirectoryNotEmpty => {
            Error::Exists(folder.clone())
        }
        _ => Error::file(&folder)(error),
    })?;
    // There is nothing of that name any more.
    let _ = made.keep();
    Ok(Created {
        next: next(name, template, parent),
        folder,
        files: listed,
    })
}

/// In a project the two crates lie side by side under the names of their packages.
fn moved(path: &str, bytes: &[u8]) -> Vec<u8> {
    if path != "Cargo.toml" {
        return bytes.to_vec();
    }
    let text = String::from_utf8_lossy(bytes);
    text.replace("\"../guest-macros\"", "\"../iof-guest-macros\"")
        .replace("\"../guest\"", "\"../iof-guest\"")
        .into_bytes()
}

fn next(name: &str, template: Template, parent: &Path) -> Vec<String> {
    let folder = parent.join(name);
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    let (function, argument) = template.call();
    [
        format!("cd {}", folder.display()),
        "iof dev".into(),
        format!("iof call {name} {function} {argument} --dev"),
    ]
    .into()
}

/// As rustc calls the crate.
fn crate_name(name: &str) -> String {
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

/// Whether a crate, a folder and a function can be called that.
fn check(name: &str) -> Result<(), Error> {
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
            "it holds a path: go to the folder that it is to be made in, and give the name alone{suggestion}"
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

/// As `mkdir` makes folders, below the user's mask.
fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("a/b", "give the name alone, such as `b`"),
            ("../hello", "give the name alone, such as `hello`"),
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

    #[test]
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("hello")).unwrap();
        let error = new("hello", Template::Rust, folder.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(
                "hello is there already: choose another name, or another folder to put it in"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_project_has_all_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        for template in Template::ALL {
            let name = format!("my-{}", template.as_str());
            let made = new(&name, template, folder.path()).unwrap();
            for file in [
                "Cargo.toml",
                "src/lib.rs",
                "function.toml",
                "README.md",
                ".gitignore",
            ] {
                assert!(made.folder.join(file).is_file(), "{name}: {file}");
                assert!(made.files.contains(&file.into()), "{name}: {file}");
            }
            let readme = fs::read_to_string(made.folder.join("README.md")).unwrap();
            assert!(readme.lines().count() <= 10, "{name}");
            for command in &made.next[1..] {
                assert!(readme.contains(command), "{name}: {command}\n{readme}");
            }
            for file in ["Cargo.toml", "README.md", "src/lib.rs"] {
                let text = fs::read_to_string(made.folder.join(file)).unwrap();
                assert!(!text.contains("__"), "{name}: {text}");
            }
            if template == Template::Rust2020 {
                continue;
            }
            let manifest = fs::read_to_string(made.folder.join("Cargo.toml")).unwrap();
            assert!(
                manifest.contains("\niof-guest = { path = \"iof-guest\" }\n"),
                "{manifest}"
            );
            let guest = fs::read_to_string(made.folder.join("iof-guest/Cargo.toml")).unwrap();
            assert!(guest.contains("path = \"../iof-guest-macros\""), "{guest}");
            assert!(made.folder.join("iof-guest-macros/src/lib.rs").is_file());
        }
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, Template::ALL.len());
    }

    #[test]
    fn templates_that_there_are_not_are_named() {
        let error = "js".parse::<Template>().unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no template `js` yet: functions are written in Rust so far; there are rust (text in, text out), \
             rust-json (JSON in and out, described by a JSON Schema), rust-http (a request to a web service), \
             rust-2020 (as the articles of 2020 wrote it, with wasm-bindgen 0.2.61)"
        );
        assert!(
            "go".parse::<Template>()
                .unwrap_err()
                .to_string()
                .starts_with("there is no template `go`; there are rust")
        );
    }
}
