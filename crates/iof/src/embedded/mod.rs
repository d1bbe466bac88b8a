//! A server inside another command: that of `iof dev`, whose data stays, and that of `iof test`, which is temporary.

mod allow;

use crate::args::{Remote, Serve};
use crate::config::Config;
use crate::{secret_file, serve};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

pub(crate) use allow::hint;

/// The options of an embedded server.
pub(crate) struct ServerOptions<'a> {
    pub(crate) listen: SocketAddr,
    /// The folder with its data and its key.
    pub(crate) folder: &'a Path,
    pub(crate) config: Option<&'a PathBuf>,
    pub(crate) set: &'a [String],
    /// Hosts and ports that functions may reach in addition to public ones.
    pub(crate) allow: &'a [String],
}

/// The settings and the key of an embedded server.
pub(crate) struct Embedded {
    pub(crate) config: Config,
    pub(crate) key: String,
}

impl Embedded {
    /// # Errors
    /// A message that names the option, the setting or the file.
    pub(crate) fn new(wanted: &ServerOptions<'_>) -> Result<Self, String> {
        let folder = wanted.folder;
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let folder = fs::canonicalize(folder).map_err(|error| error.to_string())?;
        let serve = Serve {
            listen: Some(wanted.listen),
            data: Some(folder.join("data")),
            config: wanted.config.cloned(),
            set: wanted.set.to_vec(),
            ..Serve::default()
        };
        let mut config = Config::resolve(&serve)?;
        config.dev = true;
        for place in wanted.allow {
            allow::host(&mut config, place)?;
        }
        // The command prints the calls; the log shows only problems.
        if config.log == Config::default().log {
            config.log = "warn".into();
        }
        let (key, _) = secret_file::read_or_make(&folder.join("key"))?;
        let key = key.trim().to_owned();
        config.auth.keys.push(key.clone());
        // Projects of earlier releases have the file there.
        let file = folder.join("secrets.key");
        let has_none =
            config.secrets.key_file.as_os_str().is_empty() && config.secrets.keys.is_empty();
        if has_none && file.is_file() {
            config.secrets.key_file = file;
        }
        Ok(Self { config, key })
    }
}

/// The arguments with which the command itself connects to the server.
pub(crate) fn remote(key: &str, address: SocketAddr) -> Remote {
    Remote {
        server: Some(format!("http://{address}")),
        key: Some(key.to_owned()),
        ..Remote::default()
    }
}

/// Serves until `beside`, which gets the address, has ended. `None` if a signal came first.
///
/// # Errors
/// The reason why it cannot serve; the errors of `beside`.
pub(crate) fn run<T, F>(
    config: Config,
    beside: impl FnOnce(oneshot::Receiver<SocketAddr>) -> F,
) -> Result<Option<T>, String>
where
    F: Future<Output = Result<T, String>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let (ready, address) = oneshot::channel();
    let ended = runtime.block_on(async {
        tokio::select! {
            // Ends at Ctrl-C, once all calls in progress have ended.
            served = serve::serve(config, |address| { let _ = ready.send(address); }) => served.map(|()| None),
            done = beside(address) => done.map(Some),
        }
    });
    // A thread that watches files ends by itself; a build in progress ends with its cargo, which also gets Ctrl-C.
    runtime.shutdown_background();
    ended
}
