//! The replay of a recorded call: it runs the same input on the same or another version, only with the recorded answers
//! of the host, and lists the differences.

use crate::app::App;
use crate::calls::{CallRequest, PreparedCall, StatedTypes, execute};
use crate::recording::{Ended, RecordedCall};
use iof_engine::{HostCallTape, HostResponses};
use iof_fault::Fault;
use iof_store::{Recording, Version};
use serde_json::{Value as Json, json};

/// Runs a recorded call on a version, and lists the differences.
///
/// # Errors
/// The fault that keeps the version from being loaded, or the fault of a busy server.
pub(crate) async fn replay(
    app: &App,
    recording: &Recording,
    version: &Version,
) -> Result<Json, Fault> {
    let recorded = RecordedCall::read(&recording.data)?;
    let id = recording.function_id;
    let function = app.functions.for_replay(id, version, &recorded.state);
    let function = function.await?;
    let stated = recorded.signature.as_deref().map(StatedTypes::read);
    let stated = stated.transpose()?;
    let tape = HostCallTape::player(recorded.heard.clone());
    let request = CallRequest {
        export: &recorded.export,
        args: recorded.args(),
        stated: stated.as_ref(),
    };
    let prepared = PreparedCall::replay(function, tape.clone());
    let outcome = execute(app, prepared, request, ()).await?;
    let ended = Ended::of(&outcome);
    let heard = tape.responses().unwrap_or_default();
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

fn differences(
    (before, then): (&Ended, &HostResponses),
    (after, now): (&Ended, &HostResponses),
) -> Vec<Json> {
    let asked = |heard: &HostResponses| -> Vec<Json> {
        let commands = heard.commands.iter();
        commands
            .map(|command| {
                json!({ "name": command.name, "args": command.args, "env": command.env, "stdin": command.stdin })
            })
            .collect()
    };
    let stored = |heard: &HostResponses| -> Vec<Json> {
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
