//! The commands of a server: [`http_proxy`], the first and most used command; [`native`] commands, which are an
//! operator's own programs, each in a jail; and [`signing`], with secrets that functions never hold.

mod outbound;
mod streaming;

pub mod http_proxy;
pub mod native;
pub mod signing;

pub use streaming::StreamingHttp;
