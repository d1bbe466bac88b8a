//! The body of a request, as decoders read it.

use crate::problem::Problem;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use wasip2::http::types::{IncomingBody, IncomingRequest};
use wasip2::io::streams::{InputStream, StreamError};

/// The most bytes that are read at once.
const PIECE: u64 = 16 << 10;

/// The body of a request. The server bounds it (`streamed_body`).
pub struct Body {
    stream: InputStream,
    /// The owner of the stream, which goes after it.
    _incoming: IncomingBody,
    piece: Vec<u8>,
    taken: usize,
}

impl Body {
    /// The body of a request, which is read once.
    pub fn of(request: &IncomingRequest) -> Result<Self, Problem> {
        let incoming = request.consume().map_err(|()| Problem::Body)?;
        let stream = incoming.stream().map_err(|()| Problem::Body)?;
        Ok(Self {
            stream,
            _incoming: incoming,
            piece: vec![],
            taken: 0,
        })
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.piece.len() {
            self.taken = 0;
            self.piece = match self.stream.blocking_read(PIECE) {
                Ok(piece) => piece,
                Err(StreamError::Closed) => {
                    self.piece.clear();
                    break;
                }
                Err(StreamError::LastOperationFailed(_)) => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            };
        }
        Ok(&self.piece[self.taken..])
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

impl Read for Body {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut piece = self.fill_buf()?;
        let count = piece.read(to)?;
        self.consume(count);
        Ok(count)
    }
}

/// The decoder of PNG asks for it, and does not go back in a picture.
impl Seek for Body {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
