//! A server inside another command: that of `iof dev`, which stays, and that of `iof test`, which is gone afterwards.

mod allow;

use crate::args::{Remote, Serve};
use crate::config::Config;
use crate::{secret_file, serve};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

pub(crate) use allow::hint;

/// What is asked of a server.
pub(crate) struct ServerOptions<'a> {
    pub(crate) listen: SocketAddr,
    /// Where its data and its key are.
    pub(crate) folder: &'a Path,
    pub(crate) config: Option<&'a PathBuf>,
    pub(crate) set: &'a [String],
    /// Hosts and ports that functions may reach beside public ones.
    pub(crate) allow: &'a [String],
}

/// The settings of a server, and the key of it.
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
        // What calls do is printed by the command; the log says what is wrong.
        if config.log == Config::default().log {
            config.log = "warn".into();
        }
        let (key, _) = secret_file::read_or_make(&folder.join("key"))?;
        let key = key.trim().to_owned();
        config.auth.keys.push(key.clone());
        // A project of before has it there.
        let file = folder.join("secrets.key");
        let has_none =
            config.secrets.key_file.as_os_str().is_empty() && config.secrets.keys.is_empty();
        if has_none && file.is_file() {
            config.secrets.key_file = file;
        }
        Ok(Self { config, key })
    }
}

/// How the user of a server talks to it.
pub(crate) fn remote(key: &str, address: SocketAddr) -> Remote {
    Remote {
        server: Some(format!("http://{address}")),
        key: Some(key.to_owned()),
        ..Remote::default()
    }
}

/// Serves until `beside`, which is told the address, has ended. `None`: a signal came first.
///
/// # Errors
/// What keeps it from serving, and those of `beside`.
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
            // Ends by itself at Ctrl-C, when all that was under way has ended.
            served = serve::serve(config, |address| { let _ = ready.send(address); }) => served.map(|()| None),
            done = beside(address) => done.map(Some),
        }
    });
    // A thread that watches files ends by itself; a build under way ends with its cargo, which Ctrl-C reaches, too.
    runtime.shutdown_background();
    ended
}
