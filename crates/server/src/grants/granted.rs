//! The ceiling, and what is granted below it.

use super::Record;
use super::declaration::{CallerRequest, Declaration};
use super::pace::Pace;
use crate::gate::Gate;
use crate::settings::Settings;
use iof_commands::Grants;
use iof_egress::{Attachments, SecretValue};
use iof_engine::Limits;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;

/// The most that a version can declare.
#[derive(Debug)]
pub(crate) struct Ceiling {
    pub(crate) grants: Grants,
    pub(crate) limits: Arc<Limits>,
    /// `server.concurrency`
    pub(crate) concurrency: u32,
}

/// What calls of one function run with.
pub(crate) struct Granted {
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) secrets: Arc<Attachments>,
    /// Its own limit of calls at a time.
    pub(crate) gate: Option<Arc<Gate>>,
    pub(crate) pace: Option<Arc<Pace>>,
    pub(crate) record: Record,
    /// Whether whoever may call it may have the answer fetched later; else only holders of a key.
    pub(crate) jobs: bool,
    pub(crate) callers_may: CallersMay,
}

/// Requests whose target a caller may name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallersMay {
    fetch: bool,
    callback: bool,
}

impl CallersMay {
    /// # Errors
    /// `caller-request`
    pub(crate) fn fetch(self) -> Result<(), Fault> {
        match self.fetch {
            true => Ok(()),
            false => Err(not_callers("SSVM_Fetch", "fetch")),
        }
    }

    /// # Errors
    /// `caller-request`
    pub(crate) fn call_back(self) -> Result<(), Fault> {
        match self.callback {
            true => Ok(()),
            false => Err(not_callers("SSVM_Callback", "callback")),
        }
    }
}

impl Ceiling {
    /// Refuses what goes beyond it.
    ///
    /// # Errors
    /// `ceiling`, naming what was declared and the setting that refuses it.
    pub(crate) fn check(&self, declared: &Declaration) -> Result<(), Fault> {
        let known = &self.grants.commands;
        if let Some(command) = declared.commands.difference(known).next() {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            return Err(beyond(format!(
                "commands: `{command}` is not among those that this server grants ([ceiling] commands: {})",
                list(&known)
            )));
        }
        let rules = &self.grants.outbound;
        if let Some(wanted) = declared
            .outbound
            .0
            .iter()
            .find(|wanted| rules.covers(wanted).is_none())
        {
            let rules: Vec<_> = rules.0.iter().map(|rule| format!("`{rule}`")).collect();
            return Err(beyond(format!(
                "outbound: no rule of this server covers `{wanted}` ([ceiling] outbound: {})",
                list(&rules)
            )));
        }
        if declared.storage && !self.grants.storage {
            return Err(beyond(
                "storage: this server grants none ([ceiling] storage = false)".into(),
            ));
        }
        if let Some(wanted) = declared.concurrency.filter(|&n| n > self.concurrency) {
            return Err(beyond(format!(
                "concurrency = {wanted} is more than server.concurrency = {}",
                self.concurrency
            )));
        }
        self.limits(declared).map(drop)
    }

    /// The server's limits, and those of a version where it declares lower ones.
    ///
    /// # Errors
    /// `ceiling`
    pub(crate) fn limits(&self, declared: &Declaration) -> Result<Limits, Fault> {
        self.limits.narrowed(&declared.limits).map_err(beyond)
    }

    /// What a version gets whose declaration was [read](Declaration::read) below this ceiling.
    ///
    /// # Errors
    /// `secret-not-set`; those of the place of a secret.
    pub(crate) fn grant(
        &self,
        id: i64,
        declared: &Declaration,
        values: &[(String, SecretValue)],
        settings: &Settings,
    ) -> Result<Granted, Fault> {
        let secrets = declared
            .secrets
            .iter()
            .map(|secret| {
                let name = secret.value.name();
                let value = values.iter().find(|(known, _)| known == name);
                let (_, value) = value.ok_or_else(|| not_set(id, name))?;
                secret.attachment(value.clone()).map_err(|problem| {
                    Fault::new(
                        FaultKind::SecretPlacement,
                        format!("secret {name}: {problem}"),
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let secrets = Attachments::new(secrets)
            .map_err(|error| Fault::new(FaultKind::SecretPlacement, error.to_string()))?;
        Ok(Granted {
            grants: Arc::new(declared.grants()),
            limits: Arc::new(self.limits(declared)?),
            secrets: Arc::new(secrets),
            gate: declared
                .concurrency
                .map(|most| Arc::new(Gate::of_function(most, settings.queue, settings.queue_wait))),
            pace: declared.rate.map(|rate| Arc::new(Pace::new(rate))),
            record: declared.record,
            jobs: declared.jobs,
            callers_may: CallersMay {
                fetch: declared.callers_may.contains(&CallerRequest::Fetch),
                callback: declared.callers_may.contains(&CallerRequest::Callback),
            },
        })
    }
}

impl Granted {
    /// What a version gets that declared nothing.
    pub(crate) fn undeclared(defaults: &Arc<Grants>, limits: &Arc<Limits>) -> Self {
        Self {
            grants: Arc::clone(defaults),
            limits: Arc::clone(limits),
            secrets: Arc::default(),
            gate: None,
            pace: None,
            record: Record::Off,
            jobs: false,
            // As in 2020, when functions declared nothing.
            callers_may: CallersMay {
                fetch: true,
                callback: true,
            },
        }
    }

    /// Goes on counting where the same limits counted before: a change of a function's state must not let a burst in.
    pub(crate) fn go_on_from(&mut self, earlier: &Self) {
        if let (Some(gate), Some(before)) = (&mut self.gate, &earlier.gate)
            && gate.limit() == before.limit()
        {
            *gate = Arc::clone(before);
        }
        if let (Some(pace), Some(before)) = (&mut self.pace, &earlier.pace)
            && pace.rate() == before.rate()
        {
            *pace = Arc::clone(before);
        }
    }
}

fn beyond(what: String) -> Fault {
    Fault::new(
        FaultKind::Ceiling,
        format!(
            "The version declares more than this server allows. {what}. Declare less, or ask the operator for more."
        ),
    )
}

fn not_callers(name: &str, line: &str) -> Fault {
    Fault::new(
        FaultKind::CallerRequest,
        format!(
            "{name} is not allowed: callers of this function name no {line}. Leave it out, or add callers_may = [\"{line}\"] \
             to its function.toml."
        ),
    )
}

fn not_set(id: i64, name: &str) -> Fault {
    Fault::new(
        FaultKind::SecretNotSet,
        format!(
            "The function declares the secret {name}, which is not set. Set it: `iof secret set {id} {name}`."
        ),
    )
}

fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.join(", "),
    }
}
