//! The keys under which a server encrypts secrets.

use crate::config::{Config, warn_of_readers};
use crate::secret_file;
use iof_store::{SecretKeys, Store};
use std::path::Path;

/// The keys of secrets; when this returns, every secret is encrypted under the first.
pub(crate) async fn secret_keys(config: &Config, store: &Store) -> Result<SecretKeys, String> {
    let keys = match config.secret_keys()? {
        Some(keys) => keys,
        None => own_secret_key(&config.data, store).await?,
    };
    rotate(store, &keys).await?;
    Ok(keys)
}

/// Checks that the keys of these settings can decrypt the stored secrets; `in_use` lists the ids of the secrets' keys.
///
/// # Errors
/// The reason why they cannot, or why a file cannot be read.
pub(crate) fn check(config: &Config, in_use: &[String]) -> Result<(), String> {
    let own = config.data.join("secrets.key");
    let (keys, place) = match config.secret_keys()? {
        Some(keys) => (
            keys,
            "the keys of the settings (secrets.key_file, secrets.keys)".to_owned(),
        ),
        None if !own.exists() => match in_use.first() {
            None => return Ok(()),
            Some(key) => return Err(missing(&own, key)),
        },
        None => {
            let place = own.display();
            let text =
                std::fs::read_to_string(&own).map_err(|error| format!("{place}: {error}"))?;
            let text = zeroize::Zeroizing::new(text);
            let keys = SecretKeys::parse(&text).map_err(|error| format!("{place}: {error}"))?;
            (keys, place.to_string())
        }
    };
    match in_use.iter().find(|key| !keys.has(key)) {
        None => Ok(()),
        Some(key) => Err(format!(
            "secrets are encrypted under key {key}, which is not in {place}: calls of their functions would fail. Add that key as \
             a further line, or set these secrets again after the start."
        )),
    }
}

fn missing(file: &Path, key: &str) -> String {
    format!(
        "{} is missing, and secrets are encrypted under it (key {key}). Restore the file from a backup, or name it in \
         secrets.key_file; to give these secrets up, put 32 random bytes there in hexadecimal digits (`openssl rand -hex \
         32`), and set them again.",
        file.display()
    )
}

/// The key of a server whose settings have none: a file in its data directory, which is made once.
async fn own_secret_key(data: &Path, store: &Store) -> Result<SecretKeys, String> {
    let file = data.join("secrets.key");
    let in_use = store.secret_key_in_use().await;
    if let Some(key) = in_use.map_err(|error| error.to_string())?
        && matches!(file.try_exists(), Ok(false))
    {
        // A new key would decrypt none of the secrets, and hide that the old one is missing.
        return Err(missing(&file, &key));
    }
    let place = file.clone();
    let read = tokio::task::spawn_blocking(move || secret_file::read_or_make(&place)).await;
    let (text, made) = read.map_err(|error| error.to_string())??;
    if made {
        tracing::info!(
            file = %file.display(),
            "the key of secrets was made; a backup of the data without it has no secrets"
        );
    }
    warn_of_readers("secrets.key_file", &file);
    SecretKeys::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Re-encrypts secrets under an earlier key. A secret that cannot be read makes only calls of its function fail.
async fn rotate(store: &Store, keys: &SecretKeys) -> Result<(), String> {
    match store.rotate_secrets(keys).await {
        Ok(0) => {}
        Ok(rotated) => {
            tracing::info!(
                rotated,
                key = keys.current_id(),
                "secrets are encrypted under the first key now"
            );
        }
        Err(error @ (iof_store::Error::MissingKey { .. } | iof_store::Error::Damaged { .. })) => {
            tracing::error!(%error, "a secret cannot be read; is its key missing in secrets.key_file?");
        }
        Err(error) => return Err(error.to_string()),
    }
    Ok(())
}
