//! The grants of a version, as lines for people, and the difference between two versions.

use crate::escape::line;
use serde_json::Value as Json;
use std::fmt::Write;

/// The declaration of a version, one line for each grant; `None` if it has none and gets the server's defaults.
pub(crate) fn lines(version: &Json) -> Option<Vec<String>> {
    let declared = version["declaration"].as_object()?;
    let mut lines = vec![];
    for (field, value) in declared {
        match (field.as_str(), value) {
            ("outbound", Json::Array(rules)) => lines.extend(rules.iter().filter_map(text)),
            ("commands", Json::Array(names)) => {
                let names = names.iter().filter_map(text);
                lines.extend(names.map(|name| format!("command {name}")));
            }
            ("storage", Json::Bool(true)) => lines.push("storage".into()),
            ("secrets", Json::Array(secrets)) => {
                lines.extend(secrets.iter().map(secret));
            }
            ("limits", Json::Object(limits)) => {
                let limits = limits.iter().filter(|(_, value)| !value.is_null());
                lines.extend(
                    limits.map(|(name, value)| format!("limits.{} = {}", line(name), plain(value))),
                );
            }
            ("callers_may", Json::Array(may)) => {
                lines.extend(
                    may.iter()
                        .filter_map(text)
                        .map(|what| format!("callers may {what}")),
                );
            }
            ("variables", Json::Object(variables)) => {
                let set = variables.iter();
                lines.extend(set.map(|(name, value)| format!("{} = {}", line(name), plain(value))));
            }
            // Fields that are absent or have no effect.
            (_, Json::Null | Json::Bool(false)) => {}
            ("record", Json::String(off)) if off == "off" => {}
            (field, value) => lines.push(format!("{} = {}", line(field), plain(value))),
        }
    }
    Some(lines)
}

fn text(value: &Json) -> Option<String> {
    value.as_str().map(|text| line(text).into_owned())
}

fn plain(value: &Json) -> String {
    text(value).unwrap_or_else(|| line(&value.to_string()).into_owned())
}

/// A secret, its location, and the requests to which it is added.
fn secret(secret: &Json) -> String {
    let place = ["header", "query", "basic"]
        .into_iter()
        .find_map(|place| Some(format!("{place} {}", text(&secret[place])?)));
    format!(
        "secret {} in {} of {}",
        plain(&secret["value"]),
        place.unwrap_or_default(),
        plain(&secret["to"])
    )
}

/// The grants of one version, under a title.
pub(crate) fn describe(version: &Json) -> String {
    let Some(lines) = lines(version) else {
        return format!(
            "  what the server grants by default ([defaults]); as shipped {}\n",
            iof_server::AS_SHIPPED
        );
    };
    match lines.as_slice() {
        [] => "  nothing\n".to_owned(),
        lines => lines.iter().map(|line| format!("  {line}\n")).collect(),
    }
}

/// The differing lines of two versions: `-` for those of the earlier one, `+` for those of the later one.
pub(crate) fn difference(before: &Json, after: &Json) -> String {
    let defaults = || vec!["what the server grants by default ([defaults])".to_owned()];
    let before = lines(before).unwrap_or_else(defaults);
    let after = lines(after).unwrap_or_else(defaults);
    let mut text = String::new();
    for gone in before.iter().filter(|line| !after.contains(line)) {
        let _ = writeln!(text, "  - {gone}");
    }
    for new in after.iter().filter(|line| !before.contains(line)) {
        let _ = writeln!(text, "  + {new}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_different_is_a_line_each() {
        let before = json!({"declaration": {"commands": ["http_proxy"], "outbound": ["GET https://a.test"], "storage": true, "record": "off"}});
        let after = json!({"declaration": {"commands": ["http_proxy"], "outbound": ["POST https://a.test"], "storage": false, "rate": 5,
            "secrets": [{"value": "Bearer {T}", "header": "authorization", "to": "* https://a.test"}]}});
        assert_eq!(
            difference(&before, &after),
            "  - GET https://a.test\n  - storage\n  + POST https://a.test\n  + rate = 5\n  + secret Bearer {T} in header authorization of * https://a.test\n"
        );
        assert_eq!(difference(&before, &before), "");
        let none = json!({"declaration": null});
        assert!(difference(&none, &before).contains("- what the server grants by default"));
        assert_eq!(describe(&json!({"declaration": {}})), "  nothing\n");
    }
}
