//! The commands of a server: [`http_proxy`], the first command there was and the most used, and an
//! operator's own programs, [`native`] commands, each in a jail; and [`signing`], by secrets that functions never hold.

mod outbound;

pub mod http_proxy;
pub mod native;
pub mod signing;
