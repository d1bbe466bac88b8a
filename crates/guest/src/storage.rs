//! Values that outlive a call, under the function's own keys.
//!
//! ```
//! # fn main() -> iof::Result<()> {
//! iof::storage::set("name/ada", "Ada")?;
//! assert_eq!(iof::storage::get("name/ada")?, Some("Ada".to_owned()));
//! assert_eq!(iof::storage::increment("visits/ada", 1)?, 1);
//! assert_eq!(iof::storage::keys("visits/")?, ["visits/ada"]);
//! assert!(iof::storage::remove("name/ada")?);
//! # Ok(())
//! # }
//! ```
//!
//! The function needs the grant `storage = true` in its `function.toml`; without it, and at the limits `storage`,
//! `storage_value` and `storage_transactions`, the call ends. A value is on the disk when [`set`] returns, however the
//! call ends.
//!
//! # Concurrent calls
//!
//! Calls of one function run concurrently: if two [`set`] the same key, the later one wins, and a value that was read
//! may have changed by then. Use these for changes that depend on the current value:
//!
//! * [`increment`] adds to a number, however many calls do the same.
//! * [`update`] makes a new value from the old one, and tries again if another call was faster.
//! * A [`Batch`] changes several keys or none, if the current values are the expected ones.
//! * [`set_for`] stores a value for a time.
//!
//! ```
//! # fn main() -> iof::Result<()> {
//! let best = iof::storage::update("best", |best: Option<u32>| best.unwrap_or(0).max(7))?;
//! assert_eq!(best, 7);
//! let moved = iof::storage::Batch::new()
//!     .expect("account/a", Some(&10))?
//!     .set("account/a", &4)?
//!     .set("account/b", &6)?
//!     .commit();
//! assert!(!moved, "there is no account of 10");
//! # Ok(())
//! # }
//! ```
//!
//! In tests, each thread has a separate storage, in memory and empty at first. Its values never expire.

mod batch;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use batch::Batch;

/// The longest key, in bytes.
const KEY: usize = 512;
/// The most attempts of an update: a call has hardly more accesses (`limits.storage_transactions`).
const ATTEMPTS: u32 = 1000;

/// The reason why a key or a value cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The key is empty, or longer than 512 bytes.
    Key(usize),
    /// The value cannot be written as JSON, or the stored value is not the JSON of this type.
    Value {
        /// The key.
        key: String,
        /// The error of serde.
        source: serde_json::Error,
    },
    /// The stored value is not a whole number of 64 bits, or the sum would not be one.
    Number(String),
    /// Other calls changed the key during each attempt of [`update`].
    Contended(String),
}

/// Stores a value under a key of at most 512 bytes, as JSON.
///
/// # Errors
/// An error for an invalid key, and for a value that JSON cannot express.
pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value).map_err(|source| invalid(key, source))?;
    set_bytes(key, &bytes)
}

/// The value under a key; `None` if there is none.
///
/// # Errors
/// An error for an invalid key, and if the stored value is of another type.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    get_bytes(key)?
        .map(|bytes| serde_json::from_slice(&bytes).map_err(|source| invalid(key, source)))
        .transpose()
}

/// Stores bytes under a key, unchanged.
///
/// # Errors
/// An error for an invalid key.
pub fn set_bytes(key: &str, value: &[u8]) -> Result<(), Error> {
    check(key)?;
    host::save(key, value);
    Ok(())
}

/// The bytes under a key; `None` if there are none.
///
/// # Errors
/// An error for an invalid key.
pub fn get_bytes(key: &str) -> Result<Option<Vec<u8>>, Error> {
    check(key)?;
    Ok(host::load(key))
}

/// Stores a value for a time, as JSON; it is removed after that.
///
/// # Errors
/// The errors of [`set`].
pub fn set_for<T: Serialize + ?Sized>(
    key: &str,
    value: &T,
    lifetime: Duration,
) -> Result<(), Error> {
    // A batch without conditions is always made.
    let _made = Batch::new().set_for(key, value, lifetime)?.commit();
    Ok(())
}

/// Adds to the number under a key, which is 0 if there is none, and returns the sum. No other change comes between.
///
/// # Errors
/// An error for an invalid key, and if the stored value is not a whole number, or the sum does not fit 64 bits.
pub fn increment(key: &str, by: i64) -> Result<i64, Error> {
    check(key)?;
    let sum = host::add(key, by).ok_or_else(|| Error::Number(key.to_owned()))?;
    serde_json::from_slice(&sum).map_err(|source| invalid(key, source))
}

/// Replaces the value under a key by the result of `change`, and returns the new value. If another call changes the key
/// meanwhile, `change` is called again, so it should have no side effects.
///
/// # Errors
/// An error for an invalid key, if the stored value is of another type, and after a thousand attempts.
pub fn update<T: Serialize + DeserializeOwned>(
    key: &str,
    mut change: impl FnMut(Option<T>) -> T,
) -> Result<T, Error> {
    for _ in 0..ATTEMPTS {
        let before = get_bytes(key)?;
        let value = before.as_deref().map(serde_json::from_slice).transpose();
        let value = change(value.map_err(|source| invalid(key, source))?);
        let after = serde_json::to_vec(&value).map_err(|source| invalid(key, source))?;
        if compare_and_set(key, before.as_deref(), &after)? {
            return Ok(value);
        }
    }
    Err(Error::Contended(key.to_owned()))
}

/// Stores bytes under a key if the current bytes are `before` (`None`: there are none), and returns whether they were
/// stored.
///
/// # Errors
/// An error for an invalid key.
pub fn compare_and_set(key: &str, before: Option<&[u8]>, after: &[u8]) -> Result<bool, Error> {
    let batch = Batch::new().expect_bytes(key, before)?;
    Ok(batch.set_bytes(key, after)?.commit())
}

/// A page of the keys that begin with `prefix` and come after the key `after`, in byte order: at most a thousand. Call
/// it again with the last key of the page; an empty page is the end.
///
/// # Errors
/// An error for a prefix or a key that is longer than a key can be.
pub fn keys_after(prefix: &str, after: &str) -> Result<Vec<String>, Error> {
    let longest = prefix.len().max(after.len());
    if longest > KEY {
        return Err(Error::Key(longest));
    }
    Ok(host::page(prefix, after.as_bytes()).0)
}

/// The keys that begin with `prefix` (all of them, if it is empty), in byte order.
///
/// Each thousand of them counts as an access for the limit `storage_transactions`. Keys that another call sets or
/// removes meanwhile may be included or not.
///
/// # Errors
/// An error for a prefix that is longer than a key can be.
pub fn keys(prefix: &str) -> Result<Vec<String>, Error> {
    if prefix.len() > KEY {
        return Err(Error::Key(prefix.len()));
    }
    let (mut found, mut after) = (Vec::new(), Vec::new());
    loop {
        let (page, last) = host::page(prefix, &after);
        found.extend(page);
        match last {
            Some(last) => after = last,
            None => return Ok(found),
        }
    }
}

/// Removes the value under a key, and returns whether there was one.
///
/// # Errors
/// An error for an invalid key.
pub fn remove(key: &str) -> Result<bool, Error> {
    check(key)?;
    Ok(host::forget(key))
}

fn check(key: &str) -> Result<(), Error> {
    match key.len() {
        1..=KEY => Ok(()),
        length => Err(Error::Key(length)),
    }
}

fn invalid(key: &str, source: serde_json::Error) -> Error {
    Error::Value {
        key: key.to_owned(),
        source,
    }
}

impl Error {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "storage-key",
            Self::Value { .. } => "storage-value",
            Self::Number(_) => "storage-number",
            Self::Contended(_) => "storage-contended",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(length) => write!(
                f,
                "the length of the storage key is not 1 to {KEY} bytes: got {length}"
            ),
            Self::Value { key, source } => {
                write!(
                    f,
                    "the value under `{key}` in the storage is not valid: {source}"
                )
            }
            Self::Number(key) => write!(
                f,
                "the value under `{key}` in the storage is not a whole number, or the sum does not fit 64 bits"
            ),
            Self::Contended(key) => write!(
                f,
                "other calls changed `{key}` in the storage {ATTEMPTS} times before this one could"
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(target_family = "wasm")]
use crate::abi::imports as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::storage as host;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_none_and_another_type_an_error() {
        assert_eq!(get::<u8>("a").unwrap(), None);
        assert!(!remove("a").unwrap());
        set("a", "text").unwrap();
        assert_eq!(
            get::<u8>("a").unwrap_err().to_string(),
            "the value under `a` in the storage is not valid: invalid type: string \"text\", expected u8 at line 1 column 6"
        );
        set_bytes("a", b"7").unwrap();
        assert_eq!(get("a").unwrap(), Some(7));
        assert_eq!(get_bytes("a").unwrap().as_deref(), Some(&b"7"[..]));
    }

    #[test]
    fn keys_are_listed_by_their_prefix() {
        for key in ["b/2", "a", "b/1", "b", "c"] {
            set(key, &1).unwrap();
        }
        assert_eq!(keys("b/").unwrap(), ["b/1", "b/2"]);
        assert_eq!(keys("").unwrap(), ["a", "b", "b/1", "b/2", "c"]);
        assert!(remove("b/1").unwrap());
        assert_eq!(keys("b/").unwrap(), ["b/2"]);
        assert!(matches!(keys(&"k".repeat(513)), Err(Error::Key(513))));
    }

    #[test]
    fn a_number_is_added_to_and_an_update_returns_its_value() {
        assert_eq!(increment("n", 2).unwrap(), 2);
        assert_eq!(increment("n", -5).unwrap(), -3);
        assert_eq!(get::<i64>("n").unwrap(), Some(-3));
        set("text", "a").unwrap();
        assert!(matches!(increment("text", 1), Err(Error::Number(_))));
        set("most", &i64::MAX).unwrap();
        assert!(matches!(increment("most", 1), Err(Error::Number(_))));
        let list = update("list", |list: Option<Vec<u8>>| {
            let mut list = list.unwrap_or_default();
            list.push(1);
            list
        });
        assert_eq!(list.unwrap(), [1]);
        assert!(update("list", |n: Option<u8>| n.unwrap_or(0)).is_err());
        // Another call changes the value first, once.
        let mut attempts = 0;
        let sum = update("sum", |sum: Option<u8>| {
            attempts += 1;
            if attempts == 1 {
                set("sum", &10).unwrap();
            }
            sum.unwrap_or(0) + 1
        });
        assert_eq!((sum.unwrap(), attempts), (11, 2));
    }

    #[test]
    fn a_batch_is_made_or_not() {
        let first = || {
            Batch::new()
                .expect::<u8>("a", None)
                .unwrap()
                .set("a", &1)
                .unwrap()
        };
        assert!(first().set("b", &2).unwrap().commit());
        assert!(!first().set("b", &3).unwrap().commit());
        assert_eq!(get("b").unwrap(), Some(2));
        let moved = Batch::new()
            .expect("b", Some(&2))
            .unwrap()
            .remove("a")
            .unwrap();
        assert!(
            moved
                .set_for("c", "x", Duration::from_secs(1))
                .unwrap()
                .commit()
        );
        assert_eq!(keys("").unwrap(), ["b", "c"]);
        assert!(matches!(Batch::new().remove(""), Err(Error::Key(0))));
        assert!(compare_and_set("b", Some(b"2"), b"4").unwrap());
        assert!(!compare_and_set("b", Some(b"2"), b"5").unwrap());
        assert_eq!(keys_after("", "b").unwrap(), ["c"]);
        assert!(keys_after("", "c").unwrap().is_empty());
    }

    #[test]
    fn a_key_has_one_to_512_bytes() {
        assert_eq!(
            set_bytes("", b"").unwrap_err().to_string(),
            "the length of the storage key is not 1 to 512 bytes: got 0"
        );
        let long = "é".repeat(257);
        for refused in [get_bytes(&long).map(drop), remove(&long).map(drop)] {
            assert!(matches!(refused, Err(Error::Key(514))));
        }
        set_bytes(&"k".repeat(512), b"").unwrap();
    }
}
