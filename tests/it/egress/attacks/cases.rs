//! Many cases at a time against one server, with all failures in one message.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::paths::{
    AttackOutcome, AttackRequest, EgressPath, UNSENDABLE, World, exit_status, wasi_error,
};

/// The number of requests that are under way at a time.
const AT_A_TIME: usize = 24;
/// The same where many wait for a peer that is not there.
const WAITING_AT_A_TIME: usize = 128;

/// One request and how it ends.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: String,
    ask: AttackRequest,
    ends: Ends,
}

/// The end of a request.
#[derive(Clone, Debug)]
pub(crate) enum Ends {
    /// With this code, and with these words in the operator's log.
    With(&'static str, String),
    /// Before anything was understood of it, so that the outbound log knows nothing.
    Misspelt,
    /// At an address that is public and nobody's. In the log, this text must not be among what was tried.
    Nowhere(String),
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, ask: AttackRequest, ends: Ends) -> Self {
        Self {
            name: name.into(),
            ask,
            ends,
        }
    }

    /// Ends with this code.
    pub(crate) fn with(name: impl Into<String>, ask: AttackRequest, code: &'static str) -> Self {
        Self::logged(name, ask, code, "")
    }

    /// Ends with this code, for a reason that only the log tells.
    pub(crate) fn logged(
        name: impl Into<String>,
        ask: AttackRequest,
        code: &'static str,
        log: impl Into<String>,
    ) -> Self {
        Self::new(name, ask, Ends::With(code, log.into()))
    }

    fn problem(
        &self,
        way: EgressPath,
        told: &AttackOutcome,
        log: &BTreeMap<String, Value>,
    ) -> Result<(), String> {
        let record = log.get(&told.call);
        let failure = match &told.result {
            Err(failure) => failure,
            Ok(body) => {
                let body = String::from_utf8_lossy(body);
                return Err(format!("got a response: {body:?}, {record:?}"));
            }
        };
        let outcome = record.and_then(|record| record["outcome"].as_str());
        let detail = record.and_then(|record| record["detail"].as_str());
        let (outcome, detail) = (outcome.unwrap_or_default(), detail.unwrap_or_default());
        let shows = |code: &str| match way {
            EgressPath::Command(_) => failure.code == format!("exit {}", exit_status(code)),
            EgressPath::WasiHttp(_) => failure.code.starts_with(wasi_error(code)),
            _ => failure.code == code,
        };
        let right = match &self.ends {
            Ends::With(code, log) => {
                // What the log gives as the reason is not for the function.
                let told = !log.is_empty() && failure.words.contains(&**log);
                shows(code) && outcome == *code && detail.contains(&**log) && !told
            }
            // What the guest takes apart is checked part by part.
            Ends::Misspelt if way.is_wasi_http() => UNSENDABLE
                .iter()
                .any(|known| failure.code.starts_with(known)),
            Ends::Misspelt => {
                let shown = match way {
                    EgressPath::Command(_) | EgressPath::WasiHttp(_) => "exit 2",
                    EgressPath::FetchUrl | EgressPath::FetchOptions => "fetch",
                    EgressPath::Callback => "callback",
                };
                failure.code == shown && record.is_none()
            }
            Ends::Nowhere(bad) => {
                let dialled = ["egress-connect", "egress-timeout-connect"];
                dialled.contains(&outcome) && shows(outcome) && !detail.contains(&**bad)
            }
        };
        match right {
            true => Ok(()),
            false => Err(format!(
                "wanted {:?}, got {failure:?}, {record:?}",
                self.ends
            )),
        }
    }
}

/// Tries all cases in all ways that can say them.
pub(crate) async fn run(world: &World, ways: &[EgressPath], cases: Vec<Case>) {
    let waits = |case: &Case| matches!(case.ends, Ends::Nowhere(_));
    let at_a_time = match cases.iter().any(waits) {
        true => WAITING_AT_A_TIME,
        false => AT_A_TIME,
    };
    let all = ways
        .iter()
        .flat_map(|&way| cases.iter().map(move |case| (way, case)));
    let tried: Vec<_> = stream::iter(all)
        .map(|(way, case)| async move { Some((way, case, world.ask(way, &case.ask).await?)) })
        .buffer_unordered(at_a_time)
        .filter_map(std::future::ready)
        .collect()
        .await;
    for way in ways {
        assert!(
            tried.iter().any(|(tried, ..)| tried == way),
            "no case was tried by {way:?}"
        );
    }
    let log = log(world, &tried).await;
    let wrong: Vec<_> = tried
        .iter()
        .filter_map(|(way, case, told)| {
            let problem = case.problem(*way, told, &log).err()?;
            Some(format!("{way:?}, {}: {problem}", case.name))
        })
        .collect();
    let (count, all) = (wrong.len(), tried.len());
    assert!(wrong.is_empty(), "{count} of {all}:\n{}", wrong.join("\n"));
}

/// The outbound log, as soon as it has the end of every call that belongs there: another task reads it than the answers.
async fn log(
    world: &World,
    tried: &[(EgressPath, &Case, AttackOutcome)],
) -> BTreeMap<String, Value> {
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let log = world.outbound();
        let ended = |call| {
            let record = log.get(call);
            record
                .is_some_and(|record| record["outcome"] != "redirect" && record["outcome"] != "ok")
        };
        let all = tried
            .iter()
            .all(|(_, case, told)| matches!(case.ends, Ends::Misspelt) || ended(&told.call));
        if all || Instant::now() > until {
            return log;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
