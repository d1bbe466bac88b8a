//! The threads that serve requests: one for each core, each with a runtime of its own, and one shared runtime.
//!
//! | part | where | gain |
//! |---|---|---|
//! | a connection stays on one thread, and so does what its calls do | [`WorkerThreads`] | two servers of one thread served a fifth more calls than one of two (docs/decisions/0020): no thread wakes another to look for work, and there is no contention |
//! | a call that computes moves to threads of lower priority | [`MigratingRequest`], told by `iof_engine::watched`; `ComputeThreads` | short calls wait for it twice, 5 ms each, instead of at each of its ticks; no core idles while another has two long calls; 100 CPU-bound calls slow short calls down no more than one does (`cargo xtask bench neighbours`) |
//! | a connection to an upstream is polled by the call that waits for it | `iof_egress`, which prefers connections of the same thread | two wake-ups and ten allocations a request (docs/decisions/0012) |
//! | calls that are ready write together | `calls::execute`, before the answer is sent | 13 to 15 % more calls a second at 16 at a time (docs/decisions/0019) |
//!
//! Streams of HTTP/2, jobs, and writers of rows run in the shared runtime; a CPU-bound call of a stream or a job moves,
//! too.
//!
//! This is the most difficult code of the server, and is kept for its gains. One multi-threaded runtime of tokio and
//! the client of hyper-util are to replace it when the same build without it serves at least 95 percent as many short
//! calls per second at a concurrency of 16, and its 99th percentile of latency is at most 10 percent higher.
//! `cargo xtask bench hello` and `cargo xtask bench egress` measure both; run them with each new major version of
//! tokio.

mod compute;
mod migrate;
mod workers;

pub(crate) use migrate::MigratingRequest;
pub use workers::WorkerThreads;
