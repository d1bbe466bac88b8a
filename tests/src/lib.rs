//! The harness of black-box tests of iof: the real binary, and real servers on loopback as its peers.
//!
//! * [`server`] starts `iof serve`, stops or kills it, and starts it again on the same data; [`call`] sends requests to
//!   it.
//! * [`deploy`] deploys with grants and sets secrets.
//! * [`exchange`] measures functions that answer HTTP requests: large bodies, slow clients, and clients that leave.
//! * [`joey`] sends the requests of the clients of 2020, to the byte.
//! * [`kinds`] has a module of each kind, and runs the same scenarios in it.
//! * [`mail`] is the stand-in for SendGrid: HTTPS, a bearer token, a mailbox.
//! * [`collector`] is a collector of traces.
//! * [`postgres`] is a database for servers of a fleet.
//! * [`upstream`] is any other server that a function may call, with the behaviour that the test chooses.
//! * [`guests`] finds the modules that `cargo xtask guests` built.
//! * [`user`] runs commands and returns their output, without the parts that differ every time.
//! * [`pages`] serves a folder, like any web server of a page.
//!
//! Everything ends with the value that started it: a dropped server ends its process, a dropped stand-in its listener
//! and its connections. Processes are never found by name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness that fails must end the test at once, with the cause"
)]

pub mod call;
pub mod collector;
pub mod deploy;
pub mod exchange;
pub mod guests;
pub mod joey;
pub mod kinds;
pub mod mail;
pub mod pages;
pub mod postgres;
pub mod server;
pub mod upstream;
pub mod user;

mod listener;

pub use listener::Identity;
