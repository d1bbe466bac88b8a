//! The egress crate against real servers on loopback, a file a subject.

mod attacks;
mod dns;
mod exchange;
mod limits;
mod log;
mod own_listeners;
mod redirects;
mod resolving;
mod rules;
mod settings;
mod support;
mod tls;
