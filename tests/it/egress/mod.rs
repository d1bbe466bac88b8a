//! Outbound traffic: requests, and the secrets in them.

pub(crate) mod attacks;
mod caller_secrets;
mod inside;
mod outbound;
pub(crate) mod secrets;
mod secrets_kept;
mod send_email;
pub(crate) mod signed_requests;
mod stale_connection;
mod stand_in;
mod upstream;
