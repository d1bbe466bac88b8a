//! Seals of artefacts: compiled code is trusted only if this host made it, so each artefact carries a seal that only
//! this host can write.
//!
//! Loading an artefact means running its bytes as machine code outside any sandbox. A checksum would detect a truncated
//! file, but an attacker who can write a file can write its checksum too, and a backup restored from elsewhere would
//! pass. The seal is a keyed BLAKE3 under the host's own key, over everything that identifies the bytes: the engine's
//! fingerprint (a file renamed into another engine's directory fails), the source's digest (a file renamed to another
//! module's name fails) and the code.

use bytes::{Bytes, BytesMut};

/// The first bytes of every artefact file, so that a file of another layout counts as not sealed.
const MAGIC: &[u8; 8] = b"iofart1\n";
const HEADER: usize = MAGIC.len() + blake3::OUT_LEN;

/// The host's key. It never leaves this module.
pub(crate) struct Seal([u8; blake3::KEY_LEN]);

impl Seal {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The bytes of the file that holds `code`.
    pub(crate) fn close(&self, fingerprint: &str, sha256: &[u8; 32], code: &[u8]) -> Bytes {
        let mut file = BytesMut::with_capacity(HEADER + code.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(self.mac(fingerprint, sha256, code).as_bytes());
        file.extend_from_slice(code);
        file.freeze()
    }

    /// The code in `file`, if this host sealed exactly these bytes for exactly this engine and source.
    pub(crate) fn open<'a>(
        &self,
        fingerprint: &str,
        sha256: &[u8; 32],
        file: &'a [u8],
    ) -> Option<&'a [u8]> {
        let mac: [u8; blake3::OUT_LEN] = file.get(MAGIC.len()..HEADER)?.try_into().ok()?;
        let code = file.get(HEADER..)?;
        // Comparing two blake3::Hash takes the same time wherever they differ.
        (file.starts_with(MAGIC)
            && self.mac(fingerprint, sha256, code) == blake3::Hash::from_bytes(mac))
        .then_some(code)
    }

    fn mac(&self, fingerprint: &str, sha256: &[u8; 32], code: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.0)
            .update(&(fingerprint.len() as u64).to_le_bytes())
            .update(fingerprint.as_bytes())
            .update(sha256)
            .update(code)
            .finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_only_what_it_sealed() {
        let (ours, theirs, digest) = (Seal::new([1; 32]), Seal::new([2; 32]), [7; 32]);
        let file = ours.close("engine-a", &digest, b"code");
        assert_eq!(ours.open("engine-a", &digest, &file).unwrap(), b"code");

        assert!(
            theirs.open("engine-a", &digest, &file).is_none(),
            "another host"
        );
        assert!(
            ours.open("engine-b", &digest, &file).is_none(),
            "another engine"
        );
        assert!(
            ours.open("engine-a", &[8; 32], &file).is_none(),
            "another source"
        );
        for length in 0..file.len() {
            assert!(
                ours.open("engine-a", &digest, &file[..length]).is_none(),
                "cut to {length}"
            );
        }
        for place in 0..file.len() {
            let mut changed = file.to_vec();
            changed[place] ^= 1;
            assert!(
                ours.open("engine-a", &digest, &changed).is_none(),
                "changed at {place}"
            );
        }
    }

    #[test]
    fn an_empty_artefact_can_be_sealed() {
        let seal = Seal::new([1; 32]);
        assert_eq!(
            seal.open("e", &[0; 32], &seal.close("e", &[0; 32], b""))
                .unwrap(),
            b""
        );
    }
}
