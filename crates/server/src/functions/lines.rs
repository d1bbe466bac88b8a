//! Line tables of modules, for the traces of failed calls.
//!
//! The store keeps a table beside the module's artefact. It is made at upload; of a module that an earlier release stored,
//! when a call of it first fails. A module without lines has an empty table then, so that it is not looked at again. The
//! tables that were used last are in memory.

use super::{Functions, LoadedFunction};
use bytes::Bytes;
use iof_engine::{Engine, LINE_TABLES, LineTable, Trace};
use iof_store::Store;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The most tables in memory, empty ones included.
const TABLES: usize = 256;
/// The most bytes of them.
const BYTES: usize = 32 << 20;
/// The time for which a failed call waits for its lines.
const WAIT: Duration = Duration::from_secs(1);

/// A module by the digest of its source.
type Digest = [u8; 32];
/// The table of a module; `None` if no lines of it are known.
type Table = Option<Arc<LineTable>>;

/// The tables that were used last.
#[derive(Default)]
pub(super) struct LineTables {
    used: parking_lot::Mutex<VecDeque<(Digest, Table)>>,
    /// One table is read at a time: calls of many functions may fail at once.
    reading: tokio::sync::Mutex<()>,
    /// Modules whose table is being made, and the tasks that make them. They end with the server.
    making: Arc<parking_lot::Mutex<HashSet<Digest>>>,
    tasks: parking_lot::Mutex<JoinSet<()>>,
}

impl LineTables {
    /// The table of a module, if it is in memory; `Some(None)` for a module that has none.
    fn get(&self, sha256: Digest) -> Option<Table> {
        let mut used = self.used.lock();
        let at = used.iter().position(|(of, _)| *of == sha256)?;
        let found = used.remove(at)?;
        let table = found.1.clone();
        used.push_back(found);
        Some(table)
    }

    fn put(&self, sha256: Digest, table: Table) {
        let size = |table: &Table| table.as_ref().map_or(0, |table| table.size());
        let mut used = self.used.lock();
        used.retain(|(of, _)| *of != sha256);
        used.push_back((sha256, table));
        let mut bytes: usize = used.iter().map(|(_, table)| size(table)).sum();
        while used.len() > TABLES || bytes > BYTES {
            let Some((_, least)) = used.pop_front() else {
                break;
            };
            bytes -= size(&least);
        }
    }
}

impl Functions {
    /// The trace of a failed call as text, with the lines of its source if they are known within a second.
    pub(crate) async fn trace(&self, function: &LoadedFunction, trace: &Trace) -> Vec<Box<str>> {
        let table = tokio::time::timeout(WAIT, self.line_table(function.sha256)).await;
        trace.lines(table.unwrap_or_default().as_deref())
    }

    async fn line_table(&self, sha256: Digest) -> Table {
        if let Some(known) = self.lines.get(sha256) {
            return known;
        }
        let made = {
            let _turn = self.lines.reading.lock().await;
            if let Some(known) = self.lines.get(sha256) {
                return known;
            }
            match self.stored(sha256).await.ok()? {
                Some(table) => return table,
                None => self.make_lines(sha256)?,
            }
        };
        // Calls that fail meanwhile do not wait for it.
        made.await.ok()?;
        self.stored(sha256).await.ok().flatten().flatten()
    }

    /// The table that the store has, which is in memory then. `None` if none was made yet.
    async fn stored(&self, sha256: Digest) -> Result<Option<Table>, iof_store::Error> {
        let stored = self.store.artefact(LINE_TABLES, sha256, LineTable::read);
        let table = stored.await?.map(|table| table.map(Arc::new));
        if let Some(table) = &table {
            self.lines.put(sha256, table.clone());
        }
        Ok(table)
    }

    /// Begins to make the table of a module; `None` if that is being done already.
    fn make_lines(&self, sha256: Digest) -> Option<oneshot::Receiver<()>> {
        if !self.lines.making.lock().insert(sha256) {
            return None;
        }
        let (engine, store) = (self.engine.clone(), self.store.clone());
        let making = Arc::clone(&self.lines.making);
        let (made, end) = oneshot::channel();
        let mut tasks = self.lines.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            if let Ok(Some(source)) = store.source(sha256).await {
                put_lines(&engine, &store, sha256, source, true).await;
            }
            making.lock().remove(&sha256);
            let _ = made.send(());
        });
        Some(end)
    }
}

/// Makes the line table of a module that was compiled, and stores it; with `always` an empty one as well.
pub(crate) async fn put_lines(
    engine: &Engine,
    store: &Store,
    sha256: Digest,
    source: Bytes,
    always: bool,
) {
    let (table, failed) = match engine.line_table(source).await {
        Ok(table) => (table, false),
        Err(fault) => {
            tracing::warn!(module = %hex::encode(sha256), %fault, "the traces of a module name no lines");
            (vec![], true)
        }
    };
    if (always || failed || !table.is_empty())
        && let Err(error) = store.put_artefact(LINE_TABLES, sha256, &table).await
    {
        tracing::warn!(module = %hex::encode(sha256), %error, "the lines of a module could not be stored");
    }
}
