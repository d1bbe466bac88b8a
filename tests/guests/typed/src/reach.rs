//! Functions that reach out of the sandbox: a command, HTTP, the storage, the log.

use std::time::Duration;

use iof::{Command, http, log, storage};

/// Runs a command with one argument and standard input, and answers what it printed.
#[iof::function]
fn run(name: &str, argument: &str, stdin: &[u8]) -> Result<Vec<u8>, iof::CommandError> {
    Command::new(name).arg(argument).stdin_u8vec(stdin).run()
}

/// A response, as callers see it.
#[iof::data]
struct Seen {
    status: u16,
    content_type: Option<String>,
    text: String,
}

impl From<http::Response> for Seen {
    fn from(response: http::Response) -> Self {
        Self {
            status: response.status(),
            content_type: response.header("content-type").map(ToOwned::to_owned),
            text: response.text(),
        }
    }
}

/// Gets a URL, and answers the response, of whatever status.
#[iof::function]
fn http_get(url: &str) -> Result<Seen, http::Error> {
    Ok(http::get(url).send()?.into())
}

/// Gets a URL, and answers its body if the status is one of success.
#[iof::function]
fn http_body(url: &str) -> iof::Result<Vec<u8>> {
    let response = http::get(url).compressed().retry(1).send()?;
    Ok(response.error_for_status()?.into_bytes())
}

/// Posts JSON with a header and a query, and waits for at most as many milliseconds.
#[iof::function]
fn http_post(
    url: &str,
    value: iof::serde_json::Value,
    milliseconds: u32,
) -> iof::Result<iof::serde_json::Value> {
    let response = http::post(url)
        .query("q", "a b&c")
        .header("x-from", "typed")
        .json(&value)
        .timeout(Duration::from_millis(milliseconds.into()))
        .send()?;
    Ok(response.error_for_status()?.json()?)
}

/// Keeps a value.
#[iof::function]
fn store(key: &str, value: iof::serde_json::Value) -> Result<(), storage::Error> {
    storage::set(key, &value)
}

/// The value that was kept, or `null`.
#[iof::function]
fn stored(key: &str) -> Result<Option<iof::serde_json::Value>, storage::Error> {
    storage::get(key)
}

/// Keeps bytes.
#[iof::function]
fn store_bytes(key: &str, value: &[u8]) -> Result<(), storage::Error> {
    storage::set_bytes(key, value)
}

/// The bytes that were kept; none if there are none.
#[iof::function]
fn stored_bytes(key: &str) -> Result<Vec<u8>, storage::Error> {
    Ok(storage::get_bytes(key)?.unwrap_or_default())
}

/// Forgets a value, and tells whether there was one.
#[iof::function]
fn forget(key: &str) -> Result<bool, storage::Error> {
    storage::remove(key)
}

/// The keys that begin with a prefix.
#[iof::function]
fn stored_keys(prefix: &str) -> Result<Vec<String>, storage::Error> {
    storage::keys(prefix)
}

/// Counts its calls.
#[iof::function]
fn count(key: &str) -> iof::Result<u64> {
    let count = storage::get::<u64>(key)?.unwrap_or(0) + 1;
    storage::set(key, &count)?;
    Ok(count)
}

/// Writes a line of each level.
#[iof::function]
fn logs(message: &str) {
    log::error!("{message}");
    log::warn!("{message}");
    log::info!("{message} {}", 1 + 1);
    log::debug!("{message}");
}
