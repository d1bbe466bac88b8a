//! The scenarios that tests run in every kind of module: each is a name with arguments, and returns a text.
//!
//! A kind of module is a [`Host`], what it may ask of the server by imports of its own, and a way to be called. All that
//! Rust's standard library does is the same for all of them, unless the kind has imports of its own for it.

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::hint::black_box;
use std::io::{self, Write as _};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

/// The most redirects that are followed.
const REDIRECTS: usize = 10;

/// The imports of one kind of module.
#[expect(
    async_fn_in_trait,
    reason = "a guest has one thread, and no bound is needed"
)]
pub trait Host {
    /// Runs a command.
    fn command(&self, command: &Command) -> Output;

    /// Sends a request by `wasi:http`.
    ///
    /// # Errors
    /// The error's name, as the bindings write it.
    async fn fetch(&self, request: &Request) -> Result<Response, String>;

    /// The value under a key.
    ///
    /// # Errors
    /// The error's words.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String>;

    /// Keeps a value.
    ///
    /// # Errors
    /// The error's words.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), String>;

    /// Removes a value.
    ///
    /// # Errors
    /// The error's words.
    fn delete(&self, key: &str) -> Result<(), String>;

    /// All keys, in their order.
    ///
    /// # Errors
    /// The error's words.
    fn keys(&self) -> Result<Vec<String>, String>;

    /// Runs a scenario by these imports: one that no others can express, or that others express by the standard library.
    async fn own(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let _ = (name, arguments);
        None
    }
}

/// A command with its input.
#[derive(Deserialize)]
pub struct Command {
    pub name: String,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub stdin: String,
    /// Milliseconds.
    pub timeout: Option<u32>,
}

/// A command that ended.
#[derive(Serialize)]
pub struct Output {
    pub status: i32,
    #[serde(serialize_with = "text")]
    pub stdout: Vec<u8>,
    #[serde(serialize_with = "text")]
    pub stderr: Vec<u8>,
}

/// A request to another server.
#[derive(Deserialize)]
pub struct Request {
    pub url: String,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

/// The response of another server.
pub struct Response {
    pub status: u16,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

fn text<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&String::from_utf8_lossy(bytes))
}

/// Runs the scenario of this name by imports that block, and so never wait.
///
/// # Panics
/// As [`run`].
pub fn run_blocking(host: &impl Host, name: &str, arguments: &[String]) -> String {
    let run = run(host, name, arguments).now_or_never();
    run.expect("an import that blocks waits for nothing")
}

/// Runs the scenario of this name.
///
/// # Panics
/// If there is none, its arguments are not what it takes, or this is what it is for.
pub async fn run(host: &impl Host, name: &str, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let count = || arguments[0].parse::<usize>().expect("a number");
    if let Some(text) = host.own(name, &arguments).await {
        return text;
    }
    match (name, &*arguments) {
        ("say", [words]) => (*words).to_owned(),
        ("variables", []) => {
            let variables = std::env::vars().map(|(name, value)| format!("{name}={value}\n"));
            variables.collect()
        }
        // What is printed.
        ("print", [words]) => {
            println!("out: {words}");
            String::new()
        }
        ("complain", [words]) => {
            eprintln!("err: {words}");
            String::new()
        }
        ("flood", [_]) => {
            eprint!("{}", "x".repeat(count()));
            String::new()
        }
        // What is used up.
        ("answer", [_]) => "x".repeat(count()),
        ("spin", []) => loop {
            black_box(());
        },
        ("sleep", [_]) => {
            sleep(Duration::from_millis(count() as u64));
            "slept".to_owned()
        }
        ("eat", [_]) => black_box(vec![1_u8; count()]).len().to_string(),
        ("recurse", []) => recurse(1).to_string(),
        ("trap", []) => panic!("as asked"),
        ("write", [_]) => write(count()).expect("the file is written").to_string(),
        ("open", [_]) => {
            let open = (0..count()).map(|n| File::create(format!("/{n}")).expect("a file"));
            open.collect::<Vec<_>>().len().to_string()
        }
        ("directories", [_]) => {
            for n in 0..count() {
                fs::create_dir(format!("/{n}")).expect("a directory");
            }
            fs::read_dir("/").expect("the root").count().to_string()
        }
        // What differs from call to call.
        ("note", [words]) => {
            let before = fs::read_to_string("/note").unwrap_or_default();
            fs::write("/note", words).expect("a file");
            format!(
                "{before}|{}",
                fs::read_to_string("/note").expect("it was written")
            )
        }
        ("chance", []) => {
            let drawn = RandomState::new().build_hasher().finish();
            format!("{drawn} {:?}", SystemTime::now())
        }
        ("connect", [address]) => format!("{:?}", std::net::TcpStream::connect(address).map(drop)),
        // What is asked of the host.
        ("command", [command]) => json(&host.command(&read(command))),
        ("commands", [_, command]) => {
            let statuses = (0..count()).map(|_| host.command(&read(command)).status);
            json(&statuses.collect::<Vec<_>>())
        }
        ("command-and-memory", [command]) => {
            let output = host.command(&read(command));
            memory(&output.stdout)
        }
        ("fetch", [request]) => fetch(host, read(request)).await,
        ("fetch-and-memory", [request]) => {
            let response = fetch(host, read(request)).await;
            memory(response.as_bytes())
        }
        ("get", [key]) => match host.get(key) {
            Ok(value) => json(&value.map(|value| String::from_utf8_lossy(&value).into_owned())),
            Err(error) => format!("error: {error}"),
        },
        ("set", [key, value]) => done(host.set(key, value.as_bytes())),
        ("delete", [key]) => done(host.delete(key)),
        ("keys", []) => match host.keys() {
            Ok(keys) => json(&keys),
            Err(error) => format!("error: {error}"),
        },
        ("accesses", [_]) => done((0..count()).try_for_each(|_| host.get("key").map(drop))),
        (name, arguments) => panic!("there is no scenario {name} {arguments:?}"),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).expect("JSON as the scenario takes it")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it has strings for keys")
}

fn done(result: Result<(), String>) -> String {
    result.map_or_else(|error| format!("error: {error}"), |()| "done".to_owned())
}

/// Writes so many bytes to a file, in pieces of a page.
fn write(bytes: usize) -> io::Result<u64> {
    let mut file = File::create("/big")?;
    for _ in 0..bytes / 4096 {
        file.write_all(&[b'x'; 4096])?;
    }
    file.sync_all()?;
    Ok(fs::metadata("/big")?.len())
}

/// Deeper than any stack.
fn recurse(n: u64) -> u64 {
    let here = black_box([n; 64]);
    here[0] + black_box(recurse(here[63] + 1))
}

/// The response of another server as JSON: status and body, or an error. Redirects are followed.
async fn fetch(host: &impl Host, mut request: Request) -> String {
    for _ in 0..=REDIRECTS {
        let response = match host.fetch(&request).await {
            Ok(response) => response,
            Err(error) => return json!({ "error": error }).to_string(),
        };
        match response.location {
            Some(location) if (300..400).contains(&response.status) => {
                request.url = joined(&request.url, &location);
            }
            _ => {
                let body = String::from_utf8_lossy(&response.body);
                return json!({ "status": response.status, "body": body }).to_string();
            }
        }
    }
    json!({ "error": "redirects" }).to_string()
}

/// The URL of a reference, read as leniently as an attacker would.
fn joined(url: &str, reference: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match reference {
        absolute if absolute.contains("://") => absolute.to_owned(),
        network if network.starts_with("//") => format!("{scheme}:{network}"),
        path if path.starts_with('/') => format!("{scheme}://{authority}{path}"),
        path => format!("{scheme}://{authority}/{path}"),
    }
}

/// Everything that is in memory but its beginning, `kept` among it; bytes that are not printed are dots.
#[cfg(target_family = "wasm")]
fn memory(kept: &[u8]) -> String {
    const START: usize = 1024;
    let end = core::arch::wasm32::memory_size(0) << 16;
    let mut text = String::with_capacity(end);
    for at in START..end {
        // SAFETY: the memory reaches to `end`, and nothing else runs in it. What is read may be any bytes.
        let byte = unsafe { (at as *const u8).read_volatile() };
        text.push(match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        });
    }
    // Until here its memory is not another's.
    black_box(kept);
    text
}

/// A machine's memory is not read.
#[cfg(not(target_family = "wasm"))]
fn memory(_: &[u8]) -> String {
    String::new()
}
