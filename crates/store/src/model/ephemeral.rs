//! An ephemeral text.

use std::time::Duration;

/// The part of the ephemeral storage that one owner may fill.
#[derive(Clone, Debug)]
pub struct EphemeralShare {
    /// The owner for whom the rows are counted: a text that is not empty.
    pub owner: String,
    /// Bytes of the keys and values of the owner's rows that have not expired.
    pub limit: u64,
}

/// The outcome of [`Store::put_ephemeral`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EphemeralPut {
    /// The text is on the disk.
    Done,
    /// The text would exceed the limit of all rows; nothing was changed.
    Full,
    /// The text would exceed the limit of its owner's rows; nothing was changed.
    ShareFull,
}

/// A text to be stored.
pub(crate) struct NewEphemeral {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) life: Duration,
    pub(crate) total_limit: u64,
    pub(crate) share: Option<EphemeralShare>,
}
