//! A connection between the socket and the routes: the limits on a client that is slow, silent or gone.
//!
//! | file | decides |
//! |---|---|
//! | `addresses` | how many connections one address may have |
//! | `transport` | what reads and writes reveal about the client, and what it means that the client closes its side |
//! | `first_line` | bare quotation marks in the first request line |
//! | `supervisor` | when a connection has been idle, or has taken nothing, for too long |
//! | `streams` | when one stream of HTTP/2 has taken nothing for too long |
//! | `exchange`, `request_body`, `answer_body` | when a request is in progress, and when its answer is sent |
//! | `unread` | what happens to the rest of a body that its request did not read |
//! | `answer_share` | how much of the memory for bodies large answers take |
//! | `head` | how large the head of a request may be |
//!
//! A connection is one task. Its parts share a [`ConnectionState`].

mod addresses;
mod answer_body;
mod answer_share;
mod exchange;
mod first_line;
mod head;
mod request_body;
mod state;
mod streams;
mod supervisor;
mod transport;
mod unread;

pub(crate) use addresses::{AddressShares, network};
pub(crate) use answer_body::AnswerBody;
pub(crate) use answer_share::{Written, count};
pub(crate) use exchange::Exchange;
pub(crate) use first_line::FirstLine;
pub(crate) use head::refusal;
pub(crate) use request_body::{ClientLeaves, RequestBody};
pub(crate) use state::ConnectionState;
pub(crate) use streams::Streams;
pub(crate) use supervisor::Supervisor;
pub(crate) use transport::{Socket, Transport};

use std::net::IpAddr;

/// The client of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// True if it speaks TLS.
    pub(crate) secure: bool,
}
