//! `function.toml`: what a version needs, declared by its author.
//!
//! A version gets only what it declares: a file with one line grants one thing. The API takes and returns the same
//! fields as JSON.
//!
//! More than 400 lines: the fields of one file, and their checks.

#[cfg(test)]
mod tests;

use super::allowed_origins::AllowedOrigins;
use super::declared_jobs::DeclaredJobs;
use super::declared_reuse::DeclaredReuse;
use super::declared_schedule::DeclaredSchedule;
use super::declared_signing::DeclaredSigning;
use super::declared_test::DeclaredTest;
use crate::near::nearest_field;
use crate::wording;
use http::HeaderName;
use iof_command::Grants;
use iof_egress::{AwsScope, Rule, Rules, SecretInjection, SecretLocation, SecretValue, Template};
use iof_engine::{Kind, LimitOverrides, Manifest};
use iof_fault::{Fault, FaultKind};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The longest declaration, in bytes.
pub(crate) const MAX_DECLARATION: usize = 64 << 10;
/// The most rules, commands or secrets in one declaration.
const MAX_ENTRIES: usize = 200;

/// The fields of `function.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Declaration {
    /// The commands that the version runs, by name.
    pub(crate) commands: BTreeSet<String>,
    /// The requests that the version makes, each a rule.
    pub(crate) outbound: Rules,
    /// True if the version keeps values between calls.
    pub(crate) storage: bool,
    /// Secrets that the host attaches to the version's requests.
    pub(crate) secrets: Vec<DeclaredSecret>,
    /// Secrets with which the host signs for the version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) signing: Vec<DeclaredSigning>,
    /// Limits of its calls, below the server's.
    pub(crate) limits: LimitOverrides,
    /// The most concurrent calls; further calls wait. `None` for as many as the server runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<u32>,
    /// The most calls per minute. `None` for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<u32>,
    /// The callers who may have calls run as jobs (`Prefer: respond-async`), and the way in which these run.
    #[serde(
        with = "super::declared_jobs",
        skip_serializing_if = "DeclaredJobs::is_default"
    )]
    pub(crate) jobs: DeclaredJobs,
    /// Calls that the server makes at certain times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) schedule: Vec<DeclaredSchedule>,
    /// Pages of other origins that may call the function.
    #[serde(skip_serializing_if = "AllowedOrigins::is_empty")]
    pub(crate) cors: AllowedOrigins,
    /// Requests of its calls for which a caller may name the target (`SSVM_Fetch`, `SSVM_Callback`).
    pub(crate) callers_may: BTreeSet<CallerRequest>,
    /// The calls that are recorded, to be replayed.
    pub(crate) record: Record,
    /// Instances that serve more than one call. `None` for a fresh instance for each call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reuse: Option<DeclaredReuse>,
    /// Environment variables of its calls. They are not secrets: everyone who may read the function sees them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, String>,
    /// Variables of environments, one of which a deploy chooses (`iof deploy --env`). They are checked, but not stored.
    #[serde(skip_serializing)]
    env: BTreeMap<String, BTreeMap<String, String>>,
    /// The table from which `iof build` makes the module. `iof build` reads and checks it; it is not stored.
    #[serde(skip_serializing)]
    build: IgnoredAny,
    /// Calls of `iof test`. They are checked, but not stored.
    #[serde(skip_serializing)]
    pub(super) test: Vec<DeclaredTest>,
}

/// A request whose target the caller names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallerRequest {
    /// A fetch: the response of another server becomes the argument.
    Fetch,
    /// A callback: the result is sent to another server.
    Callback,
}

/// The calls that are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    #[default]
    Off,
    /// Calls that fail.
    Errors,
    Always,
}

/// A secret, its location, and the requests to which it is added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredSecret {
    /// A text with the secret's name in braces, such as `Bearer {API_TOKEN}`.
    pub(crate) value: Template,
    /// The requests to which the secret is added.
    pub(crate) to: Rule,
    /// The header whose value is the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// The query parameter whose value is the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// The user of basic authentication whose password is the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basic: Option<String>,
    /// The AWS access key whose secret signs the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sigv4: Option<AwsScope>,
}

impl Declaration {
    /// Parses a declaration, TOML or JSON.
    ///
    /// # Errors
    /// `declaration`, naming the field.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > MAX_DECLARATION {
            return Err(wrong(format!(
                "it has {} bytes; at most {MAX_DECLARATION} are read",
                text.len()
            )));
        }
        let mut declaration: Self = if text.trim_start().starts_with('{') {
            of_json(text)?
        } else {
            toml::from_str(text).map_err(|error| wrong(in_line(text, &error)))?
        };
        for schedule in &mut declaration.schedule {
            if schedule.name.is_empty() {
                schedule.name.clone_from(&schedule.export);
            }
        }
        declaration.check()?;
        Ok(declaration)
    }

    /// The commands, rules and storage of the declaration, as grants.
    pub(crate) fn grants(&self) -> Grants {
        let signing = self.signing.iter().flat_map(DeclaredSigning::commands);
        let commands = self.commands.iter().cloned();
        Grants {
            commands: commands.chain(signing.map(str::to_owned)).collect(),
            outbound: self.outbound.clone(),
            storage: self.storage,
        }
    }

    /// Refuses a declaration that this module cannot use.
    ///
    /// # Errors
    /// `declaration`, naming the field.
    pub(crate) fn fits(&self, manifest: &Manifest) -> Result<(), Fault> {
        for (at, schedule) in self.schedule.iter().enumerate() {
            if manifest.export(&schedule.export).is_none() {
                let missing = manifest.no_such_export(&schedule.export);
                return Err(wrong(format!("schedule[{at}].export: {}", missing.message)));
            }
        }
        if let Some(reuse) = &self.reuse {
            let problem = |problem| wrong(format!("reuse: {problem}"));
            reuse.fits(manifest).map_err(problem)?;
        }
        let record = match self.record {
            Record::Off => return Ok(()),
            Record::Errors => "errors",
            Record::Always => "always",
        };
        match manifest.kind {
            Kind::Http => Err(wrong(format!(
                "record: calls of a component that answers HTTP requests cannot be recorded, because their bodies are not \
                 kept: got record = \"{record}\". Write record = \"off\", or leave it out"
            ))),
            Kind::Bindgen | Kind::WasiCommand | Kind::Typed => Ok(()),
        }
    }

    /// The names of its secrets.
    pub(crate) fn secret_names(&self) -> BTreeSet<&str> {
        let attached = self.secrets.iter().flat_map(DeclaredSecret::names);
        let signing = self.signing.iter().filter_map(DeclaredSigning::secret);
        let callbacks = self.jobs.callback_secret.as_deref();
        attached.chain(signing).chain(callbacks).collect()
    }

    /// Checks the rules that do not depend on the server.
    fn check(&self) -> Result<(), Fault> {
        for (field, count) in [
            ("commands", self.commands.len()),
            ("outbound", self.outbound.0.len()),
            ("secrets", self.secrets.len()),
            ("signing", self.signing.len()),
            ("cors", self.cors.len()),
            ("schedule", self.schedule.len()),
            ("test", self.test.len()),
        ] {
            if count > MAX_ENTRIES {
                return Err(wrong(format!(
                    "{field}: {count} entries; at most {MAX_ENTRIES} are allowed"
                )));
            }
        }
        self.cors.check().map_err(wrong)?;
        if self.concurrency == Some(0) || self.rate == Some(0) {
            return Err(wrong(
                "concurrency and rate: 0 would let no call through; write a number from 1 on, or leave it out".into(),
            ));
        }
        for time in [self.limits.wall_time, self.limits.guest_cpu] {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(wrong(
                    "limits: a time of 0s would let no call end; write more, or leave it out"
                        .into(),
                ));
            }
        }
        if let Some(reuse) = &self.reuse {
            reuse
                .check()
                .map_err(|problem| wrong(format!("reuse.{problem}")))?;
            if self.record != Record::Off {
                return Err(wrong(
                    "reuse: a call in an instance of earlier calls cannot be replayed, because what they left in its memory is not                      recorded. Leave reuse out, or write record = \"off\""
                        .into(),
                ));
            }
        }
        let problem = |problem| wrong(format!("jobs.{problem}"));
        self.jobs.check().map_err(problem)?;
        for (at, secret) in self.signing.iter().enumerate() {
            let problem = |problem| wrong(format!("signing[{at}]: {problem}"));
            secret.check().map_err(problem)?;
            let before = self.signing.get(..at).unwrap_or_default();
            if before.iter().any(|other| other.name() == secret.name()) {
                let field = secret.field();
                return Err(problem(format!(
                    "the {field} is declared twice; give it one algorithm, and all of its uses"
                )));
            }
        }
        for (at, schedule) in self.schedule.iter().enumerate() {
            let problem = |problem| wrong(format!("schedule[{at}].{problem}"));
            schedule.check().map_err(problem)?;
            let before = self.schedule.get(..at).unwrap_or_default();
            if before.iter().any(|other| other.name == schedule.name) {
                return Err(problem(format!(
                    "name: a second schedule of this name: got {:?}. Give each its own name",
                    schedule.name
                )));
            }
        }
        for (at, test) in self.test.iter().enumerate() {
            let problem = |problem| wrong(format!("test[{at}]: {problem}"));
            test.check().map_err(problem)?;
        }
        let environments = self
            .env
            .iter()
            .map(|(name, set)| (format!("env.{name}"), set));
        for (table, set) in environments.chain([("variables".to_owned(), &self.variables)]) {
            variables(&table, set).map_err(wrong)?;
        }
        // A placeholder stands in for the value, which is not known yet.
        let value =
            SecretValue::new("value").map_err(|error| Fault::host("No declaration.", error))?;
        for (at, secret) in self.secrets.iter().enumerate() {
            // The same check as in the store when the secret is set. Only the name is quoted, because people write a
            // secret where its name belongs.
            let mut names = secret.names();
            if let Some(name) = names.find(|name| !iof_store::is_secret_name(name)) {
                return Err(wrong(format!(
                    "secrets[{at}]: the name in braces is not a valid name of a secret: it is a capital letter and up to 63 capital letters, digits and underscores, such as {{API_TOKEN}}{}",
                    match iof_store::is_secret_name(&name.to_ascii_uppercase()) {
                        true => format!(". Write {{{}}}", name.to_ascii_uppercase()),
                        false => String::new(),
                    }
                )));
            }
            // The id of a key is a word, and so is this placeholder.
            let problem = |problem| wrong(format!("secrets[{at}]: {problem}"));
            secret.attachment(|_| Ok(value.clone()), problem)?;
        }
        Ok(())
    }
}

impl DeclaredSecret {
    /// The names of its secrets: the one that is attached, and the one that holds the id of a key.
    fn names(&self) -> impl Iterator<Item = &str> {
        let key_id = self.sigv4.as_ref().and_then(AwsScope::key_id_secret);
        [Some(self.value.name()), key_id].into_iter().flatten()
    }

    /// Builds the attachment for this secret; `value` is the decrypted value of a secret by its name.
    ///
    /// # Errors
    /// `problem` with a sentence that states what is wrong; the errors of `value`.
    pub(super) fn attachment<E>(
        &self,
        value: impl Fn(&str) -> Result<SecretValue, E>,
        problem: impl FnOnce(String) -> E,
    ) -> Result<SecretInjection, E> {
        let sigv4 = match &self.sigv4 {
            Some(scope) => Some(match scope.key_id_secret() {
                Some(name) => scope.with_key_id(&value(name)?),
                None => scope.clone(),
            }),
            None => None,
        };
        let secret = value(self.value.name())?;
        self.placed(sigv4, secret).map_err(problem)
    }

    fn placed(
        &self,
        sigv4: Option<AwsScope>,
        value: SecretValue,
    ) -> Result<SecretInjection, String> {
        let place = match (&self.header, &self.query, &self.basic, sigv4) {
            (Some(header), None, None, None) => {
                SecretLocation::Header(HeaderName::try_from(header.as_str()).map_err(|_| {
                    format!(
                        "header: {header:?} is not a header name; write one such as authorization"
                    )
                })?)
            }
            (None, Some(query), None, None) => SecretLocation::Query(query.clone()),
            (None, None, Some(user), None) => SecretLocation::Basic { user: user.clone() },
            (None, None, None, Some(scope)) => SecretLocation::AwsSignature(scope),
            _ => {
                return Err(
                    "it has exactly one location; write one of header = \"authorization\", query = \"key\", basic = \"user\" or \
                     sigv4 = { access_key_id, region, service }"
                        .to_owned(),
                );
            }
        };
        SecretInjection::new(self.to.clone(), place, self.value.clone(), value)
            .map_err(|error| error.to_string())
    }
}

/// Names of variables that the host gives to every call.
const OWN_VARIABLES: [&str; 2] = ["wasm_id", "storage_key"];
/// The longest name of a variable.
const MAX_VARIABLE_NAME: usize = 64;

/// Checks the variables of a table.
fn variables(table: &str, set: &BTreeMap<String, String>) -> Result<(), String> {
    if set.len() > MAX_ENTRIES {
        return Err(format!(
            "{table}: {} entries; at most {MAX_ENTRIES} are allowed",
            set.len()
        ));
    }
    for (name, value) in set {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = name.bytes().all(plain)
            && name.len() <= MAX_VARIABLE_NAME
            && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !is_name {
            return Err(format!(
                "{table}: not a name of a variable: got {name:?}. Write up to {MAX_VARIABLE_NAME} letters, digits and underscores, not a digit first, such as API_URL"
            ));
        }
        if OWN_VARIABLES.contains(&name.as_str()) {
            return Err(format!(
                "{table}: `{name}` is set by the server. Choose another name"
            ));
        }
        if value.contains('\0') {
            return Err(format!(
                "{table}: the value of `{name}` has a zero byte. Leave it out"
            ));
        }
    }
    Ok(())
}

/// Reads JSON, and names the field that does not fit.
fn of_json(text: &str) -> Result<Declaration, Fault> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (field, why) = (error.path().to_string(), wording::of_json(error.inner()));
        match field.as_str() {
            "." => wrong(why),
            field => wrong(format!("{field}: {why}")),
        }
    })?;
    let ended = reader.end();
    ended.map_err(|error| wrong(wording::of_json(&error)))?;
    Ok(read)
}

/// The position and the problem, without the line itself, because people write a secret where its template belongs.
fn in_line(text: &str, error: &toml::de::Error) -> String {
    let message = match nearest_field(error.message()) {
        Some((wrong, near)) => format!("unknown field `{wrong}`; did you mean `{near}`?"),
        None => wording::plain(error.message()),
    };
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message;
    };
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let field = line.split_once('=').map_or("", |(field, _)| field.trim());
    match field {
        "" => format!("line {number}: {message}"),
        field => format!("line {number}, {field}: {message}"),
    }
}

fn wrong(problem: String) -> Fault {
    Fault::new(
        FaultKind::Declaration,
        format!("function.toml: {}", problem.trim_end()),
    )
}
