//! Whole requests and responses as bytes, the form in which they are passed to a function and back.
//!
//! Four little-endian bytes hold the length of a head in JSON; the body follows the head unchanged. So a body costs one
//! copy, a recording and a job store it like any other argument, and the engine passes it on without reading it.
//!
//! ```text
//! {"method":"POST","path":"/below","query":"a=b","headers":[["content-type","text/plain"]]}
//! {"status":200,"headers":[["content-type","text/plain"]]}
//! ```

pub(crate) mod request;
pub(crate) mod response;

pub(crate) use request::{SentHead, shown_whole};
pub(crate) use response::may_leave;

use bytes::{BufMut, Bytes, BytesMut};

/// The number of bytes that hold the head's length.
const PREFIX: usize = 4;

/// Joins a head and a body.
pub(crate) fn seal(head: &[u8], body: &[u8]) -> Bytes {
    let mut sealed = BytesMut::with_capacity(PREFIX + head.len() + body.len());
    sealed.put_u32_le(u32::try_from(head.len()).unwrap_or(u32::MAX));
    sealed.put_slice(head);
    sealed.put_slice(body);
    sealed.freeze()
}

/// Splits an envelope into head and body; `None` if it is malformed.
pub(crate) fn open(sealed: &Bytes) -> Option<(Bytes, Bytes)> {
    let length = sealed.first_chunk::<PREFIX>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let end = PREFIX
        .checked_add(length)
        .filter(|end| *end <= sealed.len())?;
    Some((sealed.slice(PREFIX..end), sealed.slice(end..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens() {
        for (head, body) in [(&b""[..], &b""[..]), (b"{}", b""), (b"{}", b"\xff\0")] {
            let (opened, rest) = open(&seal(head, body)).unwrap();
            assert_eq!((&*opened, &*rest), (head, body));
        }
        for broken in [&b""[..], b"\0\0\0", b"\x01\0\0\0", b"\xff\xff\xff\xff{}"] {
            assert_eq!(open(&Bytes::from_static(broken)), None, "{broken:?}");
        }
    }
}
