//! Schedules that a version declares: when which of its exports is called, and with what.

use crate::schedules::Timetable;
use crate::settings::ScheduleLimits;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The longest name of a schedule, in bytes.
const MAX_NAME: usize = 200;
/// The field as which the parser of TOML passes a date.
const TOML_DATE: &str = "$__toml_private_datetime";

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredSchedule {
    /// Its name, unique in its declaration. Empty for that of the export, until the declaration is read.
    #[serde(default)]
    pub(crate) name: String,
    /// The pattern of its times.
    pub(crate) cron: String,
    /// The zone in which its times are meant.
    #[serde(default = "utc")]
    pub(crate) timezone: String,
    /// The export that is called.
    pub(crate) export: String,
    /// The body of each call, as JSON. `None` for a call without a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Value>,
    /// The policy for times that have passed when the server gets to them.
    #[serde(default)]
    pub(crate) missed: MissedTimes,
}

/// The policy for times that have passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MissedTimes {
    /// They are left out.
    #[default]
    Skip,
    /// One call stands for all of them.
    Once,
    /// Each has its call.
    All,
}

impl MissedTimes {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

impl DeclaredSchedule {
    /// The times of the schedule.
    ///
    /// # Errors
    /// The field, and a clause that states what is wrong with it.
    pub(crate) fn timetable(&self) -> Result<Timetable, String> {
        Timetable::parse(&self.cron, &self.timezone)
    }

    /// The body of a call as JSON; empty without a payload.
    pub(crate) fn body(&self) -> String {
        let payload = self.payload.as_ref();
        payload.map(Value::to_string).unwrap_or_default()
    }

    /// Checks everything that does not depend on the server and the module.
    ///
    /// # Errors
    /// The field, and a clause that states what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.export.is_empty() {
            return Err("export: empty. Write the name of an export".into());
        }
        if self.name.len() > MAX_NAME || self.name.chars().any(char::is_control) {
            return Err(format!(
                "name: not a name of at most {MAX_NAME} bytes on one line: got {} bytes. Write a short one",
                self.name.len()
            ));
        }
        if self.payload.as_ref().is_some_and(has_date) {
            return Err("payload: a date of TOML has no form in JSON. Write it in quotes".into());
        }
        let first = self.timetable()?.next(0);
        first.map(drop).ok_or_else(|| {
            format!(
                "cron: no such day: got {:?}. Write a pattern that comes",
                self.cron
            )
        })
    }

    /// Checks the schedule against the settings of the server.
    ///
    /// # Errors
    /// A sentence with the setting that refuses it.
    pub(super) fn fits(&self, limits: &ScheduleLimits) -> Result<(), String> {
        let size = self.body().len() as u64;
        if size > limits.payload.as_u64() {
            return Err(format!(
                "payload: {size} bytes of JSON are more than server.schedule_payload = {}",
                limits.payload
            ));
        }
        let gap = self.timetable()?.least_gap();
        if gap < limits.interval {
            let shown = |time: Duration| humantime_serde::re::humantime::format_duration(time);
            return Err(format!(
                "cron: {:?} comes {} after another time, which is less than server.schedule_interval = {}",
                self.cron,
                shown(gap),
                shown(limits.interval)
            ));
        }
        Ok(())
    }
}

fn has_date(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_date),
        Value::Object(fields) => fields.contains_key(TOML_DATE) || fields.values().any(has_date),
        _ => false,
    }
}
