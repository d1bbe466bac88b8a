//! Every byte that leaves because of a function: one client, one policy, one log.
//!
//! All ways out (the `http_proxy` command, wasi:http, fetches and callbacks of the Second State
//! API, webhooks) end in [`Egress::send`]. A request gets out if its URL is one that cannot be
//! misread ([`admit`]), a [`Rule`] of the function allows it, and its host leads to an address of
//! [`Class::Public`], or to where the operator pinned it ([`Pin`]). All three are asked again for
//! every redirect. This crate knows no WebAssembly and no database.
//!
//! | file | decides |
//! |---|---|
//! | `admit` | which URLs are requested at all |
//! //! | `class`, `resolve` | which addresses are dialled |
//! | `dial`, `proxy`, `stream`, `tls` | how connections come about |
//! | `headers`, `redirect` | what a function may set, and what the next hop carries |
//! | `decode` | which responses are decompressed, and how far |
//! | `inside` | what does not leave, because it is for this server |
//! | `limit` | how much at a time |
//! | `resend` | what is sent again because its connection failed it |
//! | `retry` | what is sent again because the function asked |
//! | `client`, `exchange`, `content` | the order of all this, and the deadlines |
//! | `record` | what the operator sees of it |

mod admit;
mod body;
mod class;
mod client;
mod config;
mod connection;
mod content;
mod context;
mod decode;
mod dial;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod inside;
mod limit;
mod pool;
mod proxy;
mod record;
mod redirect;
mod resend;
mod resolve;
mod retry;
mod stream;
mod tcp;
mod tls;
mod tunnel;
mod url_parts;

pub use admit::admit;
pub use class::Class;
pub use client::Egress;
pub use config::{Addresses, ClientCertificate, Config, ConfigError, Pin, ProxyUrl};
pub use context::Outbound;
pub use error::{Error, Kind};
pub use headers::{drop_framing, header};
pub use inside::Inside;
pub use iof_policy::{
    Attachment, AttachmentError, Attachments, Place, Rule, RuleError, Rules, SecretValue, Template,
};
pub use record::{Entry, Observer};
pub use tunnel::Tunnel;
