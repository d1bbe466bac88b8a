//! The ceiling: the most that a version can declare, and the grants of a version within it.

use super::declaration::{CallerRequest, Declaration};
use super::declared_jobs::DeclaredJobs;
use super::declared_signing::DeclaredSigning;
use super::effective::{CallerNamedTargets, EffectiveGrants, JobGrants};
use super::rate_limiter::RateLimiter;
use crate::concurrency::ConcurrencyLimiter;
use crate::settings::{JobCeiling, ScheduleLimits, Settings};
use iof_command::Grants;
use iof_egress::{
    KeyEncoding, KeyUse, Rule, SecretInjections, SecretValue, SigningAlgorithm, SigningKey,
};
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
    pub(crate) schedules: ScheduleLimits,
    pub(crate) jobs: JobCeiling,
}

impl Ceiling {
    /// Reads a declaration, TOML or JSON, and refuses one that exceeds this ceiling.
    ///
    /// # Errors
    /// `declaration`, naming the field; `ceiling`, naming the declared value and the setting that refuses it.
    pub(crate) fn read(&self, text: &str) -> Result<Declaration, Fault> {
        let declaration = Declaration::parse(text)?;
        self.check(&declaration)?;
        Ok(declaration)
    }

    fn check(&self, declared: &Declaration) -> Result<(), Fault> {
        let known = &self.grants.commands;
        let own: Vec<_> = declared
            .signing
            .iter()
            .flat_map(DeclaredSigning::commands)
            .collect();
        let mut beyond_it = declared.commands.difference(known);
        if let Some(command) = beyond_it.find(|command| !own.contains(&command.as_str())) {
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
            let wide = |rule: &&Rule| {
                let any_port = format!("{rule}:*").parse::<Rule>();
                any_port.is_ok_and(|any_port| any_port.covers(wanted))
            };
            let port = match self.grants.outbound.0.iter().find(wide) {
                Some(rule) => format!(
                    "; `{rule}` covers it except for the port: a rule without a port covers only 80 and 443"
                ),
                None => String::new(),
            };
            return Err(beyond(format!(
                "outbound: no rule of this server covers `{wanted}` ([ceiling] outbound: {}{port})",
                list(&rules)
            )));
        }
        if declared.storage && !self.grants.storage {
            return Err(beyond(
                "storage: this server does not grant storage ([ceiling] storage = false)".into(),
            ));
        }
        if let Some(wanted) = declared.concurrency.filter(|&n| n > self.concurrency) {
            return Err(beyond(format!(
                "concurrency = {wanted} is more than server.concurrency = {}",
                self.concurrency
            )));
        }
        let (schedules, most) = (declared.schedule.len(), self.schedules.number);
        if schedules > most as usize {
            return Err(beyond(format!(
                "schedule: {schedules} entries are more than server.schedules = {most}"
            )));
        }
        for (at, schedule) in declared.schedule.iter().enumerate() {
            let problem = |problem| beyond(format!("schedule[{at}].{problem}"));
            schedule.fits(&self.schedules).map_err(problem)?;
        }
        let limits = self.limits(declared)?;
        let fits = declared.jobs.fits(&self.jobs, limits.wall_time);
        fits.map_err(beyond)
    }

    /// The limits of a version: the server's, or the lower ones that it declares.
    ///
    /// # Errors
    /// `ceiling`
    pub(crate) fn limits(&self, declared: &Declaration) -> Result<Limits, Fault> {
        self.limits.narrowed(&declared.limits).map_err(beyond)
    }

    /// The terms on which the jobs of a version run; `value` is the decrypted value of a secret by its name.
    fn job_grants(
        &self,
        declared: &DeclaredJobs,
        value: impl Fn(&str) -> Result<SecretValue, Fault>,
    ) -> Result<JobGrants, Fault> {
        let signed = |name: &String| {
            let (hmac, uses) = (SigningAlgorithm::HmacSha256, vec![KeyUse::Sign]);
            let key = SigningKey::new(name, hmac, KeyEncoding::Text, uses, value(name)?);
            Ok::<_, Fault>(key)
        };
        Ok(JobGrants {
            public: declared.public,
            attempts: declared.attempts.unwrap_or(1),
            timeout: declared.timeout,
            ttl: declared.ttl,
            length: declared.length,
            callback_key: declared.callback_secret.as_ref().map(signed).transpose()?,
        })
    }

    /// The grants of a version whose declaration was [read](Ceiling::read) with this ceiling.
    ///
    /// # Errors
    /// `secret-not-set`; the errors of a secret's location.
    pub(crate) fn grant(
        &self,
        function: &str,
        declared: &Declaration,
        values: &[(String, SecretValue)],
        settings: &Settings,
    ) -> Result<EffectiveGrants, Fault> {
        let value = |name: &str| {
            let value = values.iter().find(|(known, _)| known == name);
            let (_, value) = value.ok_or_else(|| not_set(function, name))?;
            Ok::<_, Fault>(value.clone())
        };
        let secrets = declared
            .secrets
            .iter()
            .map(|secret| {
                let name = secret.value.name();
                let placement = |problem: String| {
                    let message = format!("secret {name}: {problem}");
                    Fault::new(FaultKind::SecretPlacement, message)
                };
                secret.attachment(value, placement)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let signing = declared.signing.iter();
        let signing = signing.map(|signing| signing.key(value));
        let signing = signing.collect::<Result<Vec<_>, Fault>>()?;
        let secrets = SecretInjections::with_signing(secrets, signing)
            .map_err(|error| Fault::new(FaultKind::SecretPlacement, error.to_string()))?;
        Ok(EffectiveGrants {
            grants: Arc::new(declared.grants()),
            limits: Arc::new(self.limits(declared)?),
            secrets: Arc::new(secrets),
            limiter: ConcurrencyLimiter::of_function(declared.concurrency, settings),
            rate: declared.rate.map(|rate| Arc::new(RateLimiter::new(rate))),
            record: declared.record,
            jobs: self.job_grants(&declared.jobs, value)?,
            cors: declared.cors.clone(),
            callers_may: CallerNamedTargets::new(
                declared.callers_may.contains(&CallerRequest::Fetch),
                declared.callers_may.contains(&CallerRequest::Callback),
            ),
            variables: declared.variables.clone().into_iter().collect(),
            instances: None,
        })
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

fn not_set(function: &str, name: &str) -> Fault {
    Fault::new(
        FaultKind::SecretNotSet,
        format!(
            "The function declares the secret {name}, which is not set. Set it: `iof secret set {function} {name}`."
        ),
    )
}

fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.join(", "),
    }
}
