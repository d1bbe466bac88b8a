//! The table `[build]` of `function.toml`: the tool that makes a component or a program of a folder.
//!
//! The table says it, and nothing is guessed from the files of a folder: a `package.json` beside a crate is often that of a
//! page. A server leaves the table out of what it keeps.

use crate::{Error, names};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The file that has the table.
const FILE: &str = "function.toml";

/// A tool that makes WebAssembly of other languages than Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tool {
    /// JavaScript and TypeScript on StarlingMonkey, with `fetch`.
    ComponentizeJs,
    /// JavaScript and TypeScript on QuickJS, for worlds of typed functions.
    ComponentizeQjs,
    /// Python.
    ComponentizePy,
    /// Go, as a program.
    Go,
    /// C by the compiler of Zig, as a program.
    ZigCc,
}

impl Tool {
    /// Its name in `function.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComponentizeJs => "componentize-js",
            Self::ComponentizeQjs => "componentize-qjs",
            Self::ComponentizePy => "componentize-py",
            Self::Go => "go",
            Self::ZigCc => "zig-cc",
        }
    }

    /// Returns true if it makes components of a world, and false if it makes programs.
    #[must_use]
    pub fn makes_components(self) -> bool {
        !matches!(self, Self::Go | Self::ZigCc)
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The part of `function.toml` that this crate reads.
#[derive(Deserialize)]
struct File {
    build: Option<toml::Table>,
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    with: Tool,
    source: String,
    wit: Option<String>,
    world: Option<String>,
}

/// A project with a table `[build]`.
#[derive(Clone, Debug)]
pub(crate) struct ToolProject {
    /// The name of the function.
    pub(crate) name: String,
    pub(crate) tool: Tool,
    /// Its folder, with `function.toml`.
    pub(crate) folder: PathBuf,
    /// The source below the folder: a file, or a folder for Go and C.
    pub(crate) source: String,
    /// The folder of WIT and the name of the world, for components.
    pub(crate) world: Option<(String, String)>,
}

impl ToolProject {
    /// Checks that a package that was asked for is this project.
    ///
    /// # Errors
    /// [`Error::Package`].
    pub(crate) fn is_named(&self, package: Option<&str>) -> Result<(), Error> {
        match package {
            Some(package) if package != self.name => Err(Error::Package {
                what: format!("the package is unknown: got `{package}`"),
                packages: self.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Reads the table of a folder; `None` if it has none.
    ///
    /// # Errors
    /// [`Error::Table`], with the field; [`Error::File`].
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(&file)(error)),
        };
        let is_crate = folder.join("Cargo.toml").is_file();
        let table = match toml::from_str::<File>(&text) {
            Ok(File { build: None }) => return Ok(None),
            Ok(File { build: Some(table) }) => table,
            // The server says what is wrong with the declaration of a crate.
            Err(_) if is_crate => return Ok(None),
            Err(error) => return Err(wrong(&file, error.message())),
        };
        if is_crate {
            let why = "a crate is built as its Cargo.toml says. Remove the table, or Cargo.toml";
            return Err(wrong(&file, why));
        }
        let table: Table = table
            .try_into()
            .map_err(|error: toml::de::Error| wrong(&file, error.message()))?;
        table
            .checked(folder)
            .map_err(|why| wrong(&file, &why))
            .map(Some)
    }
}

impl Table {
    fn checked(self, folder: &Path) -> Result<ToolProject, String> {
        names::check(&self.name).map_err(|error| format!("name: {error}"))?;
        let source = inside("source", self.source)?;
        let world = match (self.with.makes_components(), self.wit, self.world) {
            (true, wit, Some(world)) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_:/@.".contains(c);
                if !world.starts_with(|c: char| c.is_ascii_lowercase()) || !world.chars().all(plain)
                {
                    return Err(format!(
                        "world: not a name of a world: got {world:?}. Write one of WIT, such as app"
                    ));
                }
                Some((inside("wit", wit.unwrap_or_else(|| "wit".into()))?, world))
            }
            (true, _, None) => {
                return Err(format!(
                    "world: missing for {}. Name the world of the WIT package that the component has",
                    self.with
                ));
            }
            (false, None, None) => None,
            (false, ..) => {
                return Err(format!(
                    "wit, world: {} makes a program, which has no world of its own. Leave them out",
                    self.with
                ));
            }
        };
        Ok(ToolProject {
            name: self.name,
            tool: self.with,
            folder: folder.to_owned(),
            source,
            world,
        })
    }
}

/// A path that stays in the project, and that no program takes for an option.
fn inside(field: &str, path: String) -> Result<String, String> {
    let parts = Path::new(&path).components();
    let stays = parts
        .clone()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match stays && parts.count() > 0 && !path.starts_with('-') {
        true => Ok(path),
        false => Err(format!(
            "{field}: not a path in the project: got {path:?}. Write one below the folder of function.toml"
        )),
    }
}

fn wrong(file: &Path, why: &str) -> Error {
    Error::Table {
        file: file.to_owned(),
        why: why.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<ToolProject>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        ToolProject::read(folder.path()).map_err(|error| error.to_string())
    }

    const JS: &str =
        "[build]\nname = \"hello\"\nwith = \"componentize-js\"\nsource = \"src/app.js\"\n";

    #[test]
    fn the_table_names_the_tool_the_source_and_the_world() {
        let project = read(&format!("{JS}world = \"app\"\n")).unwrap().unwrap();
        assert_eq!(
            (project.tool, &*project.source),
            (Tool::ComponentizeJs, "src/app.js")
        );
        assert_eq!(project.world, Some(("wit".into(), "app".into())));
        let go = JS
            .replace("componentize-js", "go")
            .replace("src/app.js", ".");
        assert_eq!(read(&go).unwrap().unwrap().world, None);
        assert!(read("storage = true\n").unwrap().is_none());
    }

    #[test]
    fn what_the_table_cannot_say_is_refused_by_its_name() {
        let world = |world: &str| format!("{JS}world = {world:?}\n");
        for (text, words) in [
            (JS.to_owned(), "world: missing for componentize-js"),
            (world("-app"), "world: not a name of a world"),
            (world("$(id)"), "world: not a name of a world"),
            (
                world("app") + "wit = \"../wit\"\n",
                "wit: not a path in the project",
            ),
            (
                world("app").replace("src/app.js", "/etc/passwd"),
                "source: not a path in the project",
            ),
            (
                world("app").replace("src/app.js", "--eval"),
                "source: not a path in the project",
            ),
            (
                world("app").replace("src/app.js", ""),
                "source: not a path in the project",
            ),
            (world("app").replace("\"hello\"", "\"a b\""), "name: "),
            (
                world("app").replace("componentize-js", "make"),
                "unknown variant `make`",
            ),
            (world("app") + "flags = \"x\"\n", "unknown field `flags`"),
            (
                world("app").replace("componentize-js", "zig-cc"),
                "zig-cc makes a program",
            ),
            ("[build\n".to_owned(), "function.toml: [build]: "),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_crate_has_no_table() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join(FILE), JS).unwrap();
        let error = ToolProject::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("a crate is built as its Cargo.toml says"),
            "{error}"
        );
    }
}
