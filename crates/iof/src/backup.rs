//! `iof backup` and `iof restore`.

use crate::args::{Backup, Restore, Serve};
use crate::config::Config;
use crate::{fail, print};
use bytesize::ByteSize;
use iof_store::{BackupSummary, RestoreSource};
use std::path::Path;
use std::process::ExitCode;

/// The name for stdout and stdin.
const STREAM: &str = "-";

pub(crate) fn run(backup: &Backup) -> ExitCode {
    let serve = Serve {
        data: backup.data.clone(),
        config: backup.config.clone(),
        ..Serve::default()
    };
    let config = match Config::resolve(&serve) {
        Ok(config) => config,
        Err(message) => return fail(2, message),
    };
    if !config.store.url.is_empty() {
        return fail(
            2,
            "`iof backup` copies a data directory, and the data of this server is in store.url. Use pg_dump for the database and copy store.sources after it (docs/guide/fleet.md).".to_owned(),
        );
    }
    let keys = match backup.with_keys.then(|| secret_keys(&config)).transpose() {
        Ok(keys) => keys,
        Err(message) => return fail(2, message),
    };
    let to_stdout = backup.to == Path::new(STREAM);
    let made = on_runtime(async {
        match to_stdout {
            true => iof_store::back_up_as_archive(&config.data, std::io::stdout(), keys).await,
            false => iof_store::back_up(&config.data, &backup.to, keys).await,
        }
    });
    let summary = match made {
        Ok(summary) => summary,
        Err(message) => return fail(1, message),
    };
    let place = match to_stdout {
        true => "the archive".to_owned(),
        false => backup.to.display().to_string(),
    };
    let secrets = match summary.has_secret_keys() {
        true => "Secrets are in it with the keys that open them: keep it as secret as these.",
        false => {
            "Secrets are in it encrypted, without the keys that open them: keep secrets.key (or the file of secrets.key_file) elsewhere."
        }
    };
    let text = format!("backed up to {place}: {}\n{secrets}\n", figures(&summary));
    match to_stdout {
        true => say(&text),
        false => print(&text),
    }
}

/// The keys of secrets: those of the settings, or the ones that the server made.
fn secret_keys(config: &Config) -> Result<String, String> {
    if let Some((_, lines)) = config.secret_key_lines()? {
        return Ok(lines.to_string());
    }
    let own = config.data.join("secrets.key");
    std::fs::read_to_string(&own).map_err(|error| {
        format!(
            "--with-keys: {} cannot be read: {error}. Name the server's file of settings in --config, or leave --with-keys out.",
            own.display()
        )
    })
}

pub(crate) fn restore(restore: &Restore) -> ExitCode {
    if restore.from != Path::new(STREAM) && !restore.from.exists() {
        return fail(
            1,
            format!(
                "there is no backup at {}. Name a directory or a tar archive that `iof backup` made.",
                restore.from.display()
            ),
        );
    }
    let from = match restore.from == Path::new(STREAM) {
        true => RestoreSource::Archive(Box::new(std::io::stdin())),
        false => RestoreSource::Path(restore.from.clone()),
    };
    let data = restore.data.display();
    match on_runtime(iof_store::restore(from, &restore.data)) {
        Err(message) => fail(1, message),
        Ok(summary) => {
            let keys = match summary.has_secret_keys() {
                true => format!(
                    "The keys of its secrets are in {data}/secrets.key, where a server looks for them.\n"
                ),
                false => format!(
                    "Its secrets need the keys that they were encrypted under: in {data}/secrets.key, or where secrets.key_file says.\n"
                ),
            };
            print(&format!(
                "restored to {data}, from a backup of iof {}: {}\n{keys}",
                summary.release(),
                figures(&summary)
            ))
        }
    }
}

fn figures(summary: &BackupSummary) -> String {
    format!(
        "functions {}, versions {}, files {} ({}), each checked against its digest",
        summary.functions(),
        summary.versions(),
        summary.files(),
        ByteSize(summary.bytes())
    )
}

/// Prints a message to stderr, because stdout may have the data.
#[expect(clippy::print_stderr, reason = "stdout has the archive")]
fn say(text: &str) -> ExitCode {
    eprint!("{text}");
    ExitCode::SUCCESS
}

fn on_runtime<T>(work: impl Future<Output = Result<T, iof_store::Error>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(work).map_err(|error| error.to_string())
}
