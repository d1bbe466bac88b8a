//! From what the store has of a function to one that can be called: its code, compiled if need be, and what it was
//! granted.

use super::{
    Functions, LoadFailure, Loaded, Policy, Rehearsal, no_such_function, no_such_version,
    store_fault,
};
use crate::grants::{Ceiling, Declaration, Granted};
use crate::schema::Schemas;
use crate::second_state::Target;
use iof_egress::SecretValue;
use iof_engine::{Environment, Fault, Manifest, Source};
use iof_store::{SecretKeys, Version};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the failure of a load is remembered, at least.
const FAILURE_PAUSE: Duration = Duration::from_secs(30);
/// And how many times as long as the attempt took: all attempts of one module take a twentieth of the time at most.
const FAILURE_SHARE: u32 = 20;

impl Functions {
    /// `earlier` is what was loaded before the function was changed.
    pub(super) async fn load(
        &self,
        id: i64,
        earlier: Option<&Loaded>,
    ) -> Result<Arc<Loaded>, Fault> {
        // Before the row is read: a change that comes after makes this reading an old one.
        let change = self.change(id).load(Ordering::Acquire);
        let function = self
            .store
            .function(id)
            .await
            .map_err(store_fault)?
            .ok_or_else(|| no_such_function(id))?;
        // What was loaded before serves again where it is still the same.
        let before = earlier.map(|earlier| {
            let canary = earlier.canary.as_ref().map(|(canary, _)| &**canary);
            [Some(earlier), canary]
        });
        let before = before.unwrap_or_default();
        let mut loaded = self
            .make(&function, &function.version, change, &before)
            .await?;
        if let Some(canary) = &function.canary {
            let made = self
                .make(&function, &canary.version, change, &before)
                .await?;
            loaded.canary = Some((Arc::new(made), canary.percent.get()));
        }
        Ok(Arc::new(loaded))
    }

    /// One version of a function, ready to be called.
    pub(super) async fn make(
        &self,
        function: &iof_store::Function,
        version: &Version,
        change: u64,
        before: &[Option<&Loaded>],
    ) -> Result<Loaded, Fault> {
        let (id, sha256) = (function.wasm_id, version.sha256);
        let mut before = before.iter().flatten();
        let code = match before.clone().find(|earlier| earlier.sha256 == sha256) {
            Some(earlier) => Arc::clone(&earlier.code),
            None => Arc::new(self.code(id, sha256).await?),
        };
        let mut granted = self.granted(id, version.declaration.as_deref()).await?;
        if let Some(earlier) = before.find(|earlier| earlier.version == version.number) {
            granted.go_on_from(&earlier.granted);
        }
        Ok(Loaded {
            change,
            sha256,
            code,
            environment: Arc::new(Environment {
                state: function.state.as_str().into(),
                variables: variables(id, function.storage_key.clone()),
            }),
            usage_key: function.usage_key_hash.clone(),
            admin_key: function.admin_key_hash.clone(),
            // It was read when it was stored.
            callback: Target::callback(&function.callback)?,
            ledger: self.journal.ledger(id),
            name: id.to_string().into(),
            label: function.name.as_deref().map(Into::into),
            granted,
            id,
            version: version.number,
            schemas: Schemas::default(),
            canary: None,
        })
    }

    /// A version as a replay runs it: with a state of then, and no way out.
    ///
    /// # Errors
    /// What keeps it from being loaded.
    pub(crate) async fn of_version(
        &self,
        id: i64,
        version: &Version,
        state: &str,
    ) -> Result<Rehearsal, Fault> {
        let Policy {
            ceiling,
            defaults,
            limits,
            ..
        } = &self.policy;
        let (grants, limits) = match version.declaration.as_deref() {
            None => (Arc::clone(defaults), Arc::clone(limits)),
            Some(text) => {
                let declaration = Declaration::read(text, ceiling)?;
                (
                    declaration.grants().into(),
                    ceiling.limits(&declaration)?.into(),
                )
            }
        };
        let function = self.store.function(id).await.map_err(store_fault)?;
        let function = function.ok_or_else(|| no_such_function(id))?;
        Ok(Rehearsal {
            code: self.code(id, version.sha256).await?,
            environment: Arc::new(Environment {
                state: state.into(),
                variables: variables(id, function.storage_key),
            }),
            grants,
            limits,
        })
    }

    /// What the settings of now grant to a declaration.
    pub(crate) async fn granted(
        &self,
        id: i64,
        declaration: Option<&str>,
    ) -> Result<Granted, Fault> {
        let Policy {
            ceiling,
            defaults,
            limits,
            settings,
            ..
        } = &self.policy;
        let Some(text) = declaration else {
            return Ok(Granted::undeclared(defaults, limits));
        };
        let declaration = Declaration::read(text, ceiling)?;
        let values = match declaration.secrets.is_empty() {
            true => vec![],
            false => self.secrets(id).await?,
        };
        ceiling.grant(id, &declaration, &values, settings)
    }

    /// The secrets of a function, in the clear.
    async fn secrets(&self, id: i64) -> Result<Vec<(String, SecretValue)>, Fault> {
        let keys = self.secret_keys()?;
        let secrets = self.store.secrets(keys, id).await.map_err(store_fault)?;
        secrets
            .into_iter()
            .map(|(name, value)| {
                let value = std::str::from_utf8(value.expose())
                    .ok()
                    .and_then(|text| SecretValue::new(text).ok());
                // It was checked when it was set.
                let value = value.ok_or_else(|| Fault::host("A secret cannot be read.", &name))?;
                Ok((name, value))
            })
            .collect()
    }

    /// The key that secrets are encrypted under.
    ///
    /// # Errors
    /// `secret-key`, when there is none.
    pub(crate) fn secret_keys(&self) -> Result<&SecretKeys, Fault> {
        self.policy.secret_keys.as_ref().ok_or_else(|| {
            Fault::new(
                "secret-key",
                Source::Host,
                503,
                "This server has no key to encrypt secrets with. Make one with `openssl rand -base64 32 > secrets.key`, \
                 and start the server with secrets.key_file = \"secrets.key\" (IOF_SECRETS_KEY_FILE).",
            )
        })
    }

    /// The most that a version can declare.
    pub(crate) fn ceiling(&self) -> &Ceiling {
        &self.policy.ceiling
    }

    /// Refuses a version that no call could run, before it becomes the active one or a canary.
    ///
    /// # Errors
    /// `no-such-version`, or what keeps it from being loaded.
    pub(crate) async fn check(&self, id: i64, number: i64) -> Result<(), Fault> {
        let version = self.store.version(id, number).await.map_err(store_fault)?;
        let version = version.ok_or_else(|| no_such_version(id, number))?;
        let code = self.code(id, version.sha256).await?;
        self.check_memory(code.manifest(), version.declaration.as_deref())
    }

    /// Refuses a module that begins with more memory than its version's calls may have.
    ///
    /// # Errors
    /// `memory`, or what is wrong with the declaration.
    pub(crate) fn check_memory(
        &self,
        manifest: &Manifest,
        declaration: Option<&str>,
    ) -> Result<(), Fault> {
        let Policy {
            ceiling, limits, ..
        } = &self.policy;
        match declaration {
            None => manifest.check_memory(limits),
            Some(text) => {
                manifest.check_memory(&ceiling.limits(&Declaration::read(text, ceiling)?)?)
            }
        }
    }

    /// The code of a module. A failure is remembered for a while: a module that cannot be compiled or loaded would
    /// otherwise cost a compile for every request that names it.
    async fn code(&self, id: i64, sha256: [u8; 32]) -> Result<iof_engine::Function, Fault> {
        if let Some(failure) = self.failures.get(&sha256)
            && Instant::now() < failure.until
        {
            return Err(failure.fault.clone());
        }
        let began = Instant::now();
        let code = self.load_code(id, sha256).await;
        if let Err(fault) = &code
            && fault.status != 503
        {
            let pause = FAILURE_PAUSE.max(began.elapsed() * FAILURE_SHARE);
            let failure = Arc::new(LoadFailure {
                fault: fault.clone(),
                until: Instant::now() + pause,
            });
            self.failures.insert(sha256, failure);
        }
        code
    }

    async fn load_code(&self, id: i64, sha256: [u8; 32]) -> Result<iof_engine::Function, Fault> {
        let kept = self
            .store
            .artefact(self.engine.fingerprint(), sha256)
            .await
            .map_err(store_fault)?;
        match kept.and_then(|artefact| self.engine.load(&artefact).ok()) {
            Some(code) => Ok(code),
            None => self.rebuild(id, sha256).await,
        }
    }

    /// Compiles from the source: after an upgrade, or when an artefact was lost or damaged.
    async fn rebuild(&self, id: i64, sha256: [u8; 32]) -> Result<iof_engine::Function, Fault> {
        tracing::info!(function = id, "compiling again: no usable compiled code");
        let source = self
            .store
            .source(sha256)
            .await
            .map_err(store_fault)?
            .ok_or_else(|| {
                Fault::host(
                    "The function's module is missing from the store.",
                    format!("no source for function {id}"),
                )
            })?;
        let compiled = self.engine.compile(source).await?;
        self.store
            .put_artefact(self.engine.fingerprint(), sha256, &compiled.artefact)
            .await
            .map_err(store_fault)?;
        self.engine.load(&compiled.artefact)
    }
}

/// What the environment of every call says.
fn variables(id: i64, storage_key: String) -> Vec<(String, String)> {
    vec![
        ("wasm_id".to_owned(), id.to_string()),
        ("storage_key".to_owned(), storage_key),
    ]
}
