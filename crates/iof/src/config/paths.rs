//! Paths in a file of settings, which are relative to that file, independent of the working directory.
//!
//! There are two exceptions: `infer.models` is relative to the data directory, and the paths of native programs in
//! `[commands]` have to be absolute.

use std::path::Path;
use toml::{Table, Value};

/// The settings that are a path, or a list of paths.
const PATHS: [&str; 9] = [
    "data",
    "secrets.key_file",
    "store.password_file",
    "store.sources",
    "tls.certificate",
    "tls.key",
    "otlp.headers_file",
    "egress.ca_files",
    "infer.onnxruntime",
];
/// The setting that is a list of tables, and the paths of each.
const CERTIFICATES: (&str, [&str; 2]) = ("egress.client_certificate", ["certificate", "key"]);

/// Makes the paths of settings absolute, if they come from a file in `folder`.
pub(super) fn absolute(settings: &mut Table, folder: &Path) {
    for name in PATHS {
        if let Some(value) = find(settings, name) {
            join(value, folder);
        }
    }
    let (name, fields) = CERTIFICATES;
    if let Some(Value::Array(list)) = find(settings, name) {
        for table in list.iter_mut().filter_map(Value::as_table_mut) {
            for field in fields {
                if let Some(value) = table.get_mut(field) {
                    join(value, folder);
                }
            }
        }
    }
}

fn find<'a>(settings: &'a mut Table, name: &str) -> Option<&'a mut Value> {
    let (parents, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let mut table = settings;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        table = table.get_mut(parent)?.as_table_mut()?;
    }
    table.get_mut(leaf)
}

fn join(value: &mut Value, folder: &Path) {
    match value {
        // An empty path is not set.
        Value::String(path) if path.is_empty() => {}
        Value::String(path) => {
            // Joining keeps an absolute path.
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
        Value::Array(list) => list.iter_mut().for_each(|path| join(path, folder)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn relative_paths_are_of_the_folder() {
        let text = "data = \"d\"\n[secrets]\nkey_file = \"\"\n[tls]\nkey = \"/k\"\ncertificate = \"../c\"\n\
                    [egress]\nca_files = [\"a\", \"/b\"]\n[[egress.client_certificate]]\ncertificate = \"bin/x\"\nkey = \"r\"\n";
        let mut table: Table = text.parse().unwrap();
        absolute(&mut table, Path::new("/etc/iof"));
        let text = table.to_string();
        for line in [
            "data = \"/etc/iof/d\"",
            "key_file = \"\"",
            "key = \"/k\"",
            "certificate = \"/etc/iof/../c\"",
            "ca_files = [\"/etc/iof/a\", \"/b\"]",
            "certificate = \"/etc/iof/bin/x\"",
            "key = \"/etc/iof/r\"",
        ] {
            assert!(text.contains(line), "{line} is missing in: {text}");
        }
    }

    /// A setting that is named as a file, a folder, a certificate or a key is in the list, or its reason is here.
    #[test]
    fn every_path_is_in_the_list() {
        let settings = Table::try_from(Config::default()).unwrap();
        let others = [
            // Below the data directory.
            "infer.models",
            // A URL.
            "tls.acme.directory",
            // Programs name absolute paths only; this one is the number of files.
            "limits.files",
            "server.open_files",
            "limits.scratch_directories",
        ];
        let words = [
            "file",
            "files",
            "path",
            "paths",
            "folder",
            "directory",
            "directories",
            "certificate",
            "key",
            "data",
            "models",
            "library",
            "socket",
        ];
        for name in crate::config::sources::names(&settings) {
            let leaf = name.rsplit('.').next().unwrap();
            let is_path = leaf.split('_').any(|word| words.contains(&word));
            let listed =
                PATHS.contains(&&*name) || CERTIFICATES.0 == name || others.contains(&&*name);
            assert!(!is_path || listed, "{name} is not in PATHS");
        }
    }

    #[test]
    fn every_name_is_a_setting() {
        let mut settings = Table::try_from(Config::default()).unwrap();
        let names = PATHS.into_iter().chain([CERTIFICATES.0]);
        for name in names.filter(|name| cfg!(feature = "infer") || !name.starts_with("infer.")) {
            assert!(find(&mut settings, name).is_some(), "{name}");
        }
    }
}
