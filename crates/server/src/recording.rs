//! A recorded call.
//!
//! A recording is JSON: the input of the call, the host's answers to it ([`HostResponses`]) and its end.

use crate::calls::EndedCall;
use crate::grants::{EffectiveGrants, Record};
use crate::outbound_log::OutboundLog;
use crate::time::unix_ms;
use iof_engine::{Arg, Blob, Environment, HostCallTape, HostResponses, Outcome};
use iof_fault::Fault;
use iof_store::Recording;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A call with its recorded input, host responses and end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedCall {
    pub(crate) export: String,
    args: Vec<RecordedArg>,
    /// The types that the caller stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<String>,
    pub(crate) state: String,
    pub(crate) ended: Ended,
    pub(crate) heard: HostResponses,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordedArg {
    Text(Blob),
    Bytes(Blob),
    Request(Blob),
}

/// The end of a recorded call.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Blob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Ending>,
    #[serde(default)]
    pub(crate) stdout: Blob,
    #[serde(default)]
    pub(crate) stderr: Blob,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ending {
    code: String,
    message: String,
}

/// A call in progress that may be recorded.
pub(crate) struct Recorder {
    tape: HostCallTape,
    record: Record,
    call: RecordedCall,
}

impl Recorder {
    /// `None`, at no cost, for a function that records nothing.
    pub(crate) fn new(
        granted: &EffectiveGrants,
        limit: usize,
        (export, args, signature): (&str, &[Arg], Option<&str>),
        environment: &Environment,
    ) -> Option<Self> {
        let record = granted.record;
        (record != Record::Off).then(|| Self {
            tape: HostCallTape::recorder(limit),
            record,
            call: RecordedCall {
                export: export.to_owned(),
                args: args.iter().map(RecordedArg::of).collect(),
                signature: signature.map(str::to_owned),
                state: environment.state.to_string(),
                ended: Ended::default(),
                heard: HostResponses::default(),
            },
        })
    }

    pub(crate) fn tape(&self) -> HostCallTape {
        self.tape.clone()
    }

    /// Passes the call to the outbound log, if its function declares that such calls are recorded.
    pub(crate) fn end(mut self, outbound_log: &OutboundLog, ended: &EndedCall<'_>) {
        let EndedCall {
            call,
            function,
            outcome,
            ..
        } = *ended;
        if self.record == Record::Errors && outcome.result.is_ok() {
            return;
        }
        let limit = outbound_log.call_size();
        let size = self.call.size() + outcome.log.stdout.len() + outcome.log.stderr.len();
        let heard = self.tape.responses().filter(|_| size <= limit);
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
        // A caller may have sent a secret itself that the host would have attached.
        let data = function.granted.secrets.masked(&data).unwrap_or(data);
        let outcome = match &outcome.result {
            Ok(_) => "ok".to_owned(),
            Err(fault) => fault.code().to_owned(),
        };
        outbound_log.call(Recording {
            call,
            function_id: function.id,
            version: function.version,
            at: unix_ms(SystemTime::now()),
            outcome,
            data: data.into(),
        });
    }
}

impl RecordedCall {
    /// Reads a recording.
    ///
    /// # Errors
    /// An error if another release wrote it.
    pub(crate) fn read(data: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(data)
            .map_err(|error| Fault::host("The recording cannot be read.", error))
    }

    fn size(&self) -> usize {
        let args = self.args.iter().map(RecordedArg::size);
        args.sum::<usize>() + self.state.len()
    }

    pub(crate) fn args(&self) -> Vec<Arg> {
        self.args.iter().map(RecordedArg::to_arg).collect()
    }
}

impl RecordedArg {
    /// The size of the recording, in bytes.
    pub(crate) fn size(&self) -> usize {
        let (Self::Text(blob) | Self::Bytes(blob) | Self::Request(blob)) = self;
        blob.0.len()
    }

    pub(crate) fn to_arg(&self) -> Arg {
        match self {
            Self::Text(Blob(text)) => Arg::Text(text.clone()),
            Self::Bytes(Blob(bytes)) => Arg::Bytes(bytes.clone()),
            Self::Request(Blob(bytes)) => Arg::Request(bytes.clone()),
        }
    }

    pub(crate) fn of(arg: &Arg) -> Self {
        match arg {
            Arg::Text(text) => Self::Text(Blob(text.clone())),
            Arg::Bytes(bytes) => Self::Bytes(Blob(bytes.clone())),
            Arg::Request(bytes) => Self::Request(Blob(bytes.clone())),
        }
    }
}

impl Ended {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let (result, fault) = match &outcome.result {
            Ok(value) => (Some(Blob(value.clone().into_body())), None),
            Err(fault) => (
                None,
                Some(Ending {
                    code: fault.code().to_owned(),
                    message: fault.full_message().into_owned(),
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
