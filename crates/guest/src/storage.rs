//! Values that outlive a call, under keys of the function's own.
//!
//! ```
//! # fn main() -> iof::Result<()> {
//! iof::storage::set("visits/ada", &3)?;
//! let visits: Option<u32> = iof::storage::get("visits/ada")?;
//! assert_eq!(visits, Some(3));
//! assert_eq!(iof::storage::keys("visits/")?, ["visits/ada"]);
//! assert!(iof::storage::remove("visits/ada")?);
//! # Ok(())
//! # }
//! ```
//!
//! The function needs the grant `storage = true` in its `function.toml`; without it, and at the limits `storage`,
//! `storage_value` and `storage_transactions`, the call ends. A value is on the disk when [`set`] returns, whatever
//! becomes of the call. Calls of one function run side by side: of two that set the same key, the later one wins.
//!
//! In tests, each thread has a storage of its own, in memory and empty at first.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest key.
const KEY: usize = 512;

/// Why a key or a value cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The key is empty, or of more than 512 bytes.
    Key(usize),
    /// The value cannot be written as JSON, or what is there is not the JSON of this type.
    Value {
        /// The key.
        key: String,
        /// What serde says.
        source: serde_json::Error,
    },
}

/// Keeps a value under a key of at most 512 bytes, as JSON.
///
/// # Errors
/// For a key that cannot be, and a value that JSON cannot express.
pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value).map_err(|source| invalid(key, source))?;
    set_bytes(key, &bytes)
}

/// The value under a key; `None` if there is none.
///
/// # Errors
/// For a key that cannot be, and when what is there is of another type.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    get_bytes(key)?
        .map(|bytes| serde_json::from_slice(&bytes).map_err(|source| invalid(key, source)))
        .transpose()
}

/// Keeps bytes as they are.
///
/// # Errors
/// For a key that cannot be.
pub fn set_bytes(key: &str, value: &[u8]) -> Result<(), Error> {
    check(key)?;
    host::save(key, value);
    Ok(())
}

/// The bytes under a key; `None` if there are none.
///
/// # Errors
/// For a key that cannot be.
pub fn get_bytes(key: &str) -> Result<Option<Vec<u8>>, Error> {
    check(key)?;
    Ok(host::load(key))
}

/// The keys that begin with `prefix` (all of them, if it is empty), in the order of their bytes.
///
/// Each thousand of them counts as an access for the limit `storage_transactions`. What another call sets or removes
/// meanwhile may be among them or not.
///
/// # Errors
/// For a prefix that is longer than a key can be.
pub fn keys(prefix: &str) -> Result<Vec<String>, Error> {
    if prefix.len() > KEY {
        return Err(Error::Key(prefix.len()));
    }
    Ok(host::keys(prefix))
}

/// Forgets the value under a key, and tells whether there was one.
///
/// # Errors
/// For a key that cannot be.
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
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(length) => write!(
                f,
                "a key of the storage has 1 to {KEY} bytes; this one has {length}"
            ),
            Self::Value { key, source } => {
                write!(f, "the value under `{key}` in the storage: {source}")
            }
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
            "the value under `a` in the storage: invalid type: string \"text\", expected u8 at line 1 column 6"
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
    fn a_key_has_one_to_512_bytes() {
        assert_eq!(
            set_bytes("", b"").unwrap_err().to_string(),
            "a key of the storage has 1 to 512 bytes; this one has 0"
        );
        let long = "é".repeat(257);
        for refused in [get_bytes(&long).map(drop), remove(&long).map(drop)] {
            assert!(matches!(refused, Err(Error::Key(514))));
        }
        set_bytes(&"k".repeat(512), b"").unwrap();
    }
}
