//! Jobs: calls that run later, and whose outcome clients fetch, or have sent to them.
//!
//! A job is on the disk before it is acknowledged. A few jobs run at a time, beside the calls whose clients wait, and
//! under the same limit. The server has a lease of each job that it runs, and renews it; a job whose lease ends is run by
//! whoever takes it next. So jobs run at least once, not exactly once; but only the last one to take a job ends it.
//!
//! | file | decides |
//! |---|---|
//! | `request` | what is stored of a call and of its outcome, and how it is accepted |
//! | `terms` | what a caller says of a job in headers: its priority, its time, its callback, its idempotency key |
//! | `worker` | which jobs this server takes, and how it stops |
//! | `held` | the leases that this server has |
//! | `run` | one attempt at a job, and what follows from its end |
//! | `callback` | the sending of an outcome |
//! | `view` | a job as JSON |

mod callback;
mod ends;
mod held;
mod request;
mod run;
mod terms;
mod view;
mod worker;

pub(crate) use ends::JobEnds;
pub(crate) use request::{JobRequest, cancelled, refusal, retry, room, scheduled_terms, submit};
pub(crate) use terms::JobOptions;
pub(crate) use view::{JobInfo, job_json};
pub(crate) use worker::JobWorker;
