//! The answer: a picture while it is made, or the reason why there is none.

use crate::problem::Problem;
use std::io::{self, Write};
use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

/// The bytes that are written at once.
const PIECE: usize = 4096;

/// An answer. Its head leaves with its first whole piece, so that a small picture that is broken has a status that says so.
pub struct Answer {
    out: Option<ResponseOutparam>,
    open: Option<(OutputStream, OutgoingBody)>,
    piece: Vec<u8>,
}

impl Answer {
    pub fn new(out: ResponseOutparam) -> Self {
        Self {
            out: Some(out),
            open: None,
            piece: vec![],
        }
    }

    fn begin(&mut self, status: u16, kind: &str) -> Option<()> {
        let out = self.out.take()?;
        let headers = Fields::new();
        headers.append("content-type", kind.as_bytes()).ok()?;
        let response = OutgoingResponse::new(headers);
        response.set_status_code(status).ok()?;
        let body = response.body().ok()?;
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().ok()?;
        self.open = Some((stream, body));
        Some(())
    }

    /// Sends what is left of a picture, and ends it.
    pub fn end(&mut self) -> Result<(), Problem> {
        self.send()?;
        if let Some((stream, body)) = self.open.take() {
            drop(stream);
            let _ = OutgoingBody::finish(body, None);
        }
        Ok(())
    }

    /// Says why there is no picture; one that has begun is cut.
    pub fn fail(&mut self, problem: &Problem) {
        if self
            .begin(problem.status(), "text/plain; charset=utf-8")
            .is_none()
        {
            return eprintln!("{problem}");
        }
        self.piece = format!("{problem}\n").into_bytes();
        let _ = self.end();
    }

    fn send(&mut self) -> io::Result<()> {
        let _ = self.begin(200, "image/png");
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (stream, _) = self.open.as_ref().ok_or_else(gone)?;
        let sent = stream.blocking_write_and_flush(&self.piece);
        self.piece.clear();
        sent.map_err(|_| gone())
    }
}

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.send()?;
        }
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
