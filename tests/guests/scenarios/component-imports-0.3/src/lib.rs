//! Requests of components of WASI 0.3 to the host: `wasi:http`, files, streams, clocks, randomness and sockets of 0.3; commands
//! and storage by the interfaces that have no other version.

mod http;
mod world;

pub use world::write_stdout;

use scenario_component_imports::Component as Synchronous;
use scenarios::{Command, Host, Output, Request, Response};

/// The imports of a component of WASI 0.3.
pub struct Component;

impl Host for Component {
    fn command(&self, command: &Command) -> Output {
        Synchronous.command(command)
    }

    async fn fetch(&self, request: &Request) -> Result<Response, String> {
        http::fetch(request).await
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        Synchronous.get(key)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        Synchronous.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        Synchronous.delete(key)
    }

    fn keys(&self) -> Result<Vec<String>, String> {
        Synchronous.keys()
    }

    async fn own(&self, name: &str, arguments: &[&str]) -> Option<String> {
        match world::run(name, arguments).await {
            None => Synchronous.own(name, arguments).await,
            some => some,
        }
    }
}
