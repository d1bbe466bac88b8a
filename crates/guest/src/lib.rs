//! The crate with which a function of iof is written.
//!
//! A function is a Rust function with an attribute. It is called over HTTP, by its name:
//!
//! ```
//! /// Greets.
//! #[iof::function]
//! fn hello(name: &str) -> String {
//!     format!("hello {name}")
//! }
//! # assert_eq!(hello("world"), "hello world");
//! ```
//!
//! ```toml
//! # Cargo.toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! iof-guest = { path = "iof-guest" }
//! ```
//!
//! ```sh
//! cargo build --release --target wasm32-wasip1
//! ```
//!
//! # Parameters and results
//!
//! | Rust | in a call |
//! |---|---|
//! | `&str`, `String` | the text |
//! | `&[u8]`, `Vec<u8>` | the bytes |
//! | `bool`, `i8` … `u64`, `f32`, `f64` | itself |
//! | `()`, as a result | nothing |
//! | any other type that serde reads and writes, `&` of one, `Option`, `Vec`, tuples | JSON |
//! | `Result<T, E>`, as a result | `T`, or the call fails with the text of `E` |
//! | [`Request`], as the one argument | the whole request |
//! | [`Response`], as a result | status, headers and body |
//!
//! [`data`] makes a type one that crosses as JSON, and describes it to callers by a JSON Schema:
//!
//! ```
//! #[iof::data]
//! struct Mail {
//!     to: String,
//!     /// One line.
//!     subject: String,
//!     copies: Option<Vec<String>>,
//! }
//!
//! /// Sends a mail, and says how many will get it.
//! #[iof::function]
//! fn send_mail(mail: &Mail, urgent: bool) -> Result<u32, iof::Error> {
//!     if mail.to.is_empty() {
//!         return Err(iof::Error::new("no-receiver", "The mail is to nobody."));
//!     }
//!     iof::http::post("https://mail.example.com/send")
//!         .header("priority", if urgent { "1" } else { "5" })
//!         .json(mail)
//!         .send()?
//!         .error_for_status()?;
//!     Ok(1 + mail.copies.as_ref().map_or(0, |copies| copies.len() as u32))
//! }
//! ```
//!
//! # Webhooks
//!
//! A function with [`Request`] as its argument answers every caller of its address, `/fn/<function>/<export>`. One that
//! needs only the body says so, and takes any, whatever its content type: text that is UTF-8, bytes, or JSON.
//!
//! ```
//! /// Takes the event of a webhook.
//! #[iof::function(raw)]
//! fn event(body: iof::serde_json::Value) -> String {
//!     body["action"].as_str().unwrap_or("no action").to_owned()
//! }
//! ```
//!
//! Methods beside `raw` are the methods that call the function: `#[iof::function(get)]` lets a link call it, and its
//! arguments then are the fields of the query.
//!
//! # Errors
//!
//! An error ends the call with a code and a message: those of an [`Error`], or the code `error` and the text of any
//! other error; callers see the status 502, or the one of [`Error::with_status`]. An argument that is not the JSON of
//! its type ends the call with the code `arguments`, before the function is called. A panic ends it as well, with its
//! message in the log.
//!
//! # What a function can reach
//!
//! Only the resources that its `function.toml` declares and the operator of the server grants:
//!
//! * [`http`]: requests. The server adds the secrets that they need; a function never holds one.
//! * [`Command`]: any other command.
//! * [`signing`]: signatures by secrets that a function never holds.
//! * [`storage`]: values that outlive a call.
//! * [`variable()`]: variables that `function.toml` or the deploy sets for this version.
//! * [`log`](mod@log): lines in the log. These need no grant.
//!
//! # Lifetime
//!
//! Each call gets a fresh instance: values that a call leaves in a `static` are gone after it. Expensive set-up is done
//! once, when the module is uploaded, by a function with the attribute [`prime`].
//!
//! # Tests
//!
//! Use `cargo test`, on the machine where the function is written. The attribute leaves the function unchanged, so a
//! test calls it, and answers its requests to the server: see `iof::testing`.
//!
//! ```
//! # fn ping() -> iof::Result<u16> { Ok(iof::http::get("https://example.com/").send()?.status()) }
//! let host = iof::testing::http(|_| iof::http::Response::new(200));
//! assert_eq!(ping().unwrap(), 200);
//! assert_eq!(host.requests()[0].url, "https://example.com/");
//! ```
//!
//! # Details
//!
//! * `bool` and the numbers are recognised by name: an alias of one of them crosses as JSON. All other types are
//!   recognised by the compiler, so an alias of `String` is text. A `Result` needs to be written as one.
//! * A result may borrow from a parameter: `fn first(words: &str) -> &str`.
//! * A type with `Deserialize` and `Serialize` crosses without [`data`]; with [`JsonSchema`] derived, too, it is
//!   described. The derives find their crates with `#[serde(crate = "iof::serde")]` and
//!   `#[schemars(crate = "iof::schemars")]`.
//! * A field whose type has no schema does not compile with [`data`]: describe it by another type, `#[schemars(with =
//!   "String")]`, or switch on the feature of schemars for its crate (`schemars = { version = "1", features =
//!   ["chrono04"] }`).
//! * An argument that a caller leaves out is an empty text, and `None` of an `Option`.
//! * The feature `schema`, which is on, describes types. Without it modules are smaller, and uploads a little faster.
//! * `#![forbid(unsafe_code)]` also forbids naming an export, so write `#![deny(unsafe_code)]`.
//! * `wasm32-unknown-unknown` works as well, without log, files and time. There, no other crate may use wasm-bindgen.

#[cfg(test)]
extern crate self as iof; // the attributes name the crate as its users do

mod abi;
mod command;
mod describe;
mod error;
pub mod http;
pub mod log;
mod request;
mod response;
pub mod signing;
pub mod storage;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod value;
mod variable;

pub use command::{Command, CommandError, Output};
pub use error::{Error, Result};
pub use iof_guest_macros::{data, function, prime};
pub use request::Request;
pub use response::Response;
#[cfg(feature = "schema")]
pub use schemars::{self, JsonSchema};
pub use variable::variable;
pub use {serde, serde_json};

/// Items that the attributes use. They are not for authors, and any of them may change.
#[doc(hidden)]
pub mod __private {
    pub use crate::abi::{Area, Pointer};
    pub use crate::describe::{Described, Direction, Exchange, NoSchema, describe};
    pub use crate::value::{AnyError, AnyValue, Failed, Of};
}
