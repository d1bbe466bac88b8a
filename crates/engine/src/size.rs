//! Serialisation of sizes as text that reads back as the same size.
//!
//! The crate `bytesize` writes 2000 bytes as `2.0 KiB`, which is 2048: a limit stored in that form would change at a
//! restart. This module writes a size in bytes (`2000 B`) if its short form is not exact.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a size.
///
/// # Errors
/// The errors of the serializer.
pub fn serialize<S: Serializer>(size: &ByteSize, to: S) -> Result<S::Ok, S::Error> {
    text(*size).serialize(to)
}

/// Reads a size: a number of bytes, or a text such as `64MiB`.
///
/// # Errors
/// The errors of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    ByteSize::deserialize(from)
}

fn text(size: ByteSize) -> String {
    let short = size.to_string();
    match short.parse::<ByteSize>() {
        Ok(read) if read == size => short,
        _ => format!("{} B", size.as_u64()),
    }
}

/// Serialization of a size that may be missing.
pub mod option {
    use super::{ByteSize, Deserialize, Deserializer, Serialize, Serializer, text};

    /// Writes a size, if there is one.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(size: &Option<ByteSize>, to: S) -> Result<S::Ok, S::Error> {
        size.map(text).serialize(to)
    }

    /// Reads a size, if there is one.
    ///
    /// # Errors
    /// The errors of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ByteSize>, D::Error> {
        Option::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Sizes {
        #[serde(with = "super")]
        one: ByteSize,
        #[serde(with = "super::option", default)]
        other: Option<ByteSize>,
    }

    proptest! {
        #[test]
        fn a_size_is_read_as_it_was(one: u64, other: Option<u32>) {
            let sizes = Sizes { one: ByteSize(one), other: other.map(|size| ByteSize(size.into())) };
            let text = serde_json::to_string(&sizes).unwrap();
            prop_assert_eq!(serde_json::from_str::<Sizes>(&text).unwrap(), sizes, "{}", text);
        }
    }

    #[test]
    fn sizes_stay_short_where_that_is_exact() {
        assert_eq!(text(ByteSize::mib(64)), "64.0 MiB");
        assert_eq!(text(ByteSize(2000)), "2000 B");
        assert_eq!(text(ByteSize(1)), "1 B");
    }
}
