//! The deletion of a function with all its rows.

use serde_json::json;
use sqlx::Row as _;

use super::change::{Change, Locks};
use super::changes::of_function;
use super::column::bytes;
use super::driver::SqlConnection;
use super::error::Result;
use crate::model::{Author, NewRecord};

/// Deletes a function and all its rows, except its changes. Its output is `None` if there was no such function.
pub(super) struct DeleteFunction {
    pub(super) by: Author,
    pub(super) function_id: i64,
}

impl Change for DeleteFunction {
    type Output = Option<Deleted>;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let versions = sqlx::query("DELETE FROM versions WHERE function_id = $1 RETURNING sha256");
        let versions = versions.bind(self.function_id);
        let rows = versions.fetch_all(&mut *connection).await?;
        for of_its_own in [
            "DELETE FROM stored_values WHERE function_id = $1",
            "DELETE FROM stored_totals WHERE function_id = $1",
            "DELETE FROM call_log WHERE function_id = $1",
            "DELETE FROM refused_calls WHERE function_id = $1",
            "DELETE FROM usage WHERE function_id = $1",
            "DELETE FROM secrets WHERE function_id = $1",
            "DELETE FROM recordings WHERE function_id = $1",
            "DELETE FROM api_keys WHERE function_id = $1",
            "DELETE FROM jobs WHERE function_id = $1",
            "DELETE FROM job_queues WHERE function_id = $1",
            "DELETE FROM schedules WHERE function_id = $1",
        ] {
            let rows = sqlx::query(of_its_own).bind(self.function_id);
            rows.execute(&mut *connection).await?;
        }
        let function = sqlx::query("DELETE FROM functions WHERE function_id = $1 RETURNING name");
        let function = function.bind(self.function_id);
        let Some(function) = function.fetch_optional(&mut *connection).await? else {
            return Ok(None);
        };
        let sources = rows.iter().map(|row| bytes(row, "sha256"));
        Ok(Some(Deleted {
            name: function.try_get("name")?,
            sources: sources.collect::<Result<_, _>>()?,
        }))
    }

    fn locks(&self, locks: &mut Locks) {
        locks.change(self.function_id);
        locks.jobs = true;
        locks.values.insert(self.function_id);
    }

    fn record(&self, output: &Self::Output) -> Option<NewRecord> {
        let deleted = output.as_ref()?;
        let details = json!({ "versions": deleted.sources.len() });
        Some(NewRecord {
            function_name: deleted.name.clone(),
            ..of_function(&self.by, "function.delete", self.function_id, details)
        })
    }

    fn may_use_reserve(&self) -> bool {
        true
    }
}

/// A function that was deleted.
pub(super) struct Deleted {
    pub(super) name: Option<String>,
    /// The digests of the sources to which its versions referred.
    pub(super) sources: Vec<[u8; 32]>,
}
