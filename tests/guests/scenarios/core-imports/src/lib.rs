//! Requests of core modules to the host, by the crate that authors use.

use scenarios::{Command, Host, Output, Request, Response};

/// The imports of a core module.
pub struct CoreModule;

impl Host for CoreModule {
    fn command(&self, command: &Command) -> Output {
        let mut run = iof::Command::new(&command.name);
        run.args(&command.args)
            .envs(&command.env)
            .stdin(&command.stdin);
        if let Some(milliseconds) = command.timeout {
            run.timeout(milliseconds);
        }
        let output = run.output();
        Output {
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    async fn fetch(&self, _: &Request) -> Result<Response, String> {
        Err("a core module has commands only".to_owned())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        iof::storage::get_bytes(key).map_err(|error| error.to_string())
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        iof::storage::set_bytes(key, value).map_err(|error| error.to_string())
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        iof::storage::remove(key)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn keys(&self) -> Result<Vec<String>, String> {
        iof::storage::keys("").map_err(|error| error.to_string())
    }
}
