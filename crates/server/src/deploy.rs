//! The deploy of a module, from its bytes to a compiled version, for new functions and for next versions.

use crate::app::App;
use crate::functions::put_lines;
use crate::grants::Declaration;
use crate::parsing::blocking;
use crate::schema;
use bytes::Bytes;
use iof_engine::Manifest;
use iof_fault::{Fault, FaultKind};
use iof_store::NewVersion;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The message that refuses a body without a module.
pub(crate) const EMPTY: &str = "The body is empty; a module belongs there.";

/// Compiles a module, unless it was compiled before, and describes it as a new version.
///
/// # Errors
/// `not-wasm`, `description`, and the errors of the compiler.
pub(crate) async fn compile(app: &App, source: Bytes) -> Result<(NewVersion, Manifest), Fault> {
    if source.is_empty() {
        return Err(Fault::new(FaultKind::NotWasm, EMPTY));
    }
    let (sha256, legacy_sha256) = digests(source.clone()).await?;
    let engine = app.engine.clone();
    let kept = app
        .store
        .artefact(app.engine.fingerprint(), sha256, move |artefact| {
            engine.manifest(artefact).ok()
        });
    // Only the server of `iof dev` uses drafts.
    let known = kept.await?.flatten();
    let known = known.filter(|manifest| app.dev || !manifest.draft);
    let manifest = match known {
        Some(manifest) => manifest,
        None => {
            let compiled = match app.dev {
                true => app.engine.draft(source.clone()).await?,
                false => app.engine.compile(source.clone()).await?,
            };
            app.store
                .put_artefact(app.engine.fingerprint(), sha256, &compiled.artefact)
                .await?;
            // `iof dev` waits for nothing that no call needs; there the first failed call has it made.
            if !app.dev {
                put_lines(&app.engine, &app.store, sha256, source.clone(), false).await;
            }
            compiled.manifest
        }
    };
    app.engine.accept(&manifest)?;
    // Runs off the threads of connections, because it compiles patterns.
    let (accepted, manifest) = blocking(move || (schema::accept(&manifest), manifest)).await?;
    accepted?;
    let version = NewVersion {
        declaration: None,
        kind: manifest.kind.as_str().to_owned(),
        manifest: serde_json::to_string(&manifest)
            .map_err(|error| Fault::host("The upload failed.", error))?,
        legacy_sha256,
        sha256,
        source,
    };
    Ok((version, manifest))
}

/// Compiles a module in full, if its code is a draft, while calls use the draft. The task ends with the server.
pub(crate) async fn finish_draft(app: &Arc<App>, function_id: i64, module: DeployedModule) {
    if !app.dev {
        return;
    }
    let this = Arc::clone(app);
    let finish = async move {
        if let Err(fault) = finish(&this, function_id, module).await
            && !this.stopping.load(Ordering::Relaxed)
        {
            tracing::warn!(function = function_id, %fault, "the module could not be compiled in full");
        }
    };
    app.drafts.spawn(finish, &app.shared).await;
}

/// The module of a version that was stored.
pub(crate) struct DeployedModule {
    sha256: [u8; 32],
    source: Bytes,
}

impl From<&NewVersion> for DeployedModule {
    fn from(version: &NewVersion) -> Self {
        Self {
            sha256: version.sha256,
            source: version.source.clone(),
        }
    }
}

async fn finish(app: &App, function_id: i64, module: DeployedModule) -> Result<(), Fault> {
    let DeployedModule { sha256, source } = module;
    let (engine, fingerprint) = (app.engine.clone(), app.engine.fingerprint());
    let kept = app.store.artefact(fingerprint, sha256, move |artefact| {
        engine
            .manifest(artefact)
            .is_ok_and(|manifest| manifest.draft)
    });
    if kept.await? != Some(true) {
        return Ok(());
    }
    let compiled = app.engine.compile(source).await?;
    app.store
        .put_artefact(fingerprint, sha256, &compiled.artefact)
        .await?;
    app.functions.changed(function_id);
    Ok(())
}

/// The digest of a module, and the digest of its decimal text, as the original computed it.
async fn digests(source: Bytes) -> Result<([u8; 32], String), Fault> {
    blocking(move || {
        (
            Sha256::digest(&source).into(),
            format!("0x{}", hex::encode(decimal_digest(&source))),
        )
    })
    .await
}

/// The digest of a text such as `0,97,115,109`. The text is never in memory as a whole: it is four times as long as the
/// module.
fn decimal_digest(bytes: &[u8]) -> [u8; 32] {
    const PIECE: usize = 64 << 10;
    // The numbers are formatted once: a module has millions of bytes.
    let words: Vec<String> = (0..=u8::MAX).map(|byte| format!(",{byte}")).collect();
    let (mut digest, mut text) = (Sha256::new(), Vec::with_capacity(PIECE + 4));
    for (at, byte) in bytes.iter().enumerate() {
        let word = words[usize::from(*byte)].as_bytes();
        text.extend_from_slice(&word[usize::from(at == 0)..]);
        if text.len() >= PIECE {
            digest.update(&text);
            text.clear();
        }
    }
    digest.update(&text);
    digest.finalize().into()
}

/// The names of declared secrets that are not set.
///
/// # Errors
/// `store`
pub(crate) async fn secrets_not_set(
    app: &App,
    id: i64,
    declaration: Option<&str>,
) -> Result<Vec<String>, Fault> {
    let declared: Option<Declaration> =
        declaration.and_then(|text| serde_json::from_str(text).ok());
    let Some(declared) = declared else {
        return Ok(vec![]);
    };
    let set = app.store.secret_names(id).await?;
    let missing = declared.secret_names().into_iter();
    Ok(missing
        .filter(|name| !set.iter().any(|known| known.name == *name))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_digest_is_over_decimal_text() {
        let digest = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        assert_eq!(
            decimal_digest(b"\0asm\x01\0\0\0"),
            digest("0,97,115,109,1,0,0,0")
        );
        assert_eq!(decimal_digest(b""), digest(""));
        let long = vec![255; 100_000];
        assert_eq!(
            decimal_digest(&long),
            digest(&vec!["255"; 100_000].join(","))
        );
    }
}
