//! `iof new`: a folder that builds, with everything that it needs from us inside.
//!
//! The crate `iof-guest` is copied in, so that a project builds without a registry that has it and keeps building when
//! iof is replaced. The folder is made under another name and renamed: it is there as a whole or not at all.

use crate::files::SignalHold;
use crate::names::{check, crate_name};
use crate::templates::{self, Template};
use crate::{Error, files};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A project that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Created {
    /// Its folder.
    pub folder: PathBuf,
    /// Its files, below that folder; of the crates that it was given, their folders.
    pub files: Vec<PathBuf>,
    /// The commands to type next, in this order.
    pub next: Vec<String>,
}

/// Makes the project `name` in the folder `parent`.
///
/// # Errors
/// [`Error::Name`] for what no crate can be called, [`Error::Exists`] for a folder that is there, [`Error::File`] for
/// what cannot be written. Nothing is left behind then.
pub fn new(name: &str, template: Template, parent: &Path) -> Result<Created, Error> {
    check(name)?;
    let (folder, files) = make(name, parent, |made| {
        let mut listed = vec![];
        for file in template.files() {
            let path = path_of(file.path);
            files::write(&made.join(path), named(file.bytes, name).as_bytes())?;
            listed.push(path.into());
        }
        listed.extend(given(template, made)?);
        Ok(listed)
    })?;
    Ok(Created {
        next: next(name, name, template, parent),
        folder,
        files,
    })
}

/// Makes the project `name` with several functions, each a package in the folder `functions` of one workspace.
///
/// # Errors
/// As [`new`]; [`Error::Name`] for two functions of one name too, [`Error::OneFunction`] for a template that makes one.
pub fn new_workspace(
    name: &str,
    functions: &[String],
    template: Template,
    parent: &Path,
) -> Result<Created, Error> {
    check(name)?;
    for (at, function) in functions.iter().enumerate() {
        check(function)?;
        // On a server, the two are one name.
        let same = |other: &String| crate_name(other) == crate_name(function);
        if functions.iter().take(at).any(same) {
            return Err(Error::Name {
                name: function.clone(),
                why: "another function of the project is called that: choose another".into(),
            });
        }
    }
    if !template.is_one_of_several() {
        return Err(Error::OneFunction(template.as_str()));
    }
    let (folder, files) = make(name, parent, |made| {
        let mut listed = vec![];
        let mut write = |path: PathBuf, text: &str| {
            files::write(&made.join(&path), text.as_bytes())?;
            listed.push(path);
            Ok::<_, Error>(())
        };
        for file in templates::WORKSPACE {
            write(path_of(file.path).into(), &named(file.bytes, name))?;
        }
        for function in functions {
            let folder = PathBuf::from("functions").join(function);
            for file in template.files() {
                let text = named(file.bytes, function);
                match file.path {
                    // The workspace has its own.
                    "README.md" | "gitignore" => continue,
                    "Cargo.toml" => write(folder.join("Cargo.toml"), &member(&text))?,
                    path => write(folder.join(path), &text)?,
                }
            }
        }
        listed.extend(given(template, made)?);
        Ok(listed)
    })?;
    let first = functions.first().map_or(name, String::as_str);
    Ok(Created {
        next: next(name, first, template, parent),
        folder,
        files,
    })
}

/// Fills a folder under another name, and renames it; answers where it is, and what `fill` listed.
fn make(
    name: &str,
    parent: &Path,
    fill: impl FnOnce(&Path) -> Result<Vec<PathBuf>, Error>,
) -> Result<(PathBuf, Vec<PathBuf>), Error> {
    let folder = parent.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists(folder));
    }
    let _held = SignalHold::new();
    let made = tempfile::Builder::new()
        .prefix(&format!(".{name}-"))
        .permissions(permissions())
        .tempdir_in(parent)
        .map_err(Error::file(parent))?;
    let listed = fill(made.path())?;
    fs::rename(made.path(), &folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::DirectoryNotEmpty => {
            Error::Exists(folder.clone())
        }
        _ => Error::file(&folder)(error),
    })?;
    // There is nothing of that name any more.
    let _ = made.keep();
    Ok((folder, listed))
}

/// The path of a file of a template in the project: some files are embedded under names that mean nothing to git and cargo.
fn path_of(embedded: &'static str) -> &'static str {
    match embedded {
        "gitignore" => ".gitignore",
        "cargo-config.toml" => ".cargo/config.toml",
        path => path,
    }
}

/// The text of a template for a project or function of that name.
fn named(bytes: &[u8], name: &str) -> String {
    String::from_utf8_lossy(bytes)
        .replace("__NAME__", name)
        .replace("__CRATE__", &crate_name(name))
}

/// The manifest of a template as that of a package in a workspace, which has the profile.
fn member(manifest: &str) -> String {
    let own = manifest.split("\n[profile.release]").next();
    own.unwrap_or(manifest)
        .replace("\"iof-guest\"", "\"../../iof-guest\"")
}

/// Writes the folders that a project of a template gets, and lists them.
fn given(template: Template, made: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut listed = vec![];
    for (place, files) in template.given() {
        for file in *files {
            let path = made.join(place).join(file.path);
            files::write(&path, &moved(file.path, file.bytes))?;
        }
        listed.push(PathBuf::from(place).join(""));
    }
    Ok(listed)
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

fn next(name: &str, called: &str, template: Template, parent: &Path) -> Vec<String> {
    let folder = parent.join(name);
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    [
        format!("cd {}", folder.display()),
        "iof dev".into(),
        template.call(called),
    ]
    .into()
}

/// As `mkdir` makes folders, below the user's mask.
fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o777)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Place;

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
            let source = match template {
                Template::Js | Template::JsTyped => "src/app.js",
                Template::Ts => "src/app.ts",
                Template::Python | Template::PythonTyped => "app.py",
                Template::Go => "main.go",
                Template::C => "src/main.c",
                _ => "src/lib.rs",
            };
            for file in [source, "function.toml", "README.md", ".gitignore"] {
                assert!(made.folder.join(file).is_file(), "{name}: {file}");
                assert!(made.files.contains(&file.into()), "{name}: {file}");
            }
            let readme = fs::read_to_string(made.folder.join("README.md")).unwrap();
            assert!(readme.lines().count() <= 10, "{name}");
            for command in &made.next[1..] {
                assert!(readme.contains(command), "{name}: {command}\n{readme}");
            }
            for file in &made.files {
                let Ok(text) = fs::read_to_string(made.folder.join(file)) else {
                    continue;
                };
                assert!(
                    !text.contains("__NAME__") && !text.contains("__CRATE__"),
                    "{text}"
                );
            }
            let project = Place::find(&made.folder).unwrap();
            match project {
                Place::Tool(project) => assert_eq!(project.name, name),
                Place::Cargo(folder) => assert_eq!(folder, made.folder.canonicalize().unwrap()),
            }
            let wit = made.folder.join("wit");
            if wit.exists() {
                let mut resolve = wit_parser::Resolve::default();
                let (package, _) = resolve.push_dir(&wit).unwrap();
                resolve.select_world(&[package], Some("app")).unwrap();
            }
            if !made.folder.join("iof-guest").exists() {
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
        let error = "javascript".parse::<Template>().unwrap_err().to_string();
        assert_eq!(
            error,
            "the template is unknown: got `javascript` (JavaScript is js, or js-typed). Choose one of rust, rust-json, rust-request, \
             rust-http, rust-typed, js, js-typed, ts, python, python-typed, go, c, rust-2020; `iof new --list` says what \
             each makes"
        );
        assert!(
            "perl"
                .parse::<Template>()
                .unwrap_err()
                .to_string()
                .starts_with("the template is unknown: got `perl`. Choose one of rust")
        );
    }
}
