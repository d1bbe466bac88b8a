//! The behaviour of connections, byte by byte: framing, refusals, silence, slow readers, and clients that close their
//! side. docs/LIMITS.md, "A connection", has a row for each stage.

mod early_refusal;
mod frames;
mod half_closed;
mod heads;
mod http_bytes;
mod raw;
mod silent;
mod slow_readers;
mod stages;
mod waits;
