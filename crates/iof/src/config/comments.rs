//! `--print-config --commented`: each setting with its description.
//!
//! The descriptions are the doc comments of the settings, read from the source, because a second list could differ from
//! them.

use std::collections::HashMap;

/// A table of settings, its struct, and the source file of the struct.
const STRUCTS: &[(&str, &str, &str)] = &[
    ("", "Config", include_str!("mod.rs")),
    ("auth", "Auth", SETTINGS),
    ("tls", "Tls", SETTINGS),
    ("tls.acme", "Acme", SETTINGS),
    (
        "store",
        "StoreSettings",
        include_str!("../../../store/src/settings.rs"),
    ),
    ("server", "Settings", SETTINGS),
    ("jobs", "JobSettings", SETTINGS),
    ("second_state", "SecondState", SETTINGS),
    ("records", "RecordSettings", SETTINGS),
    ("metrics", "MetricsSettings", SETTINGS),
    (
        "otlp",
        "OtlpSettings",
        include_str!("../../../server/src/otlp/settings.rs"),
    ),
    ("console", "ConsoleSettings", SETTINGS),
    ("secrets", "Secrets", SETTINGS),
    ("limits", "Limits", LIMITS),
    ("compile", "CompileLimits", LIMITS),
    (
        "egress",
        "Config",
        include_str!("../../../egress/src/config.rs"),
    ),
    ("defaults", "Grants", GRANTS),
    ("ceiling", "Grants", GRANTS),
    #[cfg(feature = "infer")]
    (
        "infer",
        "Config",
        include_str!("../../../infer/src/config.rs"),
    ),
];
const SETTINGS: &str = include_str!("../../../server/src/settings.rs");
const LIMITS: &str = include_str!("../../../engine/src/limits.rs");
const GRANTS: &str = include_str!("../../../command/src/call.rs");

/// Adds the comments to settings that are written as TOML.
pub(super) fn add(toml: &str) -> String {
    let comments = comments();
    let (mut table, mut text) = (String::new(), String::new());
    for line in toml.lines() {
        let name = if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']).to_owned();
            table.clone()
        } else {
            let field = line.split_once(" = ").map_or("", |(field, _)| field);
            match table.as_str() {
                "" => field.to_owned(),
                table => format!("{table}.{field}"),
            }
        };
        for comment in comments.get(&name).into_iter().flatten() {
            text += &format!("# {comment}\n");
        }
        text += line;
        text.push('\n');
    }
    text
}

/// The comment of each setting, by its name, as lines.
fn comments() -> HashMap<String, Vec<String>> {
    let mut comments = HashMap::new();
    for (table, name, source) in STRUCTS {
        let start = format!("struct {name} {{");
        let fields = source.split_once(&start).map_or("", |(_, rest)| rest);
        let fields = fields.split_once("\n}").map_or("", |(fields, _)| fields);
        let mut lines: Vec<String> = vec![];
        for line in fields.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("///") {
                lines.push(plain(comment.trim()));
            } else if let Some((field, _)) = line.split_once(':')
                && let Some(field) = field.split_whitespace().last()
                && !line.starts_with("#[")
            {
                let name = match *table {
                    "" => field.to_owned(),
                    table => format!("{table}.{field}"),
                };
                comments.insert(name, std::mem::take(&mut lines));
            }
        }
    }
    comments
}

/// A line of a comment without the links of the code's documentation.
fn plain(comment: &str) -> String {
    comment.replace("[`", "`").replace("`]", "`")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn every_setting_has_its_comment_and_the_rest_is_as_it_was() {
        let plain = Config::default().to_toml(false);
        let text = Config::default().to_toml(true);
        let mut before = "";
        for line in text.lines() {
            let is_setting = line.contains(" = ") && !line.starts_with('#');
            assert!(!is_setting || before.starts_with("# "), "{line}");
            before = line;
        }
        let settings = text.lines().filter(|line| !line.starts_with("# "));
        assert!(settings.eq(plain.lines()));
        assert!(text.contains("# The address to listen on.\n"), "{text}");
    }
}
