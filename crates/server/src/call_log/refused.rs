//! The log row of a call that was refused before its function ran.

use super::row::{OWN_FIELD, allocated, text};
use crate::time::unix_ms;
use iof_fault::Fault;
use serde::Serialize;
use serde_json::json;
use std::time::SystemTime;
use uuid::Uuid;

/// The most bytes that the log keeps of a message, or of the name of an export, which a client chose.
const KEPT: usize = 1 << 10;

/// A call that was refused before its function ran.
#[derive(Serialize)]
pub(crate) struct RefusedCall {
    #[serde(skip)]
    at: SystemTime,
    call: Uuid,
    export: Box<str>,
    fault: Box<str>,
    message: Box<str>,
    refused: bool,
}

impl RefusedCall {
    pub(crate) fn new(call: Uuid, export: &str, fault: &Fault) -> Self {
        Self {
            at: SystemTime::now(),
            call,
            export: beginning(export).into(),
            fault: fault.code().into(),
            message: beginning(&fault.message).into(),
            refused: true,
        }
    }

    /// The bytes that the waiting row takes.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.export, &self.fault, &self.message];
        let texts = texts.into_iter().map(|text| allocated(text.len()));
        // The capacity of a growing queue is up to twice its length.
        2 * size_of::<Self>() + texts.sum::<usize>()
    }

    pub(super) fn into_record(self, function_id: i64) -> iof_store::RefusedCall {
        iof_store::RefusedCall {
            function_id,
            called_at: unix_ms(self.at),
            record: text(&json!({ OWN_FIELD: self })),
        }
    }
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(KEPT)).unwrap_or(text)
}
