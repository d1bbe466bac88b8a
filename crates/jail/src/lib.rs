//! Native programs in a jail.
//!
//! An operator declares a program that functions may run: arguments and standard input in, exit status, standard output
//! and standard error out. The arguments and the input come from callers of functions, and programs that parse images,
//! films and documents have bugs, so **the program itself is assumed to be hostile** from its first instruction on.
//! This crate runs it so that it reaches only what was declared, uses no more than was allowed, and leaves nothing
//! behind; and so fast that the start of a small program is the main cost of a run.
//!
//! # How
//! Namespaces, Landlock, seccomp filters, `no_new_privs`, users and limits are inherited by every process that a
//! process starts, and cannot be removed again. So no code has to run between `fork` and `exec`, where little may be
//! done and all of it is unsafe, and the server with its many threads and much memory is never forked. Instead a
//! **warden** confines *itself*, once, and then starts the program with plain `posix_spawn`, one run at a time, for as
//! long as it is needed. It is the server's own binary, started again with a hidden argument: [`warden_main`] has to be
//! the first call in `main`.
//!
//! A warden is two processes. The outer one makes the namespaces; it is needed because only a child can be in a new pid
//! namespace. The inner one finishes the confinement and starts programs. They talk to the server over one socket,
//! which also carries the descriptors of each run's pipes. A process that sees the end of the socket stops: if the
//! server is killed, the warden and everything in it end too. A run that ends by itself leaves its warden for the next,
//! once all processes that it left running are killed and its scratch directory is clean; a run that a [`Limit`] ends
//! takes its warden with it, and so does any irregularity. Idle wardens wait for [`Settings::idle`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use iof_jail::{Jail, Profile, Request, Settings};
//!
//! // The link, not what it points to, so that an upgrade on disk does not change a running server.
//! let jail = Jail::new(Settings::default(), "/proc/self/exe").await?;
//! let convert = jail.program(Profile::new("/usr/bin/convert"))?;
//! let ended = convert
//!     .run(Request {
//!         args: ["-", "-resize", "50%", "png:-"].map(str::to_owned).into(),
//!         stdin: tokio::fs::read("rose.png").await?.into(),
//!         timeout: std::time::Duration::from_secs(10),
//!         ..Request::default()
//!     })
//!     .await?;
//! assert_eq!(ended.exit.status(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds a program
//! | layer | holds | without it |
//! |---|---|---|
//! | user | it is nobody: it owns no file, has no capability, gains none (`no_new_privs`, empty bounding set) | a
//! server that is not root shares its user with its programs, and only the layers below confine them |
//! | user namespace | the other namespaces without root; the count of processes is the warden's own |
//! [`Limits::processes`] counts everything of the user |
//! | pid namespace | it sees and signals only its own run; all of a run dies at once | it sees the host's processes
//! (Landlock hides `/proc`) and, before Linux 6.12, can signal those of its user; what a run left is found as child
//! processes |
//! | mount namespace | nothing but declared files exists; scratch space has a size; sockets of the host are out of
//! sight | only Landlock holds files; only each file in scratch has a size; no Unix sockets, by seccomp |
//! | network namespace | no network but the proxy; abstract Unix sockets are out of reach | seccomp refuses every
//! socket; `proxy` is refused |
//! | IPC namespace | the host's shared memory and queues are out of reach | seccomp has no such calls |
//! | Landlock | the kernel checks every opened path again; nothing written is executed; no signals out (6.12) | only
//! read-only mounts hold, and scratch is `noexec` |
//! | seccomp | the kernel calls that programs need; no namespaces, mounts, `ptrace`, keys, `bpf`, `io_uring`, uncounted
//! memory, larger buffers of sockets | every bug of the kernel behind any call is in reach |
//! | rlimits | memory, files, file size and CPU time of each process; no core dumps | they are always there |
//! | the server's check | memory (with page tables and sockets) and CPU time of all processes together | it needs
//! `/proc/*/task/*/children` (CONFIG_PROC_CHILDREN) |
//!
//! [`Jail::report`] states which of them are effective on this machine, as tested and not as assumed. With
//! [`Demand::Required`], the default, a jail that lacks one of the required layers runs nothing.
//!
//! # Files
//! Every program reads and executes the system's programs and libraries (`/usr`, `/lib`…) and the few settings in
//! `/etc` that libraries look for (fonts, certificates, ImageMagick's policy), and uses `/dev/null`, `zero`, `full`,
//! `random` and `urandom`. It reads the paths that its profile declares in `read`, and changes those in `write`.
//! Nothing else exists. Its working directory is empty, writable, not executable, and its own; `TMPDIR` and `HOME` are
//! the same. In a mount namespace that is `/tmp`, with `/dev/shm` beside it, `/etc/passwd` and `hosts` are ours, and
//! the root is read-only. Everything that an operator installs below `/usr` is visible: secrets do not belong there.
//! Paths that the server keeps to itself are in [`Settings::denied`]: a profile that would show one is refused, and so
//! is every profile if it lies below a path that all programs see.
//!
//! # What is not confined
//! - **The kernel.** A bug in a system call on the list is a way out. Those who need more run the
//!   whole server in a virtual machine.
//! - **Side channels** of caches and timing, between programs on one machine.
//! - **The order of two runs**: runs of one program may share a warden one after the other. Processes,
//!   files and connections do not survive from one to the next; what the kernel remembers of a user
//!   or namespace (the last pid, a directory's times) can be seen.
//! - **Memory** of the kernel other than page tables and the buffers of sockets, which
//!   [`Limits::memory`] counts: pipes, of which the kernel lets a user have
//!   `fs.pipe-user-pages-soft`, and descriptors, timers and the like, which [`Limits::files`] ×
//!   [`Limits::processes`] bounds. Without a network namespace, sockets that are on their way from one
//!   process to another are not seen; without seccomp, a program makes its sockets' buffers as large
//!   as `net.core.wmem_max`. Between two looks, a program can take more than [`Limits::memory`];
//!   programs are the first that the kernel kills when memory runs out. Put the server into a cgroup
//!   with a limit if that must never reach others.
//! - **`write` paths**, which have no size but their file system's, and in which runs can meet.
//! - **The disk**, without a mount namespace: there, the size of scratch is not limited.

mod children;
mod confine;
mod feature;
mod handover;
mod inner;
mod jail;
mod link;
mod outer;
mod pool;
mod profile;
mod request;
mod run;
mod scratch;
mod settings;
mod streams;
mod usage;
mod warden;
mod wire;
mod worker;

pub use feature::{Feature, Finding, Report};
pub use jail::Jail;
pub use link::StartError;
pub use pool::Program;
pub use profile::{Limits, Network, Profile, ProfileError};
pub use request::{Ended, Exit, Limit, Request, RunError};
pub use settings::{Demand, Settings};
pub use usage::Usage;
pub use warden::warden_main;
pub use worker::Worker;
