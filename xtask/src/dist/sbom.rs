//! The list of all that is compiled into the program, as CycloneDX 1.5.
//!
//! The list comes from `cargo tree`, which knows features and kinds of dependencies: it contains neither build
//! dependencies nor those of other machines. It is written by hand, because `cargo-cyclonedx` would be one more program
//! to compile and to trust.

use std::{collections::BTreeSet, fmt::Write as _, path::Path, process::Command};

use super::release::{self, Release};
use crate::{
    paths,
    process::{cargo, output},
    step::{Outcome, Problem},
};

fn write_into(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(line);
}

pub(super) fn write(of: &Release, out: &Path) -> Outcome<String> {
    let mut tree: Command = cargo();
    tree.args(["tree", "--locked", "--package=iof", "--edges=normal"])
        .args(["--prefix=none", "--format={p}\t{l}"])
        .current_dir(paths::root());
    let tree_output = output(&mut tree)?;
    let components: BTreeSet<_> = tree_output.lines().filter_map(component).collect();
    if components.is_empty() {
        return Err(Problem::new("`cargo tree` names no dependency of iof"));
    }
    let mut text = String::new();
    write_into(
        &mut text,
        format_args!(
            "{{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n  \"metadata\": {{\n    \
             \"component\": {{ \"type\": \"application\", \"bom-ref\": \"iof\", \"name\": \"iof\", \"version\": {} }}\n  }},\n  \
             \"components\": [",
            quoted(of.version)
        ),
    );
    for (index, part) in components.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let purl = format!("pkg:cargo/{}@{}", part.name, part.version);
        let licenses = match part.license.as_str() {
            "" => String::new(),
            license => format!(
                ", \"licenses\": [{{ \"expression\": {} }}]",
                quoted(&license.replace('/', " OR "))
            ),
        };
        write_into(
            &mut text,
            format_args!(
                "{comma}\n    {{ \"type\": \"library\", \"bom-ref\": {0}, \"name\": {1}, \"version\": {2}, \"purl\": {0}{licenses} }}",
                quoted(&purl),
                quoted(&part.name),
                quoted(&part.version)
            ),
        );
    }
    text.push_str("\n  ]\n}\n");
    let name = format!("iof-{}.cdx.json", of.version);
    release::write(&out.join(&name), text.as_bytes())?;
    Ok(name)
}

/// A package that is compiled in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Component {
    name: String,
    version: String,
    license: String,
}

/// Reads `name v1.2.3 (…)<tab>license`.
fn component(line: &str) -> Option<Component> {
    let (package, license) = line.split_once('\t')?;
    let mut words = package.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    (name != "iof").then(|| Component {
        name: name.to_owned(),
        version: version.to_owned(),
        license: license.trim_end_matches(" (*)").trim().to_owned(),
    })
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write_into(&mut quoted, format_args!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree_are_packages() {
        let read = component("ring v0.17.14\tApache-2.0 AND ISC (*)").unwrap();
        assert_eq!(
            (
                read.name.as_str(),
                read.version.as_str(),
                read.license.as_str()
            ),
            ("ring", "0.17.14", "Apache-2.0 AND ISC")
        );
        let own =
            component("iof-store v0.1.0 (/somewhere/crates/store)\tMIT OR Apache-2.0").unwrap();
        assert_eq!(own.version, "0.1.0");
        assert!(component("iof v0.1.0 (/x)\tMIT").is_none());
        assert!(component("").is_none());
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
