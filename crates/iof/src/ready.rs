//! `iof ready`: whether a server is ready, as an exit status, for images without a shell and a client of their own.

use crate::args::{Ready, Remote};
use crate::client::Client;
use crate::escape::line;
use crate::{fail, output, print};
use serde_json::json;
use std::process::ExitCode;

/// # Errors
/// An error that names the option.
pub(crate) async fn run(ready: Ready) -> Result<ExitCode, String> {
    let client = Client::new(&Remote {
        server: Some(ready.server),
        cacert: ready.cacert,
        ..Remote::default()
    })?;
    let refused = match tokio::time::timeout(ready.timeout, client.probe("/readyz")).await {
        Ok(Ok(answer)) if answer.status().is_success() => None,
        Ok(Ok(answer)) => {
            let said: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let said = said["error"].as_str().map(|said| line(said).into_owned());
            let said = said.unwrap_or_else(|| format!("it answered {}", answer.status()));
            Some(format!("{} is not ready: {said}", client.origin()))
        }
        Ok(Err(error)) => Some(error),
        Err(_) => Some(format!(
            "{} has not answered within {:?}. Give it more with --timeout.",
            client.origin(),
            ready.timeout
        )),
    };
    Ok(match refused {
        Some(why) => fail(1, why),
        None if ready.json => output::json(&json!({ "ready": true })),
        None => print("ready\n"),
    })
}
