//! The embedded files: templates, the crates that are copied into projects, and the stand-in for 2020.

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
    RustHttp,
    /// A crate as the articles of 2020 wrote it.
    Rust2020,
}

impl Template {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Rust, Self::RustJson, Self::RustHttp, Self::Rust2020];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::RustJson => "rust-json",
            Self::RustHttp => "rust-http",
            Self::Rust2020 => "rust-2020",
        }
    }

    /// Its description, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Rust => "text in, text out",
            Self::RustJson => "JSON in and out, described by a JSON Schema",
            Self::RustHttp => "a request to a web service",
            Self::Rust2020 => "as the articles of 2020 wrote it, with wasm-bindgen 0.2.61",
        }
    }

    pub(crate) fn files(self) -> &'static [Embedded] {
        match self {
            Self::Rust => RUST,
            Self::RustJson => RUST_JSON,
            Self::RustHttp => RUST_HTTP,
            Self::Rust2020 => RUST_2020,
        }
    }

    /// The crates that its projects get: their folders, and their files.
    pub(crate) fn crates(self) -> &'static [(&'static str, &'static [Embedded])] {
        match self {
            Self::Rust2020 => &[("stand-in", COMPAT)],
            _ => &[("iof-guest", GUEST), ("iof-guest-macros", GUEST_MACROS)],
        }
    }

    /// The call of its function, for the last of the suggested commands.
    pub(crate) fn call(self) -> (&'static str, &'static str) {
        match self {
            Self::Rust => ("greet", "Ada"),
            Self::RustJson => (
                "total",
                r#"-d '{"order":{"items":[{"name":"tea","price":450,"count":2}],"discount":10}}'"#,
            ),
            Self::RustHttp => ("look_up", "tea"),
            Self::Rust2020 => ("say", "Ada"),
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
            note: match name.to_ascii_lowercase().as_str() {
                "js" | "javascript" | "ts" | "typescript" | "node" | "py" | "python" => {
                    " yet: functions are written in Rust so far"
                }
                _ => "",
            },
            known: Self::ALL
                .map(|template| format!("{} ({})", template.as_str(), template.about()))
                .join(", "),
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
            let crates = template.crates().iter().flat_map(|(_, files)| files.iter());
            for file in template.files().iter().chain(crates).chain(WORKSPACE) {
                let text = String::from_utf8_lossy(file.bytes);
                assert!(!text.contains("iof-guest = \""), "{}", file.path);
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
        assert!(seen > 10, "{seen} manifests");
    }
}
