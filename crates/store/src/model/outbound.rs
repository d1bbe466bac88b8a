//! An outbound request or a command, as it is recorded and listed.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::error::Error;

/// The most rows that one query returns.
const LISTED: u32 = 1000;

/// The kind of an audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboundKind {
    /// A request, or one hop of a redirect.
    Request,
    /// A native program that was run.
    Command,
}

impl OutboundKind {
    /// `request` or `command`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Command => "command",
        }
    }
}

/// One outbound request or command. Its serde form is its stored form: its fields in their order, without their names,
/// which took half of the room and of the time. Rows of earlier releases have the names, and are read as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OutboundRecord {
    /// The time at which it began, in Unix milliseconds.
    pub at: i64,
    /// The call that it was part of.
    pub call: Uuid,
    /// The function. The row outlives it.
    #[serde(alias = "wasm_id")]
    pub function_id: i64,
    /// The number of the version that ran.
    pub version: i64,
    /// A request or a command.
    pub kind: OutboundKind,
    /// The rule that let the request through, `None` if none did; or the command's name.
    #[serde(default)]
    pub subject: Option<String>,
    /// The names of the secrets that were attached, comma separated; `None` if there were none.
    #[serde(default)]
    pub secrets: Option<String>,
    /// The method of the request.
    #[serde(default)]
    pub method: Option<String>,
    /// The origin of the request: scheme, host and port.
    #[serde(default)]
    pub host: Option<String>,
    /// The address and port to which the host's name resolved.
    #[serde(default)]
    pub address: Option<String>,
    /// The status of the response, or of the command.
    #[serde(default)]
    pub status: Option<i64>,
    /// Bytes that were sent.
    pub bytes_out: u64,
    /// Bytes that were received.
    pub bytes_in: u64,
    /// Its duration, in milliseconds.
    pub ms: u64,
    /// `ok`, or the stable code of the failure.
    pub outcome: String,
    /// The wait of the request for its turn. Absent from a row of a request that did not wait, and from those of
    /// earlier releases.
    #[serde(default)]
    pub waited: Option<OutboundWait>,
}

/// The wait of a request for its turn among those in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboundWait {
    /// Its duration, in milliseconds.
    pub ms: u64,
    /// The setting that it waited for.
    pub limit: String,
}

/// A row on its way into the store: one text, and the columns that find it. Rows that wait take one allocation each,
/// instead of one for each field.
#[derive(Debug, Clone)]
pub struct OutboundLine {
    pub(crate) at: i64,
    pub(crate) call: Uuid,
    pub(crate) function_id: i64,
    pub(crate) json: String,
}

impl OutboundLine {
    /// The bytes that it holds in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.json.capacity()
    }
}

impl From<OutboundRecord> for OutboundLine {
    fn from(record: OutboundRecord) -> Self {
        let mut json = Vec::with_capacity(256);
        // Serialising texts and numbers into memory cannot fail.
        let _ = serde_json::to_writer(&mut json, &record);
        Self {
            at: record.at,
            call: record.call,
            function_id: record.function_id,
            json: String::from_utf8(json).unwrap_or_default(),
        }
    }
}

/// One outbound request or command, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundRow {
    /// Its number. Ascending in the order in which rows were recorded, never used again.
    pub id: i64,
    /// The request or command.
    pub record: OutboundRecord,
}

/// A query of the outbound log. A field that is `None` matches every row. By default, the newest 100 of all rows.
///
/// An index finds a function's rows, a call's and a range of numbers; the kind and the outcome are searched among
/// those, so a query for a rare kind or outcome may read them all.
#[derive(Debug, Clone)]
pub struct OutboundQuery {
    /// Numbers greater than this one. A reader that continues from the last number it saw misses no row.
    pub after: Option<i64>,
    /// Numbers less than this one.
    pub before: Option<i64>,
    /// Rows of this function.
    pub function_id: Option<i64>,
    /// Rows of this call.
    pub call: Option<Uuid>,
    /// Rows of this kind.
    pub kind: Option<OutboundKind>,
    /// Rows with this outcome.
    pub outcome: Option<String>,
    /// At most this many rows; 1 to 1000.
    pub limit: u32,
    /// True for descending numbers, beginning with the greatest.
    pub newest_first: bool,
}

impl Default for OutboundQuery {
    fn default() -> Self {
        Self {
            after: None,
            before: None,
            function_id: None,
            call: None,
            kind: None,
            outcome: None,
            limit: 100,
            newest_first: true,
        }
    }
}

impl OutboundQuery {
    /// Refuses a limit that is out of range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if (1..=LISTED).contains(&self.limit) {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!(
                "the limit of a list is not 1 to {LISTED}: got {}",
                self.limit
            ),
        })
    }

    /// `true` if the query matches a row.
    pub(crate) fn wants(&self, row: &OutboundRow) -> bool {
        let record = &row.record;
        self.after.is_none_or(|after| row.id > after)
            && self.before.is_none_or(|before| row.id < before)
            && self.function_id.is_none_or(|id| record.function_id == id)
            && self.call.is_none_or(|call| record.call == call)
            && self.kind.is_none_or(|kind| record.kind == kind)
            && self
                .outcome
                .as_ref()
                .is_none_or(|what| record.outcome == *what)
    }
}

impl Serialize for OutboundRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            at,
            call,
            function_id,
            version,
            kind,
            subject,
            secrets,
            method,
            host,
            address,
            status,
            bytes_out,
            bytes_in,
            ms,
            outcome,
            waited,
        } = self;
        let mut row = serializer.serialize_seq(None)?;
        row.serialize_element(at)?;
        row.serialize_element(call)?;
        row.serialize_element(function_id)?;
        row.serialize_element(version)?;
        row.serialize_element(kind)?;
        row.serialize_element(subject)?;
        row.serialize_element(secrets)?;
        row.serialize_element(method)?;
        row.serialize_element(host)?;
        row.serialize_element(address)?;
        row.serialize_element(status)?;
        row.serialize_element(bytes_out)?;
        row.serialize_element(bytes_in)?;
        row.serialize_element(ms)?;
        row.serialize_element(outcome)?;
        // Few requests wait.
        if let Some(waited) = waited {
            row.serialize_element(waited)?;
        }
        row.end()
    }
}
