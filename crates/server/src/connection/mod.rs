//! A connection between the socket and the routes: what bounds a client that is slow, silent or gone.
//!
//! | file | decides |
//! |---|---|
//! | `addresses` | how many connections one address may have |
//! | `transport` | what reading and writing tell of the client, and what the end of its side means |
//! | `first_line` | bare quotation marks in the first request line |
//! | `supervisor` | when a connection has been idle, or has taken nothing, for too long |
//! | `streams` | the same for one stream of HTTP/2 |
//! | `bodies` | what is left of a request's body when it is answered, and an answer until it is sent |
//! | `head` | how large the head of a request may be |
//!
//! A connection is one task. A [`ConnectionState`] is what its parts know of each other.

mod addresses;
mod bodies;
mod first_line;
mod head;
mod state;
mod streams;
mod supervisor;
mod transport;

pub(crate) use addresses::{AddressShares, network};
pub(crate) use bodies::{RequestBody, Written, count};
pub(crate) use first_line::FirstLine;
pub(crate) use head::refusal;
pub(crate) use state::{ConnectionState, Exchange};
pub(crate) use streams::Streams;
pub(crate) use supervisor::Supervisor;
pub(crate) use transport::{Socket, Transport};
