//! The embedded files: templates, the crates and the packages of WIT that are copied into projects, and the stand-in for 2020.

/// A file of a folder that was embedded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embedded {
    /// The path below that folder.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The template of a new project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Template {
    /// Text in, text out.
    #[default]
    Rust,
    /// JSON in and out, described by a JSON Schema.
    RustJson,
    /// A request to a web service.
    RustRequest,
    /// A component that answers HTTP requests.
    RustHttp,
    /// A component of typed functions.
    RustTyped,
    /// JavaScript that answers HTTP requests.
    Js,
    /// Typed functions in JavaScript.
    JsTyped,
    /// TypeScript that answers HTTP requests.
    Ts,
    /// Python that answers HTTP requests.
    Python,
    /// Typed functions in Python.
    PythonTyped,
    /// A program in Go.
    Go,
    /// A program in C.
    C,
    /// A crate as the articles of 2020 wrote it.
    Rust2020,
}

/// A folder that a project gets beside its own files, and the files in it.
type Given = (&'static str, &'static [Embedded]);

/// The parts of a template.
struct Parts {
    name: &'static str,
    about: &'static str,
    files: &'static [Embedded],
    given: &'static [Given],
    call: Call,
}

/// The call of a new project, for the last of the suggested commands.
#[derive(Clone, Copy)]
enum Call {
    /// An export and its argument, as `iof call` takes them.
    Export(&'static str, &'static str),
    /// A path below `/fn/NAME`.
    Path(&'static str),
}

/// The crate of functions.
const OUR_CRATES: &[Given] = &[("iof-guest", GUEST), ("iof-guest-macros", GUEST_MACROS)];
/// The interfaces of HTTP, where a tool does not bring them.
const WASI: &[Given] = &[("wit/deps", WASI_HTTP)];

const TOTAL: Call = Call::Export(
    "total",
    r#"-d '{"items":[{"name":"tea","price":450,"count":2}],"discount":10}'"#,
);
const GREETING: Call = Call::Path("hello/Ada");
const COUNT: Call = Call::Export("main", "'one two three'");

impl Template {
    /// All of them, the default first.
    pub const ALL: [Self; 13] = [
        Self::Rust,
        Self::RustJson,
        Self::RustRequest,
        Self::RustHttp,
        Self::RustTyped,
        Self::Js,
        Self::JsTyped,
        Self::Ts,
        Self::Python,
        Self::PythonTyped,
        Self::Go,
        Self::C,
        Self::Rust2020,
    ];

    fn parts(self) -> Parts {
        let parts = |name, about, files, given, call| Parts {
            name,
            about,
            files,
            given,
            call,
        };
        match self {
            Self::Rust => parts(
                "rust",
                "text in, text out",
                RUST,
                OUR_CRATES,
                Call::Export("greet", "Ada"),
            ),
            Self::RustJson => parts(
                "rust-json",
                "JSON in and out, described by a JSON Schema",
                RUST_JSON,
                OUR_CRATES,
                Call::Export(
                    "total",
                    r#"-d '{"order":{"items":[{"name":"tea","price":450,"count":2}],"discount":10}}'"#,
                ),
            ),
            Self::RustRequest => parts(
                "rust-request",
                "a request to a web service",
                RUST_REQUEST,
                OUR_CRATES,
                Call::Export("look_up", "tea"),
            ),
            Self::RustHttp => parts(
                "rust-http",
                "a component that answers HTTP requests (wasi:http)",
                RUST_HTTP,
                &[],
                GREETING,
            ),
            Self::RustTyped => parts(
                "rust-typed",
                "a component of typed functions (WIT)",
                RUST_TYPED,
                &[],
                TOTAL,
            ),
            Self::Js => parts(
                "js",
                "JavaScript that answers HTTP requests (fetch events, StarlingMonkey)",
                JS,
                WASI,
                GREETING,
            ),
            Self::JsTyped => parts(
                "js-typed",
                "typed functions in JavaScript (WIT, QuickJS)",
                JS_TYPED,
                &[],
                TOTAL,
            ),
            Self::Ts => parts(
                "ts",
                "TypeScript that answers HTTP requests (fetch events, StarlingMonkey)",
                TS,
                WASI,
                GREETING,
            ),
            Self::Python => parts(
                "python",
                "Python that answers HTTP requests (wasi:http)",
                PYTHON,
                WASI,
                GREETING,
            ),
            Self::PythonTyped => parts(
                "python-typed",
                "typed functions in Python (WIT)",
                PYTHON_TYPED,
                &[],
                TOTAL,
            ),
            Self::Go => parts("go", "a program in Go", GO, &[], COUNT),
            Self::C => parts("c", "a program in C", C, &[], COUNT),
            Self::Rust2020 => parts(
                "rust-2020",
                "as the articles of 2020 wrote it, with wasm-bindgen 0.2.61",
                RUST_2020,
                &[("stand-in", COMPAT)],
                Call::Export("say", "Ada"),
            ),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.parts().name
    }

    /// Its description, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.parts().about
    }

    pub(crate) fn files(self) -> &'static [Embedded] {
        self.parts().files
    }

    /// The folders that its projects get beside its files.
    pub(crate) fn given(self) -> &'static [Given] {
        self.parts().given
    }

    /// Returns true if its projects can be packages of one workspace.
    pub(crate) fn is_one_of_several(self) -> bool {
        matches!(
            self,
            Self::Rust | Self::RustJson | Self::RustRequest | Self::RustHttp | Self::RustTyped
        )
    }

    /// The command that calls the function `called` of a new project on the server of `iof dev`.
    pub(crate) fn call(self, called: &str) -> String {
        match self.parts().call {
            Call::Export(export, argument) => {
                format!("iof call {called} {export} {argument} --dev")
            }
            Call::Path(path) => format!("curl http://127.0.0.1:8787/fn/{called}/{path}"),
        }
    }
}

impl std::str::FromStr for Template {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|template| template.as_str() == name);
        found.ok_or_else(|| crate::Error::Template {
            template: name.to_owned(),
            near: match name.to_ascii_lowercase().as_str() {
                "javascript" | "node" => " (JavaScript is js, or js-typed)",
                "typescript" => " (TypeScript is ts)",
                "py" => " (Python is python, or python-typed)",
                "golang" => " (Go is go)",
                _ => "",
            },
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that a manifest takes from a registry.
    fn from_registry(manifest: &toml::Table) -> Vec<String> {
        let mut names = vec![];
        for (key, value) in manifest {
            let Some(table) = value.as_table() else {
                continue;
            };
            if key.ends_with("dependencies") {
                let is_elsewhere =
                    |of: &toml::Value| of.get("path").is_some() || of.get("workspace").is_some();
                let found = table.iter().filter(|(_, of)| !is_elsewhere(of));
                names.extend(found.map(|(name, of)| {
                    let package = of.get("package").and_then(toml::Value::as_str);
                    package.unwrap_or(name).to_owned()
                }));
            } else {
                names.extend(from_registry(table));
            }
        }
        names
    }

    /// Whoever registers a name that projects ask a registry for owns the builds of these projects. Ours come with them.
    #[test]
    fn no_project_takes_our_crates_from_a_registry() {
        let mut seen = 0;
        for template in Template::ALL {
            let crates = template.given().iter().flat_map(|(_, files)| files.iter());
            for file in template.files().iter().chain(crates).chain(WORKSPACE) {
                let text = String::from_utf8_lossy(file.bytes);
                assert!(!text.contains("iof-guest = \""), "{}", file.path);
                if file.path.ends_with("package.json") {
                    seen += 1;
                    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
                    // Nobody publishes it by accident, and nobody else's package is taken for it.
                    assert_eq!(manifest["private"], true, "{text}");
                    let ours = |name: &String| name.starts_with("iof");
                    for field in ["dependencies", "devDependencies"] {
                        let names = manifest[field].as_object().into_iter().flatten();
                        assert!(!names.map(|(name, _)| name).any(ours), "{text}");
                    }
                }
                if file.path.ends_with("requirements.txt") {
                    seen += 1;
                    assert!(!text.contains("iof"), "{text}");
                    assert!(text.contains("--hash=sha256:"), "{text}");
                }
                if !file.path.ends_with("Cargo.toml") {
                    continue;
                }
                seen += 1;
                let text = text
                    .replace("__NAME__", "name")
                    .replace("__CRATE__", "name");
                let manifest: toml::Table = text.parse().unwrap();
                for name in from_registry(&manifest) {
                    assert!(!name.starts_with("iof"), "{name} of {}", file.path);
                }
            }
        }
        assert!(seen > 20, "{seen} manifests");
    }
}
