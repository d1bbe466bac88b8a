//! Egress: all outbound traffic of functions, through one client, one policy and one log.
//!
//! All outbound paths (the `http_proxy` command, wasi:http, fetches and callbacks of the Second State API, webhooks)
//! end in [`Egress::send`], or in [`Egress::exchange`] if their bodies stream. A request is sent if its URL cannot be
//! misread ([`parse_outbound_url`]), a [`Rule`] of the function allows it, and its host resolves to an address of
//! [`AddressClass::Public`], or to the operator's pin ([`Pin`]). All three are checked again for every redirect. This
//! crate knows neither WebAssembly nor a database.
//!
//! | file | decides |
//! |---|---|
//! | `outbound_url` | which URLs are requested at all |
//! | `address_class`, `resolve` | which addresses are dialled |
//! | `dial`, `tcp`, `proxy`, `stream`, `tls` | how connections are made |
//! | `pool`, `connection`, `body` | which connections are used again |
//! | `upload`, `download`, `transfer` | bodies that stream |
//! | `headers`, `redirect` | what a function may set, and what the next hop carries |
//! | `decode` | which responses are decompressed, and how far |
//! | `local_dispatch` | which requests this server answers itself |
//! | `limit` | how many requests run at a time |
//! | `resend` | which requests are sent again because their connection failed |
//! | `retry` | which requests are sent again because their function requests it |
//! | `client`, `exchange`, `content` | the order of these steps, and the deadlines |
//! | `record` | what the operator sees |
//!
//! `iof-policy` decides what a rule allows, and which secrets a request carries.

mod address_class;
mod body;
mod client;
mod config;
mod connection;
mod content;
mod context;
mod decode;
mod dial;
mod download;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod limit;
mod local_dispatch;
mod outbound_url;
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
mod transfer;
mod tunnel;
mod upload;
mod url_parts;

pub use address_class::AddressClass;
pub use client::Egress;
pub use config::{Addresses, ClientCertificate, Config, ConfigError, Pin, ProxyUrl};
pub use context::Outbound;
pub use download::{HeadSender, ResponseStream};
pub use error::{Error, Kind};
pub use headers::{drop_framing, header};
pub use iof_policy::{
    AwsScope, KeyEncoding, KeyUse, Rule, RuleError, Rules, SecretInjection, SecretInjectionError,
    SecretInjections, SecretLocation, SecretValue, SigningAlgorithm, SigningKey, Template,
};
pub use limit::Waited;
pub use local_dispatch::LocalDispatch;
pub use outbound_url::parse_outbound_url;
pub use record::{Entry, Observer};
pub use tls::roots;
pub use transfer::StreamTimeouts;
pub use tunnel::Tunnel;
pub use upload::{BoxError, RequestStream};
