//! The types of a function, as it tells them to the host.

use crate::json::quote;

/// `{"iof":1,"name":"say","doc":"","params":[{"name":"s","type":"string"}],"result":{"type":"string"},"fallible":false}`
///
/// `doc` are the lines of its comment as the compiler has them; `params` are names and types.
pub fn describe(
    name: &str,
    doc: &[&str],
    params: &[(&str, &str)],
    result: &str,
    fallible: bool,
) -> String {
    let doc: Vec<_> = doc
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    // Every piece of it is pushed, as `format!` would bring what formats numbers into small modules.
    let mut json = String::from("{\"iof\":1,\"name\":");
    json.push_str(&quote(name));
    json.push_str(",\"doc\":");
    json.push_str(&quote(doc.join("\n").trim()));
    json.push_str(",\"params\":[");
    for (n, (name, ty)) in params.iter().enumerate() {
        json.push_str(if n == 0 { "{\"name\":" } else { ",{\"name\":" });
        json.push_str(&quote(name));
        json.push_str(",\"type\":");
        json.push_str(&quote(ty));
        json.push('}');
    }
    json.push_str("],\"result\":{\"type\":");
    json.push_str(&quote(result));
    json.push_str("},\"fallible\":");
    json.push_str(if fallible { "true}" } else { "false}" });
    json
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_of_it() {
        assert_eq!(
            super::describe(
                "say",
                &[" Greets \"you\".", "", "  And more."],
                &[("s", "string"), ("n", "u8")],
                "string",
                true
            ),
            r#"{"iof":1,"name":"say","doc":"Greets \"you\".\n\n And more.","params":[{"name":"s","type":"string"},{"name":"n","type":"u8"}],"result":{"type":"string"},"fallible":true}"#
        );
        assert_eq!(
            super::describe("f", &[], &[], "unit", false),
            r#"{"iof":1,"name":"f","doc":"","params":[],"result":{"type":"unit"},"fallible":false}"#
        );
    }
}
