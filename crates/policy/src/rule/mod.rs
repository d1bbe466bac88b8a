//! The outbound rule: `METHODS SCHEME://HOST[:PORT][/PATH]`.
//!
//! A rule is one line of text, so that a grant reads like the request it allows, in a manifest, in the API and in the
//! log (alternative rejected: a table with five keys, which is hard to read across). Only allowing rules exist; a
//! request that no rule allows is denied, so the order of rules never matters. Every part of a rule is narrow by
//! default: a rule without a port allows only the scheme's own port.
//!
//! More than 400 lines with its tests: the grammar of a rule, and what it allows.

mod cover;

use std::fmt;
use std::str::FromStr;

use http::Method;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::path;

/// One allowed shape of request, such as `POST https://api.sendgrid.com/v3/mail`.
///
/// * methods: `*` or a list such as `GET,HEAD`; CONNECT and TRACE are never allowed
/// * scheme: `http` or `https`
/// * host: a name, an address, `*` for any host, or `*.example.com` for every name below
///   `example.com`, at any depth, without `example.com` itself
/// * port: a number, `*` for any; left out, the scheme's own
/// * path: a prefix of whole segments; left out, every path
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    methods: Methods,
    scheme: Scheme,
    host: HostPattern,
    port: PortPattern,
    /// Decoded segments; empty for every path.
    path: Vec<String>,
    /// The canonical text of the rule, which parses to the same rule. Every request has it in its record.
    text: Box<str>,
}

/// The rules of one function. Empty, which is the default, denies everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rules(pub Vec<Rule>);

/// A text that is not a rule; `Display` states what is wrong and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outbound rule {rule:?}: {problem}")]
pub struct RuleError {
    rule: String,
    problem: String,
}

impl Rules {
    /// The first rule that allows `method` on `url`, which has to come from
    /// `iof_egress::parse_outbound_url`.
    pub fn allows(&self, method: &Method, url: &Url) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.allows(method, url))
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<T: IntoIterator<Item = Rule>>(rules: T) -> Rules {
        Rules(rules.into_iter().collect())
    }
}

impl Rule {
    /// Returns whether this rule allows `method` on `url`, which has to come from `iof_egress::parse_outbound_url`.
    pub fn allows(&self, method: &Method, url: &Url) -> bool {
        self.allows_elsewhere(method, url) && path::is_under(url.path(), &self.path)
    }

    /// The canonical text: it parses to the same rule.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme.as_str()
    }

    /// Returns whether this rule allows the request except for its path.
    pub fn allows_elsewhere(&self, method: &Method, url: &Url) -> bool {
        !is_never_allowed(method)
            && self.methods.contain(method)
            && self.scheme.as_str() == url.scheme()
            && self.port.contains(self.scheme, url)
            && url.host().is_some_and(|host| self.host.contains(&host))
    }
}

/// Returns whether no rule allows a method, however it is spelled: methods are case-sensitive (RFC 9110, section 9.1), but
/// not every server compares them so.
fn is_never_allowed(method: &Method) -> bool {
    let never = [Method::CONNECT, Method::TRACE];
    let method = method.as_str();
    never
        .iter()
        .any(|one| one.as_str().eq_ignore_ascii_case(method))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Methods {
    Any,
    /// The methods in the order written, without repetition.
    Listed(Vec<Method>),
}

impl Methods {
    fn contain(&self, method: &Method) -> bool {
        match self {
            Methods::Any => true,
            Methods::Listed(methods) => methods.contains(method),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// The hosts of a rule: any, all below a domain, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// Every name that ends in `.` and this domain.
    Below(String),
    /// One name or address.
    Is(Host<String>),
}

impl HostPattern {
    /// A host, `*.` before a domain, or `*`; otherwise the error states the problem.
    pub fn parse(text: &str) -> Result<HostPattern, String> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None if text == "*" => return Ok(HostPattern::Any),
            None => (false, text),
        };
        if name.is_empty() {
            return Err(
                "the host is missing. Write a name, `*.example.com`, or `*` for any host"
                    .to_owned(),
            );
        }
        if name.contains('*') {
            return Err(format!(
                "`*` is only a part of a label: got {text:?}. Write `*` for every host, or `*.example.com` for all below a domain"
            ));
        }
        if name.contains(['%', '\\']) || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!(
                "the host is not valid: got {text:?}. Write a name or an address, without percent-encoding"
            ));
        }
        let host =
            Host::parse(name).map_err(|e| format!("the host is not valid: got {text:?} ({e})"))?;
        match (below, host) {
            (true, Host::Domain(domain)) => Ok(HostPattern::Below(without_dot(domain)?)),
            (true, _) => Err(format!(
                "`*.` can only stand before a name, not before an address: got {text:?}"
            )),
            (false, Host::Domain(domain)) => {
                Ok(HostPattern::Is(Host::Domain(without_dot(domain)?)))
            }
            (false, address) => Ok(HostPattern::Is(address)),
        }
    }

    /// Returns whether a host matches the pattern.
    pub fn contains<S: AsRef<str>>(&self, host: &Host<S>) -> bool {
        match (self, host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Below(domain), Host::Domain(name)) => name
                .as_ref()
                .strip_suffix(domain.as_str())
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
            (HostPattern::Below(_), _) => false,
            (HostPattern::Is(Host::Domain(domain)), Host::Domain(name)) => domain == name.as_ref(),
            (HostPattern::Is(Host::Ipv4(mine)), Host::Ipv4(address)) => mine == address,
            (HostPattern::Is(Host::Ipv6(mine)), Host::Ipv6(address)) => mine == address,
            (HostPattern::Is(_), _) => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortPattern {
    Any,
    Is(u16),
}

impl PortPattern {
    fn contains(self, scheme: Scheme, url: &Url) -> bool {
        match self {
            PortPattern::Any => true,
            PortPattern::Is(port) => url.port().unwrap_or(scheme.default_port()) == port,
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        parse(text).map_err(|problem| RuleError {
            rule: text.to_owned(),
            problem,
        })
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Rule, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> String {
        rule.text.into()
    }
}

/// The canonical text.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn canonical(
    methods: &Methods,
    scheme: Scheme,
    host: &HostPattern,
    port: PortPattern,
    path: &[String],
) -> String {
    let mut text = match methods {
        Methods::Any => "*".to_owned(),
        Methods::Listed(methods) => {
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            names.join(",")
        }
    };
    text.push_str(&format!(" {}://", scheme.as_str()));
    match host {
        HostPattern::Any => text.push('*'),
        HostPattern::Below(domain) => text.push_str(&format!("*.{domain}")),
        HostPattern::Is(host) => text.push_str(&host.to_string()),
    }
    match port {
        PortPattern::Any => text.push_str(":*"),
        PortPattern::Is(port) if port == scheme.default_port() => {}
        PortPattern::Is(port) => text.push_str(&format!(":{port}")),
    }
    for segment in path {
        let segment = percent_encoding::utf8_percent_encode(segment, SEGMENT);
        text.push_str(&format!("/{segment}"));
    }
    text
}

/// Characters that a path segment of a rule has to encode, because the rule's own syntax uses them.
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'?')
    .add(b'#')
    .add(b'/');

fn parse(text: &str) -> Result<Rule, String> {
    const FORM: &str = "Write METHODS URL, such as `GET,HEAD https://api.example.com/v1`";
    let (methods, url) = text
        .trim()
        .rsplit_once(char::is_whitespace)
        .ok_or_else(|| format!("the methods are missing. {FORM}"))?;
    let methods = parse_methods(methods)?;

    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| format!("the scheme before the host is missing. {FORM}"))?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => {
            return Err(format!(
                "the scheme cannot be requested: got {other:?}. Write http or https (two rules for both)"
            ));
        }
    };
    for (character, name) in [('?', "query"), ('#', "fragment")] {
        if rest.contains(character) {
            return Err(format!(
                "a rule cannot have a {name}. End it before the {character}; it allows every {name}"
            ));
        }
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("a rule cannot have a user name or password. Write only the host".to_owned());
    }
    let (host, port) = split_port(authority)?;
    let host = HostPattern::parse(host)?;
    let port = parse_port(port, scheme)?;
    let path = path::segments(path)?;
    let text = canonical(&methods, scheme, &host, port, &path).into();
    Ok(Rule {
        methods,
        scheme,
        host,
        port,
        path,
        text,
    })
}

fn parse_methods(text: &str) -> Result<Methods, String> {
    if text.trim() == "*" {
        return Ok(Methods::Any);
    }
    let mut methods = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name == "*" {
            return Err("`*` stands for every method. Leave the others out".to_owned());
        }
        let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes()).map_err(|_| {
            format!("the method is not valid: got {name:?}. Write `*`, or a list with commas such as `GET,HEAD`")
        })?;
        if is_never_allowed(&method) {
            return Err(format!(
                "the method {method} is never allowed. Leave it out"
            ));
        }
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Ok(Methods::Listed(methods))
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    // The colons of an IPv6 address are inside its brackets.
    let address_end = authority.rfind(']').map_or(0, |i| i + 1);
    match authority[address_end..].split_once(':') {
        Some((between, port)) => Ok((&authority[..address_end + between.len()], Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(port: Option<&str>, scheme: Scheme) -> Result<PortPattern, String> {
    match port {
        None => Ok(PortPattern::Is(scheme.default_port())),
        Some("*") => Ok(PortPattern::Any),
        Some(text) => match text.parse() {
            Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(PortPattern::Is(port))
            }
            _ => Err(format!(
                "the port is not valid: got {text:?}. Write 1 to 65535, `*` for any, or leave it out for the scheme's"
            )),
        },
    }
}

/// The same as `iof_egress::parse_outbound_url` does with URLs.
fn without_dot(domain: String) -> Result<String, String> {
    let name = domain.strip_suffix('.').unwrap_or(&domain);
    if name.split('.').any(str::is_empty) {
        return Err(format!("the host has an empty label: got {domain:?}"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_the_connection_match_no_rule_in_any_spelling() {
        let rule: Rule = "* https://a.test".parse().unwrap();
        let url = Url::parse("https://a.test/").unwrap();
        for method in ["CONNECT", "connect", "Connect", "TRACE", "trace", "tRaCe"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert!(!rule.allows(&method, &url), "{method}");
        }
        for method in ["GET", "PROPFIND", "get", "CONNECTED"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert!(rule.allows(&method, &url), "{method}");
        }
    }
}
