//! The commands of a server: [`http_proxy`], the first command there was and the most used, and an
//! operator's own programs, [`native`] commands, each in a jail.

mod outbound;

pub mod http_proxy;
pub mod native;
