//! Checks of a `function.toml` against a server as shipped, for authors without a server.

use super::{Ceiling, Declaration, DeclaredTest};
use crate::near::nearest;
use crate::settings::{JobSettings, Settings};
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

/// The commands of every server that send no request.
const SEND_NOTHING: [&str; 4] = ["infer", "mobilenet_v2", "sign", "verify"];

/// Checks a `function.toml` against the ceiling as shipped.
///
/// # Errors
/// The message that a server would send.
pub fn check_declaration(text: &str) -> Result<(), String> {
    let settings = Settings::default();
    let ceiling = Ceiling {
        grants: Grants::as_shipped(),
        limits: Arc::new(Limits::default()),
        concurrency: settings.concurrency,
        schedules: settings.schedule_limits(),
        jobs: settings.job_ceiling(&JobSettings::default()),
    };
    ceiling.read(text).map(drop).map_err(|fault| fault.message)
}

/// The calls that a `function.toml` has for `iof test`.
///
/// # Errors
/// The message that a server would send.
pub fn declared_tests(text: &str) -> Result<Vec<DeclaredTest>, String> {
    let declared = Declaration::parse(text).map_err(|fault| fault.message)?;
    Ok(declared.test)
}

/// Notes on a valid `function.toml` (or its JSON form) that is probably wrong: rules that match nothing, and missing
/// grants that the `imports` of the module need. `allowed` lists the internal hosts and ports that functions may reach
/// (`iof dev --allow`).
pub fn declaration_notes(text: &str, allowed: &[String], imports: &[String]) -> Vec<String> {
    let Ok(declared) = Declaration::parse(text) else {
        return vec![];
    };
    let mut notes = missing_grants(&declared, imports);
    let sends = |command: &String| !SEND_NOTHING.contains(&command.as_str());
    let sends_itself = |import: &String| has_prefix(import, &REQUESTS);
    if !declared.outbound.0.is_empty()
        && !imports.iter().any(sends_itself)
        && declared.callers_may.is_empty()
        && !declared.commands.iter().any(sends)
    {
        notes.push(
            "function.toml: outbound has rules, and no command is granted that sends requests. Add commands = [\"http_proxy\"]."
                .to_owned(),
        );
    }
    let rules = declared.outbound.0.iter();
    notes.extend(rules.filter_map(|rule| doubt(rule, allowed)));
    notes
}

/// The interfaces with which components send requests (of WASI 0.2 and 0.3), keep values and run commands, without their
/// versions.
const REQUESTS: [&str; 2] = ["wasi:http/outgoing-handler@", "wasi:http/client@"];
const VALUES: [&str; 1] = ["wasi:keyvalue/"];
const COMMANDS: [&str; 1] = ["iof:command/"];

fn has_prefix(import: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| import.starts_with(prefix))
}

/// A note for each import that is useless without a grant that is not declared.
fn missing_grants(declared: &Declaration, imports: &[String]) -> Vec<String> {
    let lacks = [
        (
            &REQUESTS[..],
            declared.outbound.0.is_empty(),
            "no outbound rule: requests that it sends are denied. Add outbound = [\"GET https://HOST\"] for those that it needs",
        ),
        (
            &VALUES,
            !declared.storage,
            "no storage: values that it keeps are refused. Add storage = true",
        ),
        (
            &COMMANDS,
            declared.grants().commands.is_empty(),
            "no command: those that it runs are refused. Add commands = [\"NAME\"]",
        ),
    ];
    let notes = lacks.into_iter().filter_map(|(interfaces, lacks, what)| {
        let import = imports
            .iter()
            .find(|import| has_prefix(import, interfaces))?;
        lacks
            .then(|| format!("function.toml: the component imports {import}, and there is {what}."))
    });
    notes.collect()
}

/// The reason why a rule matches no request.
fn doubt(rule: &Rule, allowed: &[String]) -> Option<String> {
    let (methods, url) = rule.as_str().split_once(' ')?;
    let unknown = |method: &&str| *method != "*" && !METHODS.contains(method);
    if let Some(method) = methods.split(',').find(unknown) {
        let next = match nearest(method, METHODS) {
            Some(near) => format!("Did you mean {near}?"),
            None => format!("Write one of {}.", METHODS.join(", ")),
        };
        return Some(format!(
            "function.toml: outbound `{rule}`: {method} is not a method that servers know. {next}"
        ));
    }
    let url = Url::parse(url).ok()?;
    let host = url.host()?.to_owned();
    let place = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    if allowed.contains(&place) {
        return None;
    }
    let is_inside = match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => is_inside(address.into()),
        Host::Ipv6(address) => is_inside(address.into()),
    };
    is_inside.then(|| {
        format!(
            "function.toml: outbound `{rule}`: addresses of the server's own network are not reached, unless its operator pins them (egress.pin; `iof dev --allow {place}`)."
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
    fn imports_name_the_grants_that_they_need() {
        let imports = [
            "wasi:cli/stdout@0.2.10",
            "wasi:http/outgoing-handler@0.2.10",
            "wasi:http/types@0.2.10",
            "wasi:keyvalue/store@0.2.0-draft2",
            "iof:command/run@0.1.0",
        ]
        .map(str::to_owned);
        let notes = declaration_notes("", &[], &imports);
        for words in [
            "outgoing-handler@0.2.10, and there is no outbound rule",
            "store@0.2.0-draft2, and there is no storage",
            "run@0.1.0, and there is no command",
        ] {
            assert!(
                notes.iter().any(|note| note.contains(words)),
                "{words}: {notes:?}"
            );
        }
        assert_eq!(notes.len(), 3, "{notes:?}");
        // A component sends requests itself, and needs no command for that.
        let fine = "outbound = [\"GET https://a.test\"]\nstorage = true\ncommands = [\"infer\"]";
        assert_eq!(declaration_notes(fine, &[], &imports), Vec::<String>::new());
        let third = ["wasi:http/client@0.3.0".to_owned()];
        let notes = declaration_notes("", &[], &third);
        assert!(
            notes[0].contains("client@0.3.0, and there is no outbound rule"),
            "{notes:?}"
        );
        assert_eq!(
            declaration_notes("", &[], &imports[..1]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_is_hardly_meant_is_named() {
        let proxy = "commands = [\"http_proxy\"]\n";
        for (text, word) in [
            (
                "outbound = [\"GET https://a.test\"]".to_owned(),
                "commands = [\"http_proxy\"]",
            ),
            (
                "commands = [\"sign\"]\noutbound = [\"GET https://a.test\"]".to_owned(),
                "commands = [\"http_proxy\"]",
            ),
            (
                format!("{proxy}outbound = [\"GTE https://a.test\"]"),
                "Did you mean GET?",
            ),
            (
                format!("{proxy}outbound = [\"GET,PSOT https://a.test\"]"),
                "Did you mean POST?",
            ),
            (
                format!("{proxy}outbound = [\"SEARCH https://a.test\"]"),
                "one of GET, HEAD",
            ),
            (
                format!("{proxy}outbound = [\"GET http://127.0.0.1\"]"),
                "--allow 127.0.0.1:80`",
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
            let notes = declaration_notes(&text, &[], &[]);
            assert!(
                notes.len() == 1 && notes[0].contains(word),
                "{text}: {notes:?}"
            );
        }
        let fine = format!("{proxy}outbound = [\"* https://*\", \"GET https://a.test/x\"]");
        let mock = format!("{proxy}outbound = [\"GET http://localhost:3000/x\"]");
        let callers = "callers_may = [\"fetch\"]\noutbound = [\"GET https://a.test\"]";
        let native = "commands = [\"thumbnail\"]\noutbound = [\"GET https://a.test\"]";
        for fine in [&*fine, &mock, callers, native] {
            let notes = declaration_notes(fine, &["localhost:3000".to_owned()], &[]);
            assert_eq!(notes, Vec::<String>::new(), "{fine}");
        }
        assert!(check_declaration(&fine).is_ok());
        assert!(check_declaration("[build]\nwith = \"go\"\n").is_ok());
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
