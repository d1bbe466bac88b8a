//! From the body of a request to a compiled module: the same for a new function and a new version.

use super::{CREATE_USAGE_KEY, DESCRIPTION, content_type_fault, header};
use crate::app::App;
use crate::media_type;
use crate::parsing::blocking;
use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use iof_engine::Manifest;
use iof_fault::{Fault, FaultKind};
use iof_store::NewVersion;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A description is a line for people; the original kept 255 characters.
const DESCRIPTION_LENGTH: usize = 255;

/// The message of the one upload for which the original had a body of its own.
pub(super) const EMPTY: &str = "The body is empty; a module belongs there.";

/// What the headers of an upload ask for.
pub(super) fn wishes(headers: &HeaderMap) -> (String, bool) {
    let description = header(headers, &DESCRIPTION)
        .unwrap_or("undefined")
        .chars()
        .take(DESCRIPTION_LENGTH)
        .collect();
    let private = matches!(header(headers, &CREATE_USAGE_KEY), Some("true" | "True"));
    (description, private)
}

/// Reads, checks and compiles the module of a request.
///
/// # Errors
/// `content-type`, `module-size`, and what the compiler says of the module.
pub(super) async fn take(app: &App, headers: &HeaderMap, body: Body) -> Result<NewVersion, Fault> {
    if media_type::essence(headers) != "application/octet-stream" {
        return Err(content_type_fault(
            "Content-Type must be application/octet-stream",
        ));
    }
    let limit = app.module_size;
    let held = app
        .bodies
        .read(headers, body, limit, || {
            Fault::new(
                FaultKind::ModuleSize,
                format!("The module is larger than compile.module_size = {limit}."),
            )
        })
        .await?;
    Ok(compile(app, held.bytes.clone()).await?.0)
}

/// Checks and compiles a module.
///
/// # Errors
/// What the compiler says of it.
pub(crate) async fn compile(app: &App, source: Bytes) -> Result<(NewVersion, Manifest), Fault> {
    if source.is_empty() {
        return Err(Fault::new(FaultKind::NotWasm, EMPTY));
    }
    let (sha256, legacy_sha256) = digests(source.clone()).await?;
    let kept = app.store.artefact(app.engine.fingerprint(), sha256).await?;
    let known = kept.and_then(|artefact| app.engine.manifest(&artefact).ok());
    let manifest = match known {
        Some(manifest) => manifest,
        None => {
            let compiled = app.engine.compile(source.clone()).await?;
            app.store
                .put_artefact(app.engine.fingerprint(), sha256, &compiled.artefact)
                .await?;
            compiled.manifest
        }
    };
    app.engine.accept(&manifest)?;
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

/// The digest of a module, and the original's digest of its decimal text.
async fn digests(source: Bytes) -> Result<([u8; 32], String), Fault> {
    blocking(move || {
        (
            Sha256::digest(&source).into(),
            format!("0x{}", crate::text::hex(&decimal_digest(&source))),
        )
    })
    .await
}

/// The digest of `0,97,115,109`, which is not held: it is four times as long as the module.
fn decimal_digest(bytes: &[u8]) -> [u8; 32] {
    const PIECE: usize = 64 << 10;
    let (mut digest, mut text) = (Sha256::new(), String::with_capacity(PIECE + 4));
    for (at, byte) in bytes.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{byte}");
        if text.len() >= PIECE {
            digest.update(&text);
            text.clear();
        }
    }
    digest.update(&text);
    digest.finalize().into()
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
