//! Frames of HTTP/2, written by hand (RFC 9113, section 4).

use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface, and settings: pairs of an identifier and a value.
pub(super) fn opening(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    [PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()
}

/// A request's header fields, without Huffman codes or the dynamic table (RFC 7541). `ends`: no body follows.
pub(super) fn request(stream: u32, method: &str, path: &str, ends: bool) -> Vec<u8> {
    let mut block = vec![if method == "POST" { 0x83 } else { 0x82 }, 0x86];
    let mut literal = |index: &[u8], value: &str| {
        block.extend(index);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    };
    literal(&[0x04], path);
    literal(&[0x01], "localhost");
    literal(&[0x0f, 0x10], "application/octet-stream");
    frame(HEADERS, 0x4 | u8::from(ends), stream, &block)
}

/// The next frame: kind, flags, stream, payload.
pub(super) async fn next(
    stream: &mut (impl AsyncRead + Unpin),
    wait: Duration,
) -> Option<(u8, u8, u32, Vec<u8>)> {
    let read = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, id, payload))
    };
    timeout(wait, read).await.ok()?
}

/// The next frame of a kind.
pub(super) async fn next_of(
    stream: &mut (impl AsyncRead + Unpin),
    kind: u8,
    wait: Duration,
) -> Option<(u8, u8, u32, Vec<u8>)> {
    let search = async {
        loop {
            let frame = next(stream, wait).await?;
            if frame.0 == kind {
                return Some(frame);
            }
        }
    };
    timeout(wait, search).await.ok()?
}
