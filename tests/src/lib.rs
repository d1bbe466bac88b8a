//! The harness of black-box tests of iof: the real binary, and real servers on loopback for it to talk to.
//!
//! * [`server`] starts `iof serve`, stops it or kills it, and starts it again on the same data; [`call`] is how to
//!   talk to it.
//! * [`deploy`] deploys with grants and sets secrets.
//! * [`exchange`] measures functions that answer HTTP requests: large bodies, slow clients, and clients that leave.
//! * [`joey`] talks to it as the clients of 2020 did, to the byte.
//! * [`kinds`] has a module of each kind, and runs the same scenarios in it.
//! * [`mail`] is the stand-in for SendGrid: HTTPS, a bearer token, a mailbox.
//! * [`upstream`] is any other server that a function may call, with the manners that the test asks for.
//! * [`guests`] finds the modules that `cargo xtask guests` built.
//! * [`user`] types commands into a terminal and says what came back, without what is different every time.
//! * [`pages`] serves a folder, as any web server in front of a page does.
//!
//! Everything ends with the value that started it: a dropped server takes its process along, a dropped stand-in its
//! listener and its connections. No process is ever looked for by name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness that cannot do its part must end the test there and then, with the cause"
)]

pub mod call;
pub mod deploy;
pub mod exchange;
pub mod guests;
pub mod joey;
pub mod kinds;
pub mod mail;
pub mod pages;
pub mod server;
pub mod upstream;
pub mod user;

mod listener;

pub use listener::Identity;
