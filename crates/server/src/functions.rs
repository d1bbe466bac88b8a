//! Functions that are loaded: found in the store, compiled if need be, kept for the next call.
//!
//! Nothing is loaded at start-up, however many functions there are. A function is loaded once even if many calls want
//! it at the same moment, and the least used ones make room when there are too many.

use crate::journal::{Journal, Ledger};
use crate::second_state::Target;
use iof_engine::{Engine, Environment, Fault, Source};
use iof_store::{KeyHash, Store};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// A function, ready to be called.
pub(crate) struct Loaded {
    pub(crate) code: iof_engine::Function,
    pub(crate) environment: Arc<Environment>,
    pub(crate) usage_key: Option<KeyHash>,
    /// Where every result goes.
    pub(crate) callback: Option<Target>,
    /// What its calls leave.
    pub(crate) ledger: Arc<Ledger>,
    /// Its number as text, for records.
    pub(crate) name: Arc<str>,
}

/// Those that are loaded.
pub(crate) struct Functions {
    engine: Engine,
    store: Store,
    journal: Arc<Journal>,
    loaded: Cache<i64, Arc<Loaded>>,
}

impl Functions {
    pub(crate) fn new(
        engine: Engine,
        store: Store,
        journal: Arc<Journal>,
        capacity: usize,
    ) -> Self {
        Self {
            engine,
            store,
            journal,
            loaded: Cache::new(capacity.max(1)),
        }
    }

    /// The function of that number.
    ///
    /// # Errors
    /// `no-such-function`, or what kept it from being loaded.
    pub(crate) async fn get(&self, id: i64) -> Result<Arc<Loaded>, Fault> {
        match self.loaded.get(&id) {
            Some(loaded) => Ok(loaded),
            // Boxed: loading is rare and its future large, and every call would carry it about.
            None => Box::pin(self.find(id)).await,
        }
    }

    async fn find(&self, id: i64) -> Result<Arc<Loaded>, Fault> {
        let loaded = self.loaded.get_or_insert_async(&id, self.load(id)).await?;
        // Deleted while it was being loaded: whoever deleted it found nothing here to forget.
        if self
            .store
            .function(id)
            .await
            .map_err(store_fault)?
            .is_none()
        {
            self.forget(id);
            return Err(no_such_function(id));
        }
        Ok(loaded)
    }

    /// Forgets a function that was changed or deleted. Calls under way keep what they have.
    pub(crate) fn forget(&self, id: i64) {
        self.loaded.remove(&id);
    }

    async fn load(&self, id: i64) -> Result<Arc<Loaded>, Fault> {
        let function = self
            .store
            .function(id)
            .await
            .map_err(store_fault)?
            .ok_or_else(|| no_such_function(id))?;
        let sha256 = function.version.sha256;
        let kept = self
            .store
            .artefact(self.engine.fingerprint(), sha256)
            .await
            .map_err(store_fault)?;
        let loaded = match kept {
            Some(artefact) => self.engine.load(&artefact).ok(),
            None => None,
        };
        let code = match loaded {
            Some(code) => code,
            None => self.rebuild(id, sha256).await?,
        };
        let variables = vec![
            ("wasm_id".to_owned(), id.to_string()),
            ("storage_key".to_owned(), function.storage_key),
        ];
        Ok(Arc::new(Loaded {
            code,
            environment: Arc::new(Environment {
                state: function.state.into(),
                variables,
            }),
            usage_key: function.usage_key_hash,
            // It was read when it was stored.
            callback: Target::callback(&function.callback)?,
            ledger: self.journal.ledger(id),
            name: id.to_string().into(),
        }))
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

/// The fault of a number that no function has.
pub(crate) fn no_such_function(id: impl std::fmt::Display) -> Fault {
    Fault::client("no-such-function", format!("There is no function {id}.")).with_status(404)
}

/// What a failing store means to a caller.
pub(crate) fn store_fault(error: iof_store::Error) -> Fault {
    use iof_store::Error;
    let (status, message) = match &error {
        Error::NotFound { wasm_id } => return no_such_function(wasm_id),
        Error::Busy | Error::Closed => (
            503,
            "The store is busy. Nothing was changed; try again soon.",
        ),
        Error::DiskFull(_) => (507, "The server's disk is full. Nothing was changed."),
        _ => (
            500,
            "The store failed. Nothing was changed; the server's log says why.",
        ),
    };
    Fault::new("store", Source::Host, status, message).with_detail(error)
}
