//! A second project uses the compiled dependencies of the first one, and nothing else of it.

use iof_tests::guests;
use iof_tests::server::program;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

struct Author {
    folder: PathBuf,
}

impl Author {
    /// An author without a shared target directory, and with an empty folder of caches.
    fn new() -> Self {
        let folder = guests::built("tmp/compiled");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn iof(&self, folder: &Path, args: &[&str]) -> (String, String) {
        let mut command = Command::new(program());
        for name in [
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_BUILD_DIR",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
        ] {
            command.env_remove(name);
        }
        let output = command
            .args(args)
            .current_dir(folder)
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
            .env("XDG_CONFIG_HOME", &self.folder)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{stdout}{stderr}");
        (stdout, stderr)
    }

    /// Builds a new project; returns the built module, and the names of the crates that were compiled.
    fn builds(&self, place: &str, function: &str) -> (Value, Vec<String>) {
        let place = self.folder.join(place);
        fs::create_dir_all(&place).unwrap();
        self.iof(&place, &["new", "same"]);
        let project = place.join("same");
        let source = format!("#[iof::function]\nfn {function}() -> u32 {{ 1 }}\n");
        fs::write(project.join("src/lib.rs"), source).unwrap();
        // The source is older than the build of the other project.
        let mut open = vec![project.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let file = File::options().write(true).open(path).unwrap();
                    let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
                    file.set_modified(long_ago).unwrap();
                }
            }
        }
        let (output, stderr) = self.iof(&project, &["build", "--json"]);
        let compiled = stderr.lines().filter_map(|line| {
            let line = line.trim().strip_prefix("Compiling ")?;
            Some(line.split(' ').next()?.to_owned())
        });
        (serde_json::from_str(&output).unwrap(), compiled.collect())
    }
}

/// All files below a folder, by their names.
fn files(folder: &Path) -> Vec<String> {
    let (mut files, mut open) = (vec![], vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            files.push(path.file_name().unwrap().to_string_lossy().into_owned());
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    files
}

#[test]
fn dependencies_are_compiled_once_for_all_projects() {
    let author = Author::new();
    let (first, compiled) = author.builds("one", "first");
    assert!(compiled.contains(&"serde_core".to_owned()), "{compiled:?}");
    let cache = author.folder.join("cache/iof/compiled");
    let compilers: Vec<_> = fs::read_dir(&cache).unwrap().collect();
    assert_eq!(compilers.len(), 1, "{compilers:?}");
    let cache = files(&cache);
    assert!(
        cache.iter().any(|name| name.starts_with("libserde_core-")),
        "{cache:?}"
    );
    for own in ["same", "iof_guest", "iof-guest", "libiof_guest"] {
        assert!(
            !cache.iter().any(|name| name.starts_with(own)),
            "{own}: {cache:?}"
        );
    }

    // A project of the same name, older than the cache: cargo must not take it for the first one.
    let (second, compiled) = author.builds("two", "second");
    let mut compiled = compiled;
    compiled.sort();
    assert_eq!(
        compiled,
        ["iof-guest", "iof-guest-macros", "same"],
        "{compiled:?}"
    );
    let exports = |built: &Value| built["exports"].to_string();
    assert!(exports(&first).contains("\"first\""), "{first}");
    assert!(
        exports(&second).contains("\"second\"") && !exports(&second).contains("\"first\""),
        "{second}"
    );
}
