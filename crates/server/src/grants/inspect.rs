//! Checks of a `function.toml` against a server as shipped, for authors who have no server at hand.

use super::{Ceiling, Declaration, DeclaredTest};
use iof_command::Grants;
use iof_egress::Rule;
use iof_engine::Limits;
use std::net::IpAddr;
use std::sync::Arc;
use url::{Host, Url};

/// The grants of a module without a `function.toml`, on a server as shipped.
pub const AS_SHIPPED: &str =
    "`http_proxy` to public addresses on the ports 80 and 443, and storage";

/// The methods of HTTP that servers know (RFC 9110, RFC 5789).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Checks a `function.toml` against the ceiling as shipped.
///
/// # Errors
/// The message that the server would send.
pub fn check_declaration(text: &str) -> Result<(), String> {
    let ceiling = Ceiling {
        grants: Grants::as_shipped(),
        limits: Arc::new(Limits::default()),
        concurrency: crate::settings::Settings::default().concurrency,
    };
    ceiling.read(text).map(drop).map_err(|fault| fault.message)
}

/// The calls that a `function.toml` has for `iof test`.
///
/// # Errors
/// What the server would say.
pub fn declared_tests(text: &str) -> Result<Vec<DeclaredTest>, String> {
    let declared = Declaration::parse(text).map_err(|fault| fault.message)?;
    Ok(declared.test)
}

/// Notes on a `function.toml` that is valid and hardly meant.
pub fn declaration_notes(text: &str) -> Vec<String> {
    let Ok(declared) = Declaration::parse(text) else {
        return vec![];
    };
    let mut notes = vec![];
    if !declared.outbound.0.is_empty() && declared.commands.is_empty() {
        notes.push(
            "function.toml: outbound has rules, and no command is granted that sends requests. Add commands = [\"http_proxy\"]."
                .to_owned(),
        );
    }
    notes.extend(declared.outbound.0.iter().filter_map(doubt));
    notes
}

/// The reason why a rule matches no request.
fn doubt(rule: &Rule) -> Option<String> {
    let (methods, url) = rule.as_str().split_once(' ')?;
    let unknown = |method: &&str| *method != "*" && !METHODS.contains(method);
    if let Some(method) = methods.split(',').find(unknown) {
        return Some(format!(
            "function.toml: outbound `{rule}`: {method} is not a method that servers know. Write one of {}.",
            METHODS.join(", ")
        ));
    }
    let host = Url::parse(url).ok()?.host()?.to_owned();
    let is_inside = match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => is_inside(address.into()),
        Host::Ipv6(address) => is_inside(address.into()),
    };
    is_inside.then(|| {
        format!(
            "function.toml: outbound `{rule}`: addresses of the server's own network are not reached, unless its operator pins them (egress.pin; `iof dev --allow HOST:PORT`)."
        )
    })
}

fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hardly_meant_is_named() {
        let proxy = "commands = [\"http_proxy\"]\n";
        for (text, word) in [
            (
                "outbound = [\"GET https://a.test\"]".to_owned(),
                "commands = [\"http_proxy\"]",
            ),
            (format!("{proxy}outbound = [\"GTE https://a.test\"]"), "GTE"),
            (
                format!("{proxy}outbound = [\"GET,PSOT https://a.test\"]"),
                "PSOT",
            ),
            (
                format!("{proxy}outbound = [\"GET http://127.0.0.1\"]"),
                "--allow",
            ),
            (
                format!("{proxy}outbound = [\"GET http://10.0.0.1/x\"]"),
                "--allow",
            ),
            (
                format!("{proxy}outbound = [\"GET http://localhost\"]"),
                "--allow",
            ),
        ] {
            let notes = declaration_notes(&text);
            assert!(
                notes.len() == 1 && notes[0].contains(word),
                "{text}: {notes:?}"
            );
        }
        let fine = format!("{proxy}outbound = [\"* https://*\", \"GET https://a.test/x\"]");
        assert_eq!(declaration_notes(&fine), Vec::<String>::new());
        assert!(check_declaration(&fine).is_ok());
        assert!(
            check_declaration("comands = []")
                .unwrap_err()
                .contains("comands")
        );
        let small =
            "[[secrets]]\nvalue = \"Bearer {token}\"\nheader = \"x\"\nto = \"* https://a.test\"";
        assert!(
            check_declaration(small).unwrap_err().contains("{TOKEN}"),
            "M15"
        );
    }
}
