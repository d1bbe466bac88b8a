//! Loaded functions: they are read from the store, made callable ([`load`]), and kept for later calls.
//!
//! No function is loaded at start-up. A function is loaded only once even if many calls need it at the same time, and
//! the least used functions are evicted when there are too many.

mod failures;
mod lines;
mod load;
mod loaded;

use crate::call_log::{CallLog, LogHandle};
use crate::callback::RequestTarget;
use crate::grants::{Ceiling, EffectiveGrants};
use crate::http::truncate;
use crate::metrics::{FunctionMetrics, Metrics};
use crate::schema::Schemas;
use crate::settings::Settings;
use iof_command::Grants;
use iof_engine::{Engine, Environment, Limits};
use iof_fault::{Fault, FaultKind};
use iof_store::{KeyHash, SecretKeys, Store};
pub(crate) use lines::put_lines;
pub(crate) use loaded::LoadedFigures;
use loaded::LoadedFunctions;
use quick_cache::sync::Cache;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A function, ready to be called.
pub(crate) struct LoadedFunction {
    /// The function's rows in the store; `LoadedFunction` dereferences to them.
    spec: Arc<FunctionSpec>,
    pub(crate) code: Arc<iof_engine::Function>,
    /// The canary version, and the percentage of calls that run it.
    canary: Option<(Arc<LoadedFunction>, u8)>,
}

/// A version of a function without its code: the data that calls need.
///
/// It is kept when the code is evicted, and with it the counters of the version's limits.
pub(crate) struct FunctionSpec {
    /// The value of the function's change counter when the row was read from the store.
    change: u64,
    sha256: [u8; 32],
    pub(crate) environment: Arc<Environment>,
    pub(crate) usage_key: Option<KeyHash>,
    pub(crate) admin_key: KeyHash,
    /// The target to which every result is sent.
    pub(crate) callback: Option<RequestTarget>,
    /// The log of the function's calls.
    pub(crate) log: LogHandle,
    /// The metrics of the function's calls.
    pub(crate) metrics: Arc<FunctionMetrics>,
    /// The grants and limits of the function's calls.
    pub(crate) granted: EffectiveGrants,
    /// The number of the function.
    pub(crate) id: i64,
    /// The version that runs.
    pub(crate) version: i64,
    /// The number of the function as text, for records.
    pub(crate) name: Arc<str>,
    /// The name that its owner gave it.
    pub(crate) label: Option<Arc<str>>,
    /// The schemas of its arguments, compiled when they are first needed.
    pub(crate) schemas: Schemas,
}

impl Deref for LoadedFunction {
    type Target = FunctionSpec;

    fn deref(&self) -> &FunctionSpec {
        &self.spec
    }
}

/// The functions that are loaded.
pub(crate) struct Functions {
    engine: Engine,
    store: Store,
    call_log: Arc<CallLog>,
    metrics: Arc<Metrics>,
    policy: Policy,
    loaded: LoadedFunctions,
    /// The specs of functions without a canary that were loaded once.
    specs: Cache<i64, Arc<FunctionSpec>>,
    failures: failures::Failures,
    lines: lines::LineTables,
    /// Numbers of functions by name. A function keeps its name; the name of a deleted function is looked up again.
    names: Cache<Box<str>, i64>,
    /// Counters of changes since the start. A row that was read before a change is not used for calls after the change,
    /// however late it arrives in `loaded`.
    changes: Box<[AtomicU64; CHANGES]>,
}

/// The operator's settings that determine the grants and limits of functions.
pub(crate) struct Policy {
    pub(crate) ceiling: Ceiling,
    /// The grants of modules that were uploaded without grants.
    pub(crate) defaults: Arc<Grants>,
    /// The limits of every call.
    pub(crate) limits: Arc<Limits>,
    pub(crate) settings: Settings,
    /// The keys that secrets are encrypted under.
    pub(crate) secret_keys: SecretKeys,
}

/// The number of change counters.
const CHANGES: usize = 1 << 14;
/// The most functions that are cached by number or name without being loaded.
const KNOWN: usize = 1 << 16;

impl Functions {
    pub(crate) fn new(
        engine: Engine,
        store: Store,
        call_log: Arc<CallLog>,
        metrics: Arc<Metrics>,
        policy: Policy,
    ) -> Self {
        Self {
            loaded: LoadedFunctions::new(engine.capacity()),
            engine,
            store,
            call_log,
            metrics,
            policy,
            specs: Cache::new(KNOWN),
            failures: failures::Failures::new(),
            lines: lines::LineTables::default(),
            names: Cache::new(KNOWN),
            changes: Box::new([const { AtomicU64::new(0) }; CHANGES]),
        }
    }

    /// Picks the version for one call: the active one, or the canary by its percentage.
    ///
    /// # Errors
    /// `no-such-function`, or the fault that kept the function from being loaded.
    pub(crate) async fn get(&self, id: i64) -> Result<Arc<LoadedFunction>, Fault> {
        let loaded = self.current(id).await?;
        Ok(match &loaded.canary {
            Some((canary, percent)) if rand::random_range(0..100) < *percent => Arc::clone(canary),
            _ => loaded,
        })
    }

    /// A given version of a function, whether it is active or not.
    ///
    /// # Errors
    /// `no-such-function`, `no-such-version`, or the fault that kept the version from being loaded.
    pub(crate) async fn exactly(&self, id: i64, number: i64) -> Result<Arc<LoadedFunction>, Fault> {
        let loaded = self.current(id).await?;
        if loaded.version == number {
            return Ok(loaded);
        }
        if let Some((canary, _)) = loaded
            .canary
            .as_ref()
            .filter(|(of, _)| of.version == number)
        {
            return Ok(Arc::clone(canary));
        }
        let function = self.store.function(id).await?;
        let function = function.ok_or_else(|| Fault::no_such_function(id))?;
        let version = self.store.version(id, number).await?;
        let version = version.ok_or_else(|| Fault::no_such_version(id, number))?;
        let made = self.make(&function, &version, loaded.change, &[]).await?;
        Ok(Arc::new(made))
    }

    /// Picks the version for one call of the function of this name.
    ///
    /// # Errors
    /// The errors of [`Functions::get`].
    pub(crate) async fn get_named(&self, name: &str) -> Result<Arc<LoadedFunction>, Fault> {
        let unknown = || Fault::no_such_function(truncate(name));
        let number = self.named(name).await?.ok_or_else(unknown)?;
        match self.get(number).await {
            // The name of a deleted function may belong to another one now.
            Err(fault) if fault.kind == FaultKind::NoSuchFunction => {
                self.names.remove(name);
                let number = self.named(name).await?.ok_or_else(unknown)?;
                self.get(number).await
            }
            other => other,
        }
    }

    /// The number of the function of this name.
    ///
    /// # Errors
    /// The errors of the store.
    pub(crate) async fn named(&self, name: &str) -> Result<Option<i64>, Fault> {
        if let Some(id) = self.names.get(name) {
            return Ok(Some(id));
        }
        let id = self.store.named(name).await?;
        if let Some(id) = id {
            self.names.insert(name.into(), id);
        }
        Ok(id)
    }

    async fn current(&self, id: i64) -> Result<Arc<LoadedFunction>, Fault> {
        match self.loaded.get(id) {
            Some(loaded) if self.is_current(id, &loaded) => Ok(loaded),
            // Boxed, so that not every call carries the large future of a rare load.
            earlier => Box::pin(self.find(id, earlier)).await,
        }
    }

    async fn find(
        &self,
        id: i64,
        mut earlier: Option<Arc<LoadedFunction>>,
    ) -> Result<Arc<LoadedFunction>, Fault> {
        loop {
            self.loaded
                .remove_if(id, |loaded| !self.is_current(id, loaded));
            let loading = Box::pin(self.load(id, earlier.as_deref()));
            let loaded = self.loaded.get_or_load(id, loading).await?;
            // If the function changed while it was being loaded, it is loaded again.
            if self.is_current(id, &loaded) {
                return Ok(loaded);
            }
            earlier = Some(loaded);
        }
    }

    /// The figures of the loaded functions.
    pub(crate) fn figures(&self) -> LoadedFigures {
        self.loaded.figures()
    }

    /// Makes later calls see a change that is in the store. Calls in progress continue with the old version.
    pub(crate) fn changed(&self, id: i64) {
        self.change(id).fetch_add(1, Ordering::AcqRel);
    }

    /// Makes later calls of all functions see changes that are in the store.
    pub(crate) fn all_changed(&self) {
        for change in &*self.changes {
            change.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn is_current(&self, id: i64, loaded: &LoadedFunction) -> bool {
        loaded.change == self.change(id).load(Ordering::Acquire)
    }

    /// The change counter of a function. Functions share counters, so a change of one causes a few others to be looked
    /// up again.
    fn change(&self, id: i64) -> &AtomicU64 {
        let at = usize::try_from(id).unwrap_or_default() % CHANGES;
        &self.changes[at]
    }
}
