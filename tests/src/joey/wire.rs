//! HTTP/1.1 by hand: writes one request, and reads one answer.

use std::{
    io::{Error, Result},
    time::Duration,
};

use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{Call, Manner};
use crate::call::Answer;

/// The time for which `curl` waits for a `100 Continue`.
const CONTINUE: Duration = Duration::from_secs(1);

pub(super) async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    call: &Call<'_>,
) -> Result<Answer> {
    let (head, waits) = call.head();
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let mut read = Vec::new();
    let body = call.body.as_deref().unwrap_or_default();
    let mut go_on = true;
    if waits {
        go_on = match timeout(CONTINUE, head_of(&mut stream, &mut read)).await {
            // curl stops waiting, and sends.
            Err(_) => true,
            Ok(end) => {
                let end = end?;
                let interim = read.starts_with(b"HTTP/1.1 100");
                if interim {
                    read.drain(..end);
                }
                interim
            }
        };
    }
    if go_on {
        // A server that has already refused may close while the client still sends; only its answer counts.
        let sent = match call.joey.manner {
            Manner::Curl => stream.write_all(body).await,
            Manner::Node => match &call.body {
                Some(body) => stream.write_all(&chunked(body)).await,
                None => Ok(()),
            },
        };
        let _ = sent.and(stream.flush().await);
    }
    let mut end = head_of(&mut stream, &mut read).await?;
    while read.starts_with(b"HTTP/1.1 100") {
        read.drain(..end);
        end = head_of(&mut stream, &mut read).await?;
    }
    let rest = read.split_off(end);
    let (http, headers) = parse(&read)?;
    let mut answer = Answer {
        http,
        headers,
        body: rest,
    };
    let none = call.method == "HEAD" || matches!(http.as_u16(), 204 | 304);
    if none {
        return Ok(answer);
    }
    if answer.header("transfer-encoding") == "chunked" {
        let raw = std::mem::take(&mut answer.body);
        answer.body = dechunk(&mut stream, raw).await?;
    } else if let Ok(length) = answer.header("content-length").parse::<usize>() {
        while answer.body.len() < length {
            more(&mut stream, &mut answer.body).await?;
        }
        if answer.body.len() > length {
            return Err(Error::other("more than the length promised"));
        }
    } else {
        stream.read_to_end(&mut answer.body).await?;
    }
    Ok(answer)
}

/// A body in Node's chunks: two pieces if it is long enough, and the end.
fn chunked(body: &[u8]) -> Vec<u8> {
    let (first, second) = body.split_at(body.len() / 2);
    let mut sent = Vec::with_capacity(body.len() + 32);
    for piece in [first, second]
        .into_iter()
        .filter(|piece| !piece.is_empty())
    {
        sent.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        sent.extend(piece);
        sent.extend(b"\r\n");
    }
    sent.extend(b"0\r\n\r\n");
    sent
}

/// Reads until a head is whole, and returns the position of its end.
async fn head_of(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Result<usize> {
    loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(at + 4);
        }
        more(stream, read).await?;
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Result<()> {
    match stream.read_buf(read).await? {
        0 => Err(Error::other(format!(
            "the connection ended after {:?}",
            String::from_utf8_lossy(read)
        ))),
        _ => Ok(()),
    }
}

async fn dechunk(stream: &mut (impl AsyncRead + Unpin), mut raw: Vec<u8>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            match raw.windows(2).position(|two| two == b"\r\n") {
                Some(at) => break at,
                None => more(stream, &mut raw).await?,
            }
        };
        let size = String::from_utf8_lossy(raw.get(..line).unwrap_or_default()).into_owned();
        let size = usize::from_str_radix(&size, 16).map_err(Error::other)?;
        while raw.len() < line + 2 + size + 2 {
            more(stream, &mut raw).await?;
        }
        body.extend(raw.drain(..line + 2 + size + 2).skip(line + 2).take(size));
        if size == 0 {
            return Ok(body);
        }
    }
}

fn parse(head: &[u8]) -> Result<(StatusCode, HeaderMap)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok());
    let status = status.ok_or_else(|| Error::other(format!("no status in {text:?}")))?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| Error::other(format!("no header: {line:?}")))?;
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).map_err(Error::other)?,
            HeaderValue::from_str(value.trim()).map_err(Error::other)?,
        );
    }
    Ok((status, headers))
}
