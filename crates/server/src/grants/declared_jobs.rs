//! The jobs of a version, as it declares them: `jobs = true`, or a table.

use crate::settings::JobCeiling;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// The most jobs that a version can have begin in a minute.
const MOST_RATE: u32 = 6_000_000;

/// The jobs of a version. Its queue is the store's, which reads `concurrency`, `rate` and `weight` from the same table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeclaredJobs {
    /// True if every caller may have calls run as jobs (`Prefer: respond-async`). If false, only holders of a key may.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) public: bool,
    /// The most jobs that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<u32>,
    /// The most jobs that begin in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<u32>,
    /// The most times that a job that fails is begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u32>,
    /// The longest time of one attempt.
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    pub(crate) timeout: Option<Duration>,
    /// The time within which a job has to begin.
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    pub(crate) ttl: Option<Duration>,
    /// The most jobs that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) length: Option<u32>,
    /// Its share of the turns, beside functions of the weight 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u32>,
    /// The secret with which callbacks are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_secret: Option<String>,
}

impl DeclaredJobs {
    /// True for `jobs = false`, and without that line.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks everything that does not depend on the server.
    ///
    /// # Errors
    /// The field, and a clause that states what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        for (field, number) in [
            ("concurrency", self.concurrency),
            ("rate", self.rate),
            ("attempts", self.attempts),
            ("length", self.length),
            ("weight", self.weight),
        ] {
            if number == Some(0) {
                return Err(format!(
                    "{field}: 0 would let no job through: write a number from 1 on, or leave it out"
                ));
            }
        }
        for (field, time) in [("timeout", self.timeout), ("ttl", self.ttl)] {
            if time.is_some_and(|time| time < Duration::from_millis(1)) {
                return Err(format!(
                    "{field}: less than 1ms would let no job end: write more, or leave it out"
                ));
            }
        }
        if let Some(rate) = self.rate.filter(|&rate| rate > MOST_RATE) {
            return Err(format!(
                "rate: more than {MOST_RATE} jobs a minute: got {rate}. Write less, or leave it out"
            ));
        }
        match &self.callback_secret {
            // Only a name is asked for, and people write a secret where its name belongs.
            Some(name) if !iof_store::is_secret_name(name) => Err(
                "callback_secret: not a name of a secret: it is a capital letter and up to 63 capital letters, digits and underscores. Write one such as CALLBACK_SECRET, and set it by `iof secret set`"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// Checks the jobs against the settings of the server, and the time that calls of the version may take.
    ///
    /// # Errors
    /// A sentence with the setting that refuses it.
    pub(super) fn fits(&self, most: &JobCeiling, wall_time: Duration) -> Result<(), String> {
        for (field, wanted, setting, most) in [
            (
                "concurrency",
                self.concurrency,
                "server.jobs_running",
                most.running,
            ),
            (
                "attempts",
                self.attempts,
                "jobs.attempts_limit",
                most.jobs.attempts_limit,
            ),
            ("length", self.length, "server.jobs", most.waiting),
            ("weight", self.weight, "jobs.weight", most.jobs.weight),
        ] {
            if let Some(wanted) = wanted.filter(|&wanted| wanted > most) {
                return Err(format!(
                    "jobs.{field} = {wanted} is more than {setting} = {most}"
                ));
            }
        }
        let shown = |time: Duration| humantime_serde::re::humantime::format_duration(time);
        for (field, wanted, setting, most) in [
            ("timeout", self.timeout, "limits.wall_time", wall_time),
            ("ttl", self.ttl, "jobs.ttl", most.jobs.ttl),
        ] {
            if let Some(wanted) = wanted.filter(|&wanted| wanted > most) {
                return Err(format!(
                    "jobs.{field} = {} is more than {setting} = {}",
                    shown(wanted),
                    shown(most)
                ));
            }
        }
        Ok(())
    }
}

/// Reads `jobs`, which is a table, or true or false.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DeclaredJobs, D::Error> {
    struct Jobs;

    impl<'de> Visitor<'de> for Jobs {
        type Value = DeclaredJobs;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false, or a table such as { concurrency = 2, attempts = 3 }")
        }

        fn visit_bool<E: Error>(self, public: bool) -> Result<DeclaredJobs, E> {
            Ok(DeclaredJobs {
                public,
                ..DeclaredJobs::default()
            })
        }

        fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<DeclaredJobs, A::Error> {
            DeclaredJobs::deserialize(MapAccessDeserializer::new(table))
        }
    }

    deserializer.deserialize_any(Jobs)
}

/// Writes `jobs` in its shortest form.
pub(super) fn serialize<S: Serializer>(
    jobs: &DeclaredJobs,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let public = DeclaredJobs {
        public: true,
        ..DeclaredJobs::default()
    };
    match *jobs == public {
        true => true.serialize(serializer),
        false => jobs.serialize(serializer),
    }
}
