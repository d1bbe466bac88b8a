//! The real `iof` as a process: started, called, stopped or killed, and started again on the same data.
//!
//! More than 400 lines: one server, and what tests do with it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

use crate::listener::Identity;

/// The longest that a start may take, including compiles of stored modules.
const START: Duration = Duration::from_secs(60);
/// The longest that a graceful stop may take before the process is killed and the test fails.
const STOP: Duration = Duration::from_secs(45);

/// The options with which `iof serve` is started.
#[derive(Debug, Default)]
pub struct Builder {
    config: String,
    program: Option<PathBuf>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// The certificate for HTTPS; made once, so that a restart shows the same one.
    tls: Option<Certificate>,
}

/// The certificate of a server, and the authority that its clients trust.
#[derive(Debug)]
struct Certificate {
    ca: String,
    chain: String,
    key: String,
}

impl Builder {
    /// The text of `iof.toml`.
    #[must_use]
    pub fn config(mut self, config: impl Into<String>) -> Self {
        self.config = config.into();
        self
    }

    /// The `iof` to start instead of the usual one.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Adds an argument after `serve --listen … --data … --config …`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets a variable of the environment, which otherwise contains no `IOF_…`.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds HTTPS on a free port, with a certificate for `localhost` from a separate authority.
    ///
    /// The configuration must not have a table `[tls]` itself.
    #[must_use]
    pub fn tls(mut self) -> Self {
        let identity = Identity::new(&["localhost", "127.0.0.1"]);
        self.tls = Some(Certificate {
            ca: identity.ca_pem,
            chain: identity.certificate_pem,
            key: identity.key_pem,
        });
        self
    }

    /// Starts the server, and waits until it listens.
    ///
    /// # Panics
    /// If it does not, with all its output.
    pub async fn start(self) -> Server {
        let home = tempfile::Builder::new()
            .prefix("iof-test-")
            .tempdir()
            .expect("a temporary folder");
        match Server::launch(self, home).await {
            Ok(server) => server,
            Err(problem) => panic!("{problem}"),
        }
    }

    /// Starts a server that must refuse to start, and returns the exit status and the output.
    ///
    /// # Panics
    /// If the server starts.
    pub async fn refused(self) -> Refused {
        let home = tempfile::Builder::new()
            .prefix("iof-test-")
            .tempdir()
            .expect("a temporary folder");
        match Server::launch(self, home).await {
            Ok(server) => panic!("the server started at {}", server.url),
            Err(NotStarted { status, log, .. }) => Refused { status, log },
        }
    }
}

/// The end of a program that refused to serve.
#[derive(Debug)]
pub struct Refused {
    /// Its exit status, unless it had to be killed.
    pub status: Option<ExitStatus>,
    /// Its stderr.
    pub log: String,
}

/// The reason why there is no server.
struct NotStarted {
    program: PathBuf,
    cause: String,
    status: Option<ExitStatus>,
    log: String,
}

impl std::fmt::Display for NotStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}\n{}",
            self.program.display(),
            self.cause,
            self.log
        )
    }
}

/// A running `iof serve` on a free port of loopback, with its data in a temporary folder.
pub struct Server {
    /// The URL at which it listens, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The URL at which it listens for HTTPS, such as `https://127.0.0.1:40124`, if it was started with
    /// [`Builder::tls`].
    pub tls_url: Option<String>,
    /// The process. `kill_on_drop` ends it with the test, whatever its result.
    child: Child,
    /// Its stderr: a file, so that all lines that were written before an answer are there when the answer is.
    log: File,
    /// The task that reads its stdout, so that it never waits for a reader.
    readers: JoinSet<()>,
    pub(crate) client: reqwest::Client,
    /// The options with which it was started, for a restart.
    builder: Builder,
    /// Holds `data/` and `iof.toml`; removed at the end.
    home: TempDir,
}

impl Server {
    /// A server with this configuration.
    pub async fn start(config: impl Into<String>) -> Self {
        Self::builder().config(config).start().await
    }

    /// The options of a server, to be extended.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The authority of its certificate for HTTPS, as PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.builder.tls.as_ref().map(|tls| tls.ca.as_str())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// The processor time of the server, and of those of its processes that have ended (proc_pid_stat(5), fields 14 to 17).
    pub fn processor_time(&self) -> (Duration, Duration) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name, the second field, may contain spaces.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks: Vec<u64> = fields
            .split_whitespace()
            .skip(11)
            .take(4)
            .map(|field| field.parse().unwrap())
            .collect();
        let time = |ticks: &[u64]| Duration::from_millis(10 * ticks.iter().sum::<u64>());
        (time(&ticks[..2]), time(&ticks[2..]))
    }

    /// The server's stderr so far.
    pub fn log(&self) -> String {
        contents(&self.log)
    }

    /// Stops the server by SIGTERM, like a service manager, and returns the exit status.
    ///
    /// # Panics
    /// If it takes longer than 45 seconds.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        match timeout(STOP, self.child.wait()).await {
            Ok(status) => self.ended(status).await,
            Err(_) => {
                let _ = self.child.kill().await;
                panic!("no graceful stop within {STOP:?}:\n{}", self.log());
            }
        }
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> ExitStatus {
        let _ = self.child.start_kill();
        let status = self.child.wait().await;
        self.ended(status).await
    }

    /// Sends a signal only to the server's process.
    pub fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, signal).expect("our own process takes a signal");
        }
    }

    async fn ended(&mut self, status: io::Result<ExitStatus>) -> ExitStatus {
        // Child processes may hold the streams open; their output after the end is awaited only briefly.
        let readers = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_secs(2), readers).await;
        status.expect("a process that ended")
    }

    /// Starts the server again on the same data, on a new port. The old process must have ended.
    ///
    /// # Panics
    /// If the old process still runs, or the new one does not start.
    pub async fn restart(mut self) -> Self {
        assert!(
            self.child.try_wait().is_ok_and(|ended| ended.is_some()),
            "stop or kill the server first"
        );
        match Self::launch(self.builder, self.home).await {
            Ok(server) => server,
            Err(problem) => panic!("{problem}"),
        }
    }

    /// The same with another configuration.
    pub async fn restart_with(mut self, config: impl Into<String>) -> Self {
        self.builder.config = config.into();
        self.restart().await
    }

    async fn launch(builder: Builder, home: TempDir) -> Result<Self, NotStarted> {
        let program = builder.program.clone().unwrap_or_else(program);
        let failed = |cause: String| NotStarted {
            program: program.clone(),
            cause,
            status: None,
            log: String::new(),
        };
        let config = home.path().join("iof.toml");
        let mut text = builder.config.clone();
        if let Some(tls) = &builder.tls {
            let (chain, key) = (home.path().join("chain.pem"), home.path().join("key.pem"));
            for (file, pem) in [(&chain, &tls.chain), (&key, &tls.key)] {
                tokio::fs::write(file, pem)
                    .await
                    .map_err(|e| failed(e.to_string()))?;
            }
            // A separate table, so it may follow any configuration.
            text.push_str(&format!(
                "\n[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {chain:?}\nkey = {key:?}\n"
            ));
        }
        tokio::fs::write(&config, &text)
            .await
            .map_err(|e| failed(e.to_string()))?;

        let mut command = Command::new(&program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("IOF_"))
        {
            command.env_remove(name);
        }
        // Child processes may open the file again, and append to it.
        let log = tempfile::Builder::new()
            .append(true)
            .tempfile_in(home.path())
            .map_err(|e| failed(e.to_string()))?
            .into_file();
        let stderr = log.try_clone().map_err(|e| failed(e.to_string()))?;
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(home.path().join("data"))
            .arg("--config")
            .arg(&config)
            .args(&builder.args)
            .envs(builder.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| {
            failed(format!(
                "{e}. `cargo build --bins` builds it, or name one in IOF_BIN"
            ))
        })?;

        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let both = async {
            let url = listening(&mut stdout).await?;
            let tls_url = match builder.tls {
                Some(_) => Some(listening(&mut stdout).await?),
                None => None,
            };
            Some((url, tls_url))
        };
        let output = timeout(START, both).await;
        let Ok(Some((url, tls_url))) = output else {
            let status = match timeout(Duration::from_secs(2), child.wait()).await {
                Ok(status) => status.ok(),
                Err(_) => None,
            };
            let _ = child.kill().await;
            let cause = match status {
                Some(status) => format!("ended before it listened, {status}"),
                None => format!("did not say `listening on` within {START:?}"),
            };
            return Err(NotStarted {
                status,
                log: contents(&log),
                ..failed(cause)
            });
        };
        let mut readers = JoinSet::new();
        readers.spawn(async move {
            let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
        });
        // A proxy of the machine must not be used for the test's own server.
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without TLS");
        Ok(Self {
            url,
            tls_url,
            child,
            log,
            readers,
            client,
            builder,
            home,
        })
    }
}

/// The `iof` that tests start: `IOF_BIN`, or the one that Cargo built beside this program.
pub fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("IOF_BIN") {
        return program.into();
    }
    let this = std::env::current_exe().expect("the path of this program");
    let profile = this
        .ancestors()
        .find(|folder| !folder.ends_with("deps") && folder.is_dir());
    profile.unwrap_or(Path::new("target/debug")).join("iof")
}

async fn listening(stdout: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut line = String::new();
    while stdout.read_line(&mut line).await.ok()? > 0 {
        if let Some(url) = line.trim().strip_prefix("listening on ") {
            return Some(url.trim_end_matches('/').to_owned());
        }
        line.clear();
    }
    None
}

/// The content of a file so far. The offset that it shares with its writers stays as it is.
fn contents(file: &File) -> String {
    let length = file.metadata().expect("a file of our own").len();
    let mut bytes = vec![0; usize::try_from(length).expect("it fits into memory")];
    file.read_exact_at(&mut bytes, 0)
        .expect("a file that only grows");
    String::from_utf8_lossy(&bytes).into_owned()
}
