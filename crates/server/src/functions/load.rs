//! Loading a function: from its row in the store to code that can be called, compiled if need be, and its grants.

use super::{FunctionSpec, Functions, LoadedFunction, Policy};
use crate::callback::RequestTarget;
use crate::concurrency::ConcurrencyLimiter;
use crate::grants::{Ceiling, EffectiveGrants};
use crate::parsing::blocking;
use crate::schema::{self, Schemas};
use crate::warnings;
use iof_egress::SecretValue;
use iof_engine::{Environment, Manifest};
use iof_fault::{Fault, Source};
use iof_store::{SecretKeys, Version};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Functions {
    /// `earlier` is the function as it was loaded before it changed.
    pub(super) async fn load(
        &self,
        id: i64,
        earlier: Option<&LoadedFunction>,
    ) -> Result<Arc<LoadedFunction>, Fault> {
        self.loaded.count();
        // Taken before the row is read, so that a change that comes after makes this reading outdated.
        let change = self.change(id).load(Ordering::Acquire);
        if let Some(spec) = self.specs.get(&id)
            && spec.change == change
        {
            let code = Arc::new(self.code(id, spec.sha256).await?);
            spec.metrics.loaded();
            return Ok(Arc::new(LoadedFunction {
                spec,
                code,
                canary: None,
            }));
        }
        let function = self
            .store
            .function(id)
            .await?
            .ok_or_else(|| Fault::no_such_function(id))?;
        // Parts that were loaded before are used again if they are the same.
        let before = earlier.map(|earlier| {
            let canary = earlier.canary.as_ref().map(|(canary, _)| &**canary);
            [Some(earlier), canary]
        });
        let before = before.unwrap_or_default();
        let mut loaded = self
            .make(&function, &function.version, change, &before)
            .await?;
        match &function.canary {
            Some(canary) => {
                let made = self
                    .make(&function, &canary.version, change, &before)
                    .await?;
                loaded.canary = Some((Arc::new(made), canary.percent.get()));
            }
            None => self.specs.insert(id, Arc::clone(&loaded.spec)),
        }
        Ok(Arc::new(loaded))
    }

    /// One version of a function, ready to be called.
    pub(super) async fn make(
        &self,
        function: &iof_store::Function,
        version: &Version,
        change: u64,
        before: &[Option<&LoadedFunction>],
    ) -> Result<LoadedFunction, Fault> {
        let (id, sha256) = (function.function_id, version.sha256);
        let mut before = before.iter().flatten();
        // A draft is loaded again: it may have been compiled in full since.
        let mut same = before.clone().filter(|earlier| earlier.sha256 == sha256);
        let code = match same.find(|earlier| !earlier.code.manifest().draft) {
            Some(earlier) => Arc::clone(&earlier.code),
            None => Arc::new(self.code(id, sha256).await?),
        };
        let mut granted = self
            .granted(function, version.declaration.as_deref())
            .await?;
        if let Some(earlier) = before.find(|earlier| earlier.version == version.number) {
            granted.go_on_from(&earlier.granted);
        }
        // The text was validated when it was stored.
        let callback = RequestTarget::callback(&function.callback)?;
        let spec = FunctionSpec {
            change,
            callback,
            ..self.spec(function, version, granted)
        };
        spec.metrics.loaded();
        Ok(LoadedFunction {
            spec: Arc::new(spec),
            code,
            canary: None,
        })
    }

    fn spec(
        &self,
        function: &iof_store::Function,
        version: &Version,
        granted: EffectiveGrants,
    ) -> FunctionSpec {
        let id = function.function_id;
        let state: Arc<str> = function.state.as_str().into();
        let number = id.to_string();
        let name = function.name.as_deref().unwrap_or(&number);
        FunctionSpec {
            change: 0,
            sha256: version.sha256,
            log: self.call_log.of_function(id, &state),
            metrics: self.metrics.function(id, version.number, name),
            environment: Arc::new(Environment {
                state,
                variables: variables(id, function.storage_key.clone(), &granted),
            }),
            usage_key: function.usage_key_hash.clone(),
            admin_key: function.admin_key_hash.clone(),
            callback: None,
            name: number.into(),
            label: function.name.as_deref().map(Into::into),
            granted,
            id,
            version: version.number,
            schemas: Schemas::default(),
        }
    }

    /// Loads a version for a replay, with the recorded state, and without secrets and its own limits.
    ///
    /// # Errors
    /// The fault that keeps it from being loaded.
    pub(crate) async fn for_replay(
        &self,
        id: i64,
        version: &Version,
        state: &str,
    ) -> Result<Arc<LoadedFunction>, Fault> {
        let Policy {
            ceiling,
            defaults,
            limits,
            ..
        } = &self.policy;
        let granted = match version.declaration.as_deref() {
            None => EffectiveGrants::undeclared(defaults, limits, None),
            Some(text) => {
                let declaration = ceiling.read(text)?;
                let limits = Arc::new(ceiling.limits(&declaration)?);
                EffectiveGrants {
                    variables: declaration.variables.clone().into_iter().collect(),
                    ..EffectiveGrants::undeclared(&declaration.grants().into(), &limits, None)
                }
            }
        };
        let function = self.store.function(id).await?;
        let mut function = function.ok_or_else(|| Fault::no_such_function(id))?;
        function.state = state.to_owned();
        let code = Arc::new(self.code(id, version.sha256).await?);
        Ok(Arc::new(LoadedFunction {
            spec: Arc::new(self.spec(&function, version, granted)),
            code,
            canary: None,
        }))
    }

    /// The grants of a declaration under the current settings.
    pub(crate) async fn granted(
        &self,
        function: &iof_store::Function,
        declaration: Option<&str>,
    ) -> Result<EffectiveGrants, Fault> {
        let Policy {
            ceiling,
            defaults,
            limits,
            settings,
            ..
        } = &self.policy;
        let Some(text) = declaration else {
            let share = ConcurrencyLimiter::of_function(None, settings);
            return Ok(EffectiveGrants::undeclared(defaults, limits, share));
        };
        let declaration = ceiling.read(text)?;
        let values = match declaration.secret_names().is_empty() {
            true => vec![],
            false => self.secrets(function.function_id).await?,
        };
        let number = function.function_id.to_string();
        let name = function.name.as_deref().unwrap_or(&number);
        let mut granted = ceiling.grant(name, &declaration, &values, settings)?;
        let reuse = declaration.reuse.as_ref();
        granted.instances = reuse.map(|reuse| self.engine.instance_pool(reuse.conditions()));
        Ok(granted)
    }

    /// The decrypted secrets of a function.
    async fn secrets(&self, id: i64) -> Result<Vec<(String, SecretValue)>, Fault> {
        let keys = self.secret_keys();
        let secrets = self.store.secrets(keys, id).await?;
        secrets
            .into_iter()
            .map(|(name, value)| {
                let value = std::str::from_utf8(value.expose())
                    .ok()
                    .and_then(|text| SecretValue::new(text).ok());
                // The name was validated when the secret was set.
                let value = value.ok_or_else(|| Fault::host("A secret cannot be read.", &name))?;
                Ok((name, value))
            })
            .collect()
    }

    /// The keys that secrets are encrypted under.
    pub(crate) fn secret_keys(&self) -> &SecretKeys {
        &self.policy.secret_keys
    }

    /// The most that a version can declare.
    pub(crate) fn ceiling(&self) -> &Ceiling {
        &self.policy.ceiling
    }

    /// Checks that a version can be called, before it gets calls.
    ///
    /// # Errors
    /// The fault that keeps it from being loaded; the store refuses a version that does not exist.
    pub(crate) async fn loads(&self, id: i64, number: i64) -> Result<(), Fault> {
        let version = self.store.version(id, number).await?;
        if let Some(version) = version {
            self.code(id, version.sha256).await?;
        }
        Ok(())
    }

    async fn code(&self, id: i64, sha256: [u8; 32]) -> Result<iof_engine::Function, Fault> {
        self.failures.check(&sha256)?;
        if let Some(code) = self.kept(sha256).await? {
            return Ok(code);
        }
        let _turn = self.failures.turn(&sha256).await;
        // Another task may have made the attempt before.
        self.failures.check(&sha256)?;
        if let Some(code) = self.kept(sha256).await? {
            return Ok(code);
        }
        let rebuilt = self.rebuild(id, sha256).await;
        if let Err(fault) = &rebuilt {
            self.failures.note(sha256, fault);
        }
        rebuilt
    }

    /// The stored code, if it is usable.
    ///
    /// # Errors
    /// `memory`, because compiling again would not make the code smaller.
    async fn kept(&self, sha256: [u8; 32]) -> Result<Option<iof_engine::Function>, Fault> {
        let engine = self.engine.clone();
        let loaded = self
            .store
            .artefact(self.engine.fingerprint(), sha256, move |artefact| {
                engine.load(artefact)
            });
        match loaded.await? {
            Some(Ok(code)) => Ok(Some(code)),
            Some(Err(fault)) if fault.kind.source() == Source::Limit => Err(fault),
            Some(Err(_)) | None => Ok(None),
        }
    }

    /// Compiles a module from its source, after an upgrade or when its artefact was lost or damaged.
    async fn rebuild(&self, id: i64, sha256: [u8; 32]) -> Result<iof_engine::Function, Fault> {
        tracing::info!(function = id, "compiling again: no usable compiled code");
        let source = self.store.source(sha256).await?.ok_or_else(|| {
            Fault::host(
                "The function's module is missing from the store.",
                format!("no source for function {id}"),
            )
        })?;
        let compiled = self.engine.compile(source).await?;
        self.store
            .put_artefact(self.engine.fingerprint(), sha256, &compiled.artefact)
            .await?;
        let engine = self.engine.clone();
        let (code, flaws) = blocking(move || {
            let code = engine.load(&compiled.artefact);
            (code, schema::flaws(&compiled.manifest))
        })
        .await?;
        for flaw in flaws {
            // A release that did not check descriptions stored this version.
            tracing::warn!(
                function = id,
                "{flaw} Calls skip that check. Deploy a version without the flaw."
            );
        }
        code
    }

    /// Defects of a version that do not prevent calls.
    ///
    /// # Errors
    /// The fault that keeps it from being loaded.
    pub(crate) async fn warnings(&self, id: i64, version: &Version) -> Result<Vec<String>, Fault> {
        let stored: Option<Manifest> = serde_json::from_str(&version.manifest).ok();
        match stored.filter(|manifest| manifest.descriptions_checked) {
            // Unreadable descriptions would have been refused.
            Some(manifest) => Ok(warnings::of_code(&manifest)),
            // An earlier release stored the version without checking descriptions.
            None => {
                let code = self.code(id, version.sha256).await?;
                blocking(move || warnings::of(code.manifest())).await
            }
        }
    }
}

/// The environment of every call.
fn variables(id: i64, storage_key: String, granted: &EffectiveGrants) -> Vec<(String, String)> {
    let own = [
        ("wasm_id".to_owned(), id.to_string()),
        ("storage_key".to_owned(), storage_key),
    ];
    own.into_iter()
        .chain(granted.variables.iter().cloned())
        .collect()
}
