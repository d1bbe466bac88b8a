//! The ways out that must stay shut, each tried by each path on which a request leaves the real binary: `http_proxy` run
//! by a guest, `wasi:http`, `SSVM_Fetch`, and callbacks. What other kinds of modules send is tried by a part of the list
//! (`scenarios::egress`): the code behind their imports is the same.
//!
//! `crates/egress` goes through the same list by itself. What is asked here is the whole: that every path asks that
//! policy, with the settings that the operator wrote, and that nothing around it leads past. What must not be reached
//! listens on loopback and may never see a connection. Of addresses elsewhere the fault tells, and the class that the
//! operator's log names.
//!
//! | file | sections of the list |
//! |---|---|
//! | `literals` | 1 to 4, 8: in a URL, and as what a redirect leads to |
//! | `names` | 6, with 1, 3 and 4: as what a name server says, also at the second time |
//! | `ourselves` | 5: where this server listens, and its public name |
//! | `headers` | 7: headers that are not the guest's, credentials, what comes back |
//! | `rules` | 9: rules, and 10: the environment |
//! | `places` | wherever a fetch or a callback stands, and whom TLS believes |
//!
//! `table` has the cases that several of them share, `paths` the egress paths, `cases` runs them, `dns` and `servers` are
//! whom they meet.

pub(crate) mod cases;
pub(crate) mod dns;
mod headers;
mod literals;
mod names;
mod ourselves;
pub(crate) mod paths;
mod places;
mod rules;
pub(crate) mod servers;
pub(crate) mod table;
