//! The threads that serve requests: one for each core, each with a runtime of its own, beside one runtime that all
//! share.
//!
//! | part | where | what it buys |
//! |---|---|---|
//! | a connection stays on one thread, and so does what its calls do | [`WorkerThreads`] | two servers of one thread served a fifth more calls than one of two (docs/decisions/0020): no thread wakes another to look for work, and nothing is fought over |
//! | a call that computes moves to threads of lower priority | [`MigratingRequest`], told by `iof_engine::watched`; `ComputeThreads` | short calls wait for it twice, 5 ms each, and not at each of its ticks; no core idles while another has two long calls; beside 100 calls that compute, short ones are served as if there were one (`cargo xtask bench neighbours`) |
//! | a connection to an upstream is polled by the call that waits for it | `iof_egress`, which prefers connections of the same thread | two wake-ups and ten allocations a request (docs/decisions/0012) |
//! | calls that are ready write together | `calls::execute`, before the answer is sent | 13 to 15 % more calls a second at 16 at a time (docs/decisions/0019) |
//!
//! Streams of HTTP/2, jobs, and writers of rows run in the shared runtime; a CPU-bound call of a stream or a job moves,
//! too.
//!
//! This is the hardest code of the server, and stays for what it gains. It is to be replaced by one multi-threaded
//! runtime of tokio and the client of hyper-util when the same build without it serves at least 95 percent as many
//! short calls a second at 16 at a time, and its slowest percent takes at most 10 percent longer.
//! `cargo xtask bench hello` and `cargo xtask bench egress` measure both; run them with each new major version of
//! tokio.

mod compute;
mod migrate;
mod workers;

pub(crate) use migrate::MigratingRequest;
pub use workers::WorkerThreads;
