//! Secrets that the host attaches to outbound requests, so that a function uses a token that it
//! never holds.
//!
//! A [`SecretInjection`] has a [`Rule`] of its own, checked for every hop: if a function may request more than the
//! secret is meant for, those requests do not carry it. Its scheme counts like everything else: an `https` rule
//! attaches nothing to a request over http, not even to a pinned host or after a redirect, and only a rule that says
//! `http` sends the secret in the clear. (Rejected: allowing http to pinned hosts whatever the rule says, by which a
//! line of the operator's settings would change the meaning of a line of the function's.)
//!
//! Rejected: passing secrets in the environment. A function that can read a secret can be tricked into leaking it.
//! Responses are searched for secrets ([`mask`]). Values are not wiped from memory when dropped: the copies in headers,
//! in connection buffers and in the automaton would stay, and a partial guarantee is not one.

pub(crate) mod mask;
mod query;
mod signing;
mod sigv4;
pub(crate) mod stream;
mod template;
mod unescape;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::utf8_percent_encode;
use url::Url;

use self::mask::Mask;
use self::query::{PARAMETER, set_parameter};
pub use self::signing::{KeyEncoding, KeyUse, SigningAlgorithm, SigningKey};
pub use self::sigv4::AwsScope;
use self::template::wrong;
pub use self::template::{SecretInjectionError, SecretValue, Template};
use crate::{Rule, headers};

/// The part of a request that carries a secret. A value that the function has put there is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretLocation {
    /// The value of this header.
    Header(HeaderName),
    /// The value of this parameter of the query.
    Query(String),
    /// The password of `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user's name, which is not a secret.
        user: String,
    },
    /// The key of AWS Signature Version 4 in `Authorization`: it signs the request, which does not contain it.
    AwsSignature(AwsScope),
}

/// One secret, the part of a request that carries it, and the rule of the requests that do.
#[derive(Clone)]
pub struct SecretInjection {
    rule: Rule,
    location: SecretLocation,
    template: Template,
    value: SecretValue,
    insertion: Insertion,
}

/// The secrets of one function, ready to be attached or to sign. The default is none.
#[derive(Clone, Default)]
pub struct SecretInjections {
    list: Vec<SecretInjection>,
    signing: Vec<SigningKey>,
    /// `Some` if there are secrets. It searches for all secrets of the function at once, so that two that overlap in a
    /// text do not leave a piece of each other.
    mask: Option<Arc<Mask>>,
    /// True if the operator's client certificates are withheld, too.
    withheld: bool,
}

/// A request's URL and headers with secrets in them.
pub struct InjectedRequest {
    /// The URL, with the parameters that are secrets.
    pub url: Url,
    /// The headers, with those that are secrets.
    pub headers: HeaderMap,
    /// The names of the secrets, joined by commas.
    pub names: String,
}

/// A header or a parameter with its text, made once.
#[derive(Clone)]
enum Insertion {
    Header(HeaderName, HeaderValue),
    /// `name=value`, encoded.
    Parameter(String),
    /// A signature, which depends on the whole request.
    AwsSignature(AwsScope),
}

impl SecretInjections {
    /// No secrets.
    pub const NONE: &'static SecretInjections = &SecretInjections {
        list: Vec::new(),
        signing: Vec::new(),
        mask: None,
        withheld: false,
    };

    /// No credentials: no secrets, and no request to a host for which there is a client certificate. For requests whose
    /// target was chosen by a caller without credentials.
    pub const WITHHELD: &'static SecretInjections = &SecretInjections {
        list: Vec::new(),
        signing: Vec::new(),
        mask: None,
        withheld: true,
    };

    /// Prepares the injections of one function; once, not for each request. If two of them write to the same location
    /// of the same request, the first applies.
    ///
    /// # Errors
    /// An error if the values are too many to search for.
    pub fn new(list: Vec<SecretInjection>) -> Result<SecretInjections, SecretInjectionError> {
        SecretInjections::with_signing(list, Vec::new())
    }

    /// The same with secrets that sign, which are searched for as well and never attached.
    ///
    /// # Errors
    /// An error if the values are too many to search for.
    pub fn with_signing(
        list: Vec<SecretInjection>,
        signing: Vec<SigningKey>,
    ) -> Result<SecretInjections, SecretInjectionError> {
        if list.is_empty() && signing.is_empty() {
            return Ok(SecretInjections::default());
        }
        let values = list.iter().map(|injection| injection.value.text());
        // A public key is not a secret: it may be in what comes back.
        let secret = |key: &&SigningKey| key.public_key().is_none();
        let values = values.chain(signing.iter().filter(secret).map(SigningKey::value));
        let around: Vec<_> = list.iter().map(SecretInjection::around).collect();
        let mask = Mask::new(values, around.iter().map(String::as_str))
            .map_err(|_| wrong("the secrets together are too long to search responses for them. Declare fewer or shorter ones"))?;
        let mask = Some(Arc::new(mask));
        Ok(SecretInjections {
            list,
            signing,
            mask,
            withheld: false,
        })
    }

    /// Returns whether requests to hosts for which there is a client certificate are refused.
    pub fn are_withheld(&self) -> bool {
        self.withheld
    }

    /// Returns whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.signing.is_empty()
    }

    /// The secret of this name that signs.
    pub fn signing_key(&self, name: &str) -> Option<&SigningKey> {
        self.signing.iter().find(|key| key.name == name)
    }

    /// `text` with every secret of the function replaced by `***`, as in a response; `None` if it contains none.
    pub fn masked(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.mask.as_ref()?.bytes(text)
    }

    /// The mask for all secrets of the function; `None` if it has none.
    pub fn mask(&self) -> Option<&Arc<Mask>> {
        self.mask.as_ref()
    }

    /// Returns whether a request carries a signature of its body, for which the body has to be whole.
    pub fn sign_body(&self, method: &Method, url: &Url) -> bool {
        self.list.iter().any(|injection| {
            matches!(injection.insertion, Insertion::AwsSignature(_))
                && injection.rule.allows(method, url)
        })
    }

    /// The URL and the headers of a request with the secrets whose rules match its method and URL;
    /// `None` if no rule matches. `body` and `now` are for secrets that sign them.
    pub fn inject(
        &self,
        (method, url, headers): (&Method, &Url, &HeaderMap),
        body: &[u8],
        now: SystemTime,
    ) -> Option<InjectedRequest> {
        let mut injected: Option<InjectedRequest> = None;
        // In reverse order: an earlier one in the list replaces a later one.
        for injection in self.list.iter().rev() {
            if injection.rule.allows(method, url) {
                injection.put(injected.get_or_insert_with(|| InjectedRequest {
                    url: url.clone(),
                    headers: headers.clone(),
                    names: String::new(),
                }));
            }
        }
        let mut injected = injected?;
        // The request is complete when it is signed.
        for injection in self.list.iter().rev() {
            if let Insertion::AwsSignature(scope) = &injection.insertion
                && injection.rule.allows(method, url)
            {
                let request = (method, &injected.url, &mut injected.headers);
                let secret = injection.value.text();
                // Without a signature the service refuses the request, which reveals nothing.
                if let Some(value) = scope.sign(secret, request, body, now) {
                    injected.headers.insert(header::AUTHORIZATION, value);
                }
            }
        }
        Some(injected)
    }
}

impl fmt::Debug for SecretInjections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl SecretInjection {
    /// Attaches `value`, in the text of `template`, at `location` of the requests that `rule` allows.
    ///
    /// # Errors
    /// A location that a function must not set, such as the header `host`.
    pub fn new(
        rule: Rule,
        location: SecretLocation,
        template: Template,
        value: SecretValue,
    ) -> Result<SecretInjection, SecretInjectionError> {
        let text = template.around(&value);
        let insertion = match &location {
            SecretLocation::Header(name) => {
                if headers::is_reserved(name) {
                    return Err(wrong(format!(
                        "the header {name} is set by the host and cannot carry a secret. Choose another header"
                    )));
                }
                Insertion::Header(name.clone(), sensitive(&text)?)
            }
            SecretLocation::AwsSignature(scope) if !scope.is_valid() => {
                return Err(wrong(
                    "sigv4: access_key_id, region or service is not a word of letters, digits and dashes",
                ));
            }
            SecretLocation::AwsSignature(_) if text != value.text() => {
                return Err(wrong(
                    "sigv4: the value is not only the secret. Write value = \"{NAME}\"",
                ));
            }
            SecretLocation::AwsSignature(scope) => Insertion::AwsSignature(scope.clone()),
            SecretLocation::Query(name) if name.is_empty() => {
                return Err(wrong("the parameter has no name. Write one such as `key`"));
            }
            SecretLocation::Query(name) => Insertion::Parameter(format!(
                "{}={}",
                utf8_percent_encode(name, PARAMETER),
                utf8_percent_encode(&text, PARAMETER)
            )),
            SecretLocation::Basic { user }
                if user.contains(':') || user.chars().any(char::is_control) =>
            {
                return Err(wrong(
                    "the user of basic authentication has a colon or a control character",
                ));
            }
            SecretLocation::Basic { user } => {
                let credential = STANDARD.encode(format!("{user}:{text}"));
                Insertion::Header(
                    header::AUTHORIZATION,
                    sensitive(&format!("Basic {credential}"))?,
                )
            }
        };
        Ok(SecretInjection {
            rule,
            location,
            template,
            value,
            insertion,
        })
    }

    /// The rule of the requests that carry it.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The part of a request that it goes to.
    pub fn location(&self) -> &SecretLocation {
        &self.location
    }

    /// The secret's name.
    pub fn secret_name(&self) -> &str {
        self.template.name()
    }

    /// The value with its surrounding text, of which a server may repeat the base64.
    fn around(&self) -> String {
        let text = self.template.around(&self.value);
        match &self.location {
            SecretLocation::Basic { user } => format!("{user}:{text}"),
            _ => text,
        }
    }

    fn put(&self, request: &mut InjectedRequest) {
        match &self.insertion {
            Insertion::Header(name, value) => {
                request.headers.insert(name, value.clone());
            }
            Insertion::Parameter(pair) => set_parameter(&mut request.url, pair),
            Insertion::AwsSignature(_) => {}
        }
        if !request.names.is_empty() {
            request.names.insert(0, ',');
        }
        request.names.insert_str(0, self.secret_name());
    }
}

impl fmt::Debug for SecretInjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretInjection")
            .field("rule", &self.rule.to_string())
            .field("location", &self.location)
            .field("secret", &self.secret_name())
            .finish_non_exhaustive()
    }
}

/// Builds a header value that is marked as sensitive, so that HTTP/2 keeps it out of its compression table (RFC 7541
/// section 7.1.3) and `Debug` does not print it.
fn sensitive(text: &str) -> Result<HeaderValue, SecretInjectionError> {
    let mut value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| wrong("the secret cannot be the value of a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_checked_and_debug_output_shows_no_value() {
        let attachment = |place| {
            let rule: Rule = "* https://api.test".parse().unwrap();
            let value = SecretValue::new("s3cret").unwrap();
            SecretInjection::new(rule, place, "{A}".parse().unwrap(), value)
        };
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "proxy-authorization",
        ] {
            let place = SecretLocation::Header(HeaderName::from_static(name));
            let error = attachment(place).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        for place in [
            SecretLocation::Query(String::new()),
            SecretLocation::Basic { user: "a:b".into() },
            SecretLocation::Basic { user: "a\n".into() },
        ] {
            attachment(place).unwrap_err();
        }
        let good = attachment(SecretLocation::Basic { user: "me".into() }).unwrap();
        let all = SecretInjections::new(vec![good.clone()]).unwrap();
        let debug = format!("{good:?} {all:?} {:?} {:?}", good.value, good.location);
        for hidden in ["s3cret", "czNjcmV0", "bWU6czNjcmV0"] {
            assert!(!debug.contains(hidden), "{debug}");
        }
    }
}
