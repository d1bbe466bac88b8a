//! Names that an export cannot have, or not as they are.

/// Names that the host or the linker gives a meaning of its own.
const RESERVED: [&str; 4] = ["memory", "_start", "_initialize", "iof_prime"];

/// The functions and variables of wasi-libc (those of rustc 1.95), and `main`.
///
/// To the linker an export `time` is the `time` of the C library: the linker refuses two, or lets the standard library
/// call the wrong one.
const LIBC: &str = include_str!("libc.txt");

/// The end of such a name, in the form of the hashes of wasm-bindgen since 0.2.100, which hosts take off.
const HASH: &str = "_696f660000000000";

pub(crate) fn reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with("__")
}

/// The symbol of a name that belongs to the C library.
pub(crate) fn hashed(name: &str) -> Option<String> {
    LIBC.split_ascii_whitespace()
        .any(|known| known == name)
        .then(|| format!("{name}{HASH}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_the_c_library() {
        for name in [
            "time", "index", "pow", "read", "main", "malloc", "a64l", "yn",
        ] {
            assert!(super::hashed(name).is_some(), "{name}");
        }
        for name in ["say", "send_email", "tim", "Time"] {
            assert!(super::hashed(name).is_none(), "{name}");
        }
    }
}
