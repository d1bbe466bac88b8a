//! The types of the store's API, independent of rows: what a deploy provides, what a call needs, and what is kept.
//!
//! Types that only this crate sees are what it passes to a database and gets back from it; the checks and refusals here
//! are the same for every database.

mod api_keys;
mod calls;
mod changes;
mod ephemeral;
mod figures;
mod functions;
mod jobs;
mod outbound;
mod recordings;
mod rollout;
mod schedules;
mod secrets;
mod values;
mod versions;

pub use api_keys::{ApiKey, MAX_API_KEYS, MAX_KEY_LABEL, NewKey};
pub(crate) use api_keys::{check_key, too_many_keys};
pub use calls::{Call, Calls, LoggedCall, RefusedCall, Usage};
pub(crate) use changes::NewRecord;
pub use changes::{Author, AuthorKey, ChangeLimits, ChangeQuery, ChangeRecord, Surface};
pub(crate) use ephemeral::NewEphemeral;
pub use ephemeral::{EphemeralPut, EphemeralShare};
pub use figures::WriteFigures;
pub use functions::{Created, Function, FunctionFilter, MAX_FUNCTION_NAME, NewFunction, Summary};
pub(crate) use functions::{FunctionRow, check_name};
pub(crate) use jobs::job_exists;
pub use jobs::{
    CancelledJob, Finished, IdempotencyKey, Job, JobEnd, JobFigures, JobHead, JobKind, JobQuery,
    JobRoom, JobState, JobTerms, Lease, NewJob, Postponed, RetriedJob, Submitted, Taken, Taking,
};
pub use outbound::{
    OutboundKind, OutboundLine, OutboundQuery, OutboundRecord, OutboundRow, OutboundWait,
};
pub use recordings::{Recording, RecordingHead, RecordingLimits};
pub(crate) use rollout::active_canary;
pub use rollout::{Canary, Percent, Rollout};
pub use schedules::{DueSchedule, Schedule, ScheduledJob, Settled, Settlement};
pub use secrets::{MAX_SECRET_NAME, MAX_SECRET_VALUE, MAX_SECRETS, SecretName, is_secret_name};
pub(crate) use secrets::{Reseal, SealedSecret, check_secret, too_many_secrets};
pub use values::{
    Committed, Saved, Updated, ValueBatch, ValueChange, ValueHead, ValueKey, ValueWrite,
};
pub(crate) use versions::VersionRow;
pub use versions::{Deploy, NewVersion, Uploaded, Version, VersionId};
