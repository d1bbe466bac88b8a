//! The grants of one version, as its calls use them.

use super::allowed_origins::AllowedOrigins;
use super::declaration::Record;
use super::rate_limiter::RateLimiter;
use crate::concurrency::ConcurrencyLimiter;
use iof_command::Grants;
use iof_egress::{SecretInjections, SigningKey};
use iof_engine::{InstancePool, Limits};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;

/// The grants and limits that calls of one function run with.
pub(crate) struct EffectiveGrants {
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) secrets: Arc<SecretInjections>,
    /// The limiter of its concurrent calls: its own, or its share of the server.
    pub(crate) limiter: Option<ConcurrencyLimiter>,
    pub(crate) rate: Option<Arc<RateLimiter>>,
    pub(crate) record: Record,
    /// The callers who may run calls as jobs, and the terms.
    pub(crate) jobs: JobGrants,
    /// Pages of other origins that may call the function.
    pub(crate) cors: AllowedOrigins,
    pub(crate) callers_may: CallerNamedTargets,
    /// Its environment variables.
    pub(crate) variables: Vec<(String, String)>,
    /// Instances that serve more than one call; `None` for a fresh instance for each.
    pub(crate) instances: Option<InstancePool>,
}

/// The jobs of a version.
#[derive(Clone, Debug)]
pub(crate) struct JobGrants {
    /// True if every caller may run calls as jobs; if false, only holders of a key may.
    pub(crate) public: bool,
    /// The most times that a job that fails is begun.
    pub(crate) attempts: u32,
    /// The longest time of one attempt.
    pub(crate) timeout: Option<Duration>,
    /// The time within which a job has to begin.
    pub(crate) ttl: Option<Duration>,
    /// The most jobs that wait.
    pub(crate) length: Option<u32>,
    /// The key with which callbacks are signed.
    pub(crate) callback_key: Option<SigningKey>,
}

impl Default for JobGrants {
    fn default() -> Self {
        Self {
            public: false,
            attempts: 1,
            timeout: None,
            ttl: None,
            length: None,
            callback_key: None,
        }
    }
}

/// Requests whose target a caller may name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallerNamedTargets {
    fetch: bool,
    callback: bool,
}

impl CallerNamedTargets {
    pub(super) fn new(fetch: bool, callback: bool) -> Self {
        Self { fetch, callback }
    }

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

impl EffectiveGrants {
    /// The grants of a version without a declaration.
    pub(crate) fn undeclared(
        defaults: &Arc<Grants>,
        limits: &Arc<Limits>,
        limiter: Option<ConcurrencyLimiter>,
    ) -> Self {
        Self {
            grants: Arc::clone(defaults),
            limits: Arc::clone(limits),
            secrets: Arc::default(),
            limiter,
            rate: None,
            record: Record::Off,
            jobs: JobGrants::default(),
            cors: AllowedOrigins::default(),
            // As in 2020, when functions had no declarations.
            callers_may: CallerNamedTargets {
                fetch: true,
                callback: true,
            },
            variables: vec![],
            instances: None,
        }
    }

    /// Takes over the counters of equal limits from `earlier`, so that a change of a function's state does not admit a
    /// burst.
    pub(crate) fn go_on_from(&mut self, earlier: &Self) {
        if let (Some(limiter), Some(before)) = (&mut self.limiter, &earlier.limiter)
            && limiter.limit() == before.limit()
        {
            *limiter = before.clone();
        }
        if let (Some(rate), Some(before)) = (&mut self.rate, &earlier.rate)
            && rate.rate() == before.rate()
        {
            *rate = Arc::clone(before);
        }
    }
}

fn not_callers(name: &str, line: &str) -> Fault {
    Fault::new(
        FaultKind::CallerRequest,
        format!(
            "{name} is not allowed: callers of this function may not name a {line}. Leave it out, or add callers_may = [\"{line}\"] \
             to its function.toml."
        ),
    )
}
