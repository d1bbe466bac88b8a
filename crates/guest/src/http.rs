//! HTTP requests, which the command `http_proxy` sends.
//!
//! ```no_run
//! # #[derive(iof::serde::Deserialize)]
//! # #[serde(crate = "iof::serde")]
//! # struct Rates {}
//! # fn main() -> iof::Result<()> {
//! let rates: Rates = iof::http::get("https://rates.example.com/latest")
//!     .query("base", "EUR")
//!     .retry(2)
//!     .send()?
//!     .error_for_status()?
//!     .json()?;
//! # Ok(())
//! # }
//! ```
//!
//! The function needs the grants `commands = ["http_proxy"]` and a rule of `outbound` in its `function.toml`, such as
//! `"GET https://rates.example.com/"`.
//!
//! **There are no secrets here.** Tokens and keys are set on the server, with the requests that carry them, and
//! the server adds them on the way out. A function never holds one, so it cannot leak one.

mod error;
mod request;
mod response;

pub use error::{Error, Kind};
pub use request::Request;
pub use response::Response;

/// A GET request.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A HEAD request.
pub fn head(url: impl Into<String>) -> Request {
    Request::new("HEAD", url)
}

/// A POST request.
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

/// A PUT request.
pub fn put(url: impl Into<String>) -> Request {
    Request::new("PUT", url)
}

/// A PATCH request.
pub fn patch(url: impl Into<String>) -> Request {
    Request::new("PATCH", url)
}

/// A DELETE request.
pub fn delete(url: impl Into<String>) -> Request {
    Request::new("DELETE", url)
}
