//! PostgreSQL for tests: a cluster of Debian's package in a temporary folder, run by a user without privileges.
//!
//! A cluster takes a second to make, and nextest runs each test in a process of its own, so the processes share one
//! ([`Database::new`]): the first makes it, and a shell that watches a lock ends it when no process has used it for a
//! while. A test that stops its cluster makes one for itself ([`Cluster::new`]).
//!
//! It is used by the tests of the store, too, which include this file, and therefore names nothing of this crate.

#![allow(
    clippy::disallowed_methods,
    reason = "a test waits for its database, and a folder of a cluster is not deep; the tests of the store allow them by themselves"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The user that runs clusters if this one is root: PostgreSQL refuses that. Debian's package makes it.
const USER: &str = "postgres";

/// A running cluster, reached by a socket in its folder.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    /// True if it ends with this value.
    own: bool,
}

impl Cluster {
    /// Makes a cluster, which ends with this value.
    #[must_use]
    pub fn new() -> Self {
        let folder =
            std::env::temp_dir().join(format!("iof-pg-{}-{}", std::process::id(), next_number()));
        make(&folder);
        let cluster = Self { folder, own: true };
        cluster.start();
        cluster
    }

    /// The cluster that all tests of this build share.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<(Cluster, File)> = OnceLock::new();
        &SHARED.get_or_init(join).0
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it does not, with its log.
    pub fn start(&self) {
        // Tests share two cores, so that a start may take long.
        let started = self.control(&["-w", "-t", "60", "-l"], Some("log"), &["start"]);
        if !started {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            panic!(
                "PostgreSQL does not start in {}: {log}",
                self.folder.display()
            );
        }
    }

    /// Stops it at once, as a failure of its machine would.
    pub fn stop(&self) {
        self.control(&["-w", "-m", "immediate"], None, &["stop"]);
    }

    /// Runs `pg_ctl`; the output of a server that it starts goes to no pipe of this process.
    fn control(&self, words: &[&str], file: Option<&str>, last: &[&str]) -> bool {
        let mut command = unprivileged("pg_ctl");
        command.arg("-D").arg(self.folder.join("data")).args(words);
        if let Some(file) = file {
            command.arg(self.folder.join(file));
        }
        let status = command
            .args(last)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// A new, empty database.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn database(&self) -> Database<'_> {
        let name = format!("t{}_{}", std::process::id(), next_number());
        let made = self
            .client("createdb")
            .arg(&name)
            .output()
            .expect("createdb");
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "createdb: {said}");
        Database {
            cluster: self,
            name,
        }
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(bin(program));
        command
            .args(["-U", USER, "-h"])
            .arg(&self.folder)
            .stdin(Stdio::null());
        command
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.own {
            self.stop();
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// A database, removed with this value.
#[derive(Debug)]
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Database<'static> {
    /// A new, empty database of the shared cluster.
    #[must_use]
    pub fn new() -> Self {
        Cluster::shared().database()
    }
}

impl Default for Database<'static> {
    fn default() -> Self {
        Self::new()
    }
}

impl Database<'_> {
    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://{USER}@localhost/{}?host={}",
            self.name,
            self.cluster.folder.display()
        )
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let mut remove = self.cluster.client("dropdb");
        drop(remove.args(["--force", "--if-exists", &self.name]).output());
    }
}

/// Uses the shared cluster, which is made if there is none. It runs for as long as any process holds the file.
fn join() -> (Cluster, File) {
    let user = Command::new("id").arg("-u").output().expect("id");
    let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
    // Worktrees have clusters of their own.
    let place = env!("CARGO_MANIFEST_DIR").bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let folder = std::env::temp_dir().join(format!("iof-pg-{user}-{place:x}"));
    let lock = |name: &str| {
        let path = folder.with_extension(name);
        File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (starting, using) = (lock("starting"), lock("using"));
    starting.lock().expect("a lock");
    let cluster = Cluster { folder, own: false };
    if !cluster.control(&[], None, &["status"]) {
        make(&cluster.folder);
        cluster.start();
        watch(&cluster.folder);
    }
    using.lock_shared().expect("a lock");
    drop(starting);
    (cluster, using)
}

/// Makes the files of a cluster in `folder`.
fn make(folder: &Path) {
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder).expect("a folder for PostgreSQL");
    if is_root() {
        let owned = Command::new("chown").arg(USER).arg(folder).status();
        assert!(owned.is_ok_and(|status| status.success()), "chown {USER}");
    }
    let made = unprivileged("initdb")
        .args([
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "-U",
            USER,
            "-D",
        ])
        .arg(folder.join("data"))
        .output()
        .unwrap_or_else(|error| panic!("initdb: {error}. Install Debian's package postgresql."));
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "initdb: {said}");
    let settings = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\nfull_page_writes = off\nmax_connections = 200\n",
        folder.display()
    );
    let file = folder.join("data/postgresql.auto.conf");
    fs::write(&file, settings).expect("the settings of PostgreSQL");
}

/// Starts the shell that ends a shared cluster. It outlives this process, and ends with the cluster.
#[expect(
    clippy::zombie_processes,
    reason = "the shell outlives this process, and is in a session of its own"
)]
fn watch(folder: &Path) {
    let text = "folder=$1; shift; sleep 20
        while sleep 5; do
            flock \"$folder.starting\" flock -n -x \"$folder.using\" sh -c 'folder=$1; shift; \"$@\"; rm -rf \"$folder\"; exit 9' sh \"$folder\" \"$@\"
            test $? = 9 && exit
        done";
    let stop = unprivileged("pg_ctl");
    let started = Command::new("setsid")
        .args(["sh", "-c", text, "sh"])
        .arg(folder)
        .arg(stop.get_program())
        .args(stop.get_args())
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-m", "immediate", "stop"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.expect("a shell that ends PostgreSQL");
}

/// A program of PostgreSQL's package, run by a user without privileges.
fn unprivileged(program: &str) -> Command {
    let program = bin(program);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={USER}"), &format!("--regid={USER}")])
        .arg("--clear-groups")
        .arg(program)
        .current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A program of the newest version that is installed.
fn bin(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.flatten().filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path()))
    });
    let newest = versions.max();
    newest.map_or_else(
        || program.into(),
        |(_, path)| path.join("bin").join(program),
    )
}

fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
