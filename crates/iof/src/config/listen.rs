//! Listen addresses in the forms that people write: `127.0.0.1:8080`, `localhost:8080`, `:8080`, `8080`.
//!
//! Without an address, the server listens on loopback: a server that should be reachable from elsewhere needs a full
//! address.

use serde::de::{Deserializer, Error, Visitor};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

/// Parses an address.
///
/// # Errors
/// A message with a valid example.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match (host, port.parse::<u16>()) {
        ("" | "localhost", Ok(port)) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        _ => Err(format!(
            "not an address and port: got {text:?}. Write 127.0.0.1:8080 or localhost:8080, or 8080 for a port of this machine."
        )),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    struct Address;
    impl Visitor<'_> for Address {
        type Value = SocketAddr;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address and port, such as \"127.0.0.1:8080\", or a port")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
            parse(text).map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, port: i64) -> Result<SocketAddr, E> {
            parse(&port.to_string()).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, port: u64) -> Result<SocketAddr, E> {
            parse(&port.to_string()).map_err(E::custom)
        }
    }
    from.deserialize_any(Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_this_machine() {
        for text in ["8080", ":8080", "localhost:8080", "127.0.0.1:8080"] {
            assert_eq!(parse(text).unwrap().to_string(), "127.0.0.1:8080", "{text}");
        }
        assert_eq!(parse("[::1]:0").unwrap().to_string(), "[::1]:0");
        assert_eq!(parse("0.0.0.0:1").unwrap().to_string(), "0.0.0.0:1");
        for text in [
            "",
            ":",
            "localhost",
            "example.com:80",
            "70000",
            "-1",
            "127.0.0.1",
            " 80",
            "::1",
        ] {
            assert!(parse(text).unwrap_err().contains("8080"), "{text}");
        }
    }
}
