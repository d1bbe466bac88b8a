//! A recorded call, and what it does when it is run again.
//!
//! A recording is JSON: the input of the call, what the host answered to it ([`Heard`]) and how it ended. A replay runs
//! the same input on the same or another version, with those answers and no others, and lists what came out otherwise.

use crate::app::App;
use crate::functions::Loaded;
use crate::grants::{Granted, Record};
use crate::records::unix_ms;
use iof_commands::CallContext;
use iof_engine::{Arg, Blob, Environment, Heard, Invocation, Outcome, StatedSignature, Tape};
use iof_fault::Fault;
use iof_store::{Recording, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;
use uuid::Uuid;

/// One call as it was.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedCall {
    export: String,
    args: Vec<RecordedArg>,
    /// The types that the caller stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    state: String,
    ended: Ended,
    heard: Heard,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordedArg {
    Text(Blob),
    Bytes(Blob),
}

/// How a call ended.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ended {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Blob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<Ending>,
    #[serde(default)]
    stdout: Blob,
    #[serde(default)]
    stderr: Blob,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Ending {
    code: String,
    message: String,
}

/// A call under way that may be recorded.
pub(crate) struct Recorder {
    tape: Tape,
    record: Record,
    call: RecordedCall,
}

impl Recorder {
    /// `None`, at no cost, for a function that records nothing.
    pub(crate) fn new(
        granted: &Granted,
        limit: usize,
        (export, args, signature): (&str, &[Arg], Option<&str>),
        environment: &Environment,
    ) -> Option<Self> {
        let record = granted.record;
        (record != Record::Off).then(|| Self {
            tape: Tape::recorder(limit),
            record,
            call: RecordedCall {
                export: export.to_owned(),
                args: args.iter().map(RecordedArg::of).collect(),
                signature: signature.map(str::to_owned),
                state: environment.state.to_string(),
                ended: Ended::default(),
                heard: Heard::default(),
            },
        })
    }

    pub(crate) fn tape(&self) -> Tape {
        self.tape.clone()
    }

    /// Hands the call to the records, if its function wants it kept.
    pub(crate) fn end(mut self, app: &App, call: Uuid, function: &Loaded, outcome: &Outcome) {
        if self.record == Record::Errors && outcome.result.is_ok() {
            return;
        }
        let limit = app.records.call_size();
        let size = self.call.size() + outcome.log.stdout.len() + outcome.log.stderr.len();
        let heard = self.tape.heard().filter(|_| size <= limit);
        let Some(heard) = heard else {
            tracing::info!(%call, function = function.id, "not recorded: larger than records.call_size = {limit} bytes");
            return;
        };
        (self.call.heard, self.call.ended) = (heard, Ended::of(outcome));
        let data = match serde_json::to_vec(&self.call) {
            Ok(data) => data,
            Err(error) => {
                tracing::error!(%call, %error, "a call could not be recorded");
                return;
            }
        };
        // A caller may have passed by hand what the host would have attached.
        let data = function.granted.secrets.masked(&data).unwrap_or(data);
        let outcome = match &outcome.result {
            Ok(_) => "ok".to_owned(),
            Err(fault) => fault.code().to_owned(),
        };
        app.records.call(Recording {
            call,
            wasm_id: function.id,
            version: function.version,
            at: unix_ms(SystemTime::now()),
            outcome,
            data: data.into(),
        });
    }
}

impl RecordedCall {
    /// Reads what was recorded.
    ///
    /// # Errors
    /// When another release wrote it.
    pub(crate) fn read(data: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(data)
            .map_err(|error| Fault::host("The recording cannot be read.", error))
    }

    fn size(&self) -> usize {
        let args = self.args.iter().map(RecordedArg::size);
        args.sum::<usize>() + self.state.len()
    }

    fn args(&self) -> Vec<Arg> {
        self.args.iter().map(RecordedArg::to_arg).collect()
    }
}

impl RecordedArg {
    /// Bytes of it.
    pub(crate) fn size(&self) -> usize {
        let (Self::Text(blob) | Self::Bytes(blob)) = self;
        blob.0.len()
    }

    pub(crate) fn to_arg(&self) -> Arg {
        match self {
            Self::Text(Blob(text)) => Arg::Text(text.clone()),
            Self::Bytes(Blob(bytes)) => Arg::Bytes(bytes.clone()),
        }
    }

    pub(crate) fn of(arg: &Arg) -> Self {
        match arg {
            Arg::Text(text) => Self::Text(Blob(text.clone())),
            Arg::Bytes(bytes) => Self::Bytes(Blob(bytes.clone())),
        }
    }
}

impl Ended {
    fn of(outcome: &Outcome) -> Self {
        let (result, fault) = match &outcome.result {
            Ok(value) => (Some(Blob(value.clone().into_body())), None),
            Err(fault) => (
                None,
                Some(Ending {
                    code: fault.code().to_owned(),
                    message: fault.message.clone(),
                }),
            ),
        };
        Self {
            result,
            fault,
            stdout: Blob(outcome.log.stdout.clone().into()),
            stderr: Blob(outcome.log.stderr.clone().into()),
        }
    }
}

/// Runs a recorded call on a version, and says what is different.
///
/// # Errors
/// When the version cannot be loaded, or the server is too busy.
pub(crate) async fn replay(
    app: &App,
    recording: &Recording,
    version: &Version,
) -> Result<Json, Fault> {
    let recorded = RecordedCall::read(&recording.data)?;
    let id = recording.wasm_id;
    let function = app
        .functions
        .of_version(id, version, &recorded.state)
        .await?;
    let signature = recorded.signature.as_deref().map(StatedSignature::parse);
    let signature = signature.transpose()?;
    let tape = Tape::player(recorded.heard.clone());
    let place = app.gate.enter().await?;
    let outcome = app
        .engine
        .call(
            &function.code,
            Invocation {
                export: &recorded.export,
                args: recorded.args(),
                signature: signature.as_ref(),
                environment: Arc::clone(&function.environment),
                context: CallContext {
                    call: Uuid::new_v4(),
                    function: id.to_string().into(),
                    function_id: id,
                    version: version.number,
                    grants: Arc::clone(&function.grants),
                    secrets: Arc::default(),
                    depth: 0,
                    deadline: Instant::now() + function.limits.wall_time,
                },
                limits: Some(Arc::clone(&function.limits)),
                tape: Some(tape.clone()),
            },
        )
        .await;
    drop(place);
    let ended = Ended::of(&outcome);
    let heard = tape.heard().unwrap_or_default();
    let differences = differences((&recorded.ended, &recorded.heard), (&ended, &heard));
    Ok(json!({
        "call": recording.call.to_string(),
        "function": id,
        "export": recorded.export,
        "recorded": { "version": recording.version, "ended": recorded.ended },
        "replayed": { "version": version.number, "ended": ended },
        "same": differences.is_empty(),
        "differences": differences,
    }))
}

fn differences((before, then): (&Ended, &Heard), (after, now): (&Ended, &Heard)) -> Vec<Json> {
    let asked = |heard: &Heard| -> Vec<Json> {
        let commands = heard.commands.iter();
        commands
            .map(|command| {
                json!({ "name": command.name, "args": command.args, "env": command.env, "stdin": command.stdin })
            })
            .collect()
    };
    let stored = |heard: &Heard| -> Vec<Json> {
        let saves = heard.saves.iter();
        saves
            .map(|save| json!({ "key": save.key, "value": save.value }))
            .collect()
    };
    [
        ("result", json!(before.result), json!(after.result)),
        ("fault", json!(before.fault), json!(after.fault)),
        ("stdout", json!(before.stdout), json!(after.stdout)),
        ("stderr", json!(before.stderr), json!(after.stderr)),
        ("commands", asked(then).into(), asked(now).into()),
        ("stored", stored(then).into(), stored(now).into()),
    ]
    .into_iter()
    .filter(|(_, recorded, replayed)| recorded != replayed)
    .map(|(what, recorded, replayed)| {
        json!({ "what": what, "recorded": recorded, "replayed": replayed })
    })
    .collect()
}
