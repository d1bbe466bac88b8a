//! Toolchains, new projects, builds of guests, and summaries of modules.
//!
//! The library prints nothing: progress goes to the caller's [`Progress`], and the output of cargo, rustup and wasm-opt
//! goes to stderr by inheritance. It knows no engine; the caller checks whether a server accepts a module.
//!
//! ```no_run
//! # #[cfg(feature = "projects")]
//! # fn main() -> Result<(), iof_build::Error> {
//! use iof_build::{Event, Options, Template, build, new, watch};
//!
//! let made = new("hello", Template::Rust, ".".as_ref())?;
//! let mut show = |event: Event<'_>| match event {
//!     Event::Step(what) => eprintln!("{what}"),
//!     Event::Runs(line) => eprintln!("  $ {line}"),
//!     Event::Took(time) => eprintln!("  {:.1} s", time.as_secs_f64()),
//! };
//! let mut built = build(&made.folder, &Options::default(), &mut show)?;
//! built.summary = built.summary.judged(|_| None, |module, _| module != "wasi_snapshot_preview1");
//! println!("{built}");
//! for changes in watch(&built.folders)? {
//!     let _ = changes?;
//!     println!("{}", build(&made.folder, &Options::default(), &mut show)?);
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "projects"))]
//! # fn main() {}
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "it builds: callers give it a thread of its own"
)]

mod machine;
mod toolchain;

#[cfg(feature = "projects")]
mod build;
#[cfg(feature = "projects")]
mod compiled;
#[cfg(feature = "projects")]
mod component;
#[cfg(feature = "projects")]
mod docs;
#[cfg(feature = "projects")]
mod error;
#[cfg(feature = "projects")]
mod files;
#[cfg(feature = "projects")]
mod module;
#[cfg(feature = "projects")]
mod names;
#[cfg(feature = "projects")]
mod new;
#[cfg(feature = "projects")]
mod optimise;
mod options;
#[cfg(feature = "projects")]
mod project;
#[cfg(feature = "projects")]
mod stand_in;
#[cfg(feature = "projects")]
mod summary;
#[cfg(feature = "projects")]
mod templates;
#[cfg(feature = "projects")]
mod test;
#[cfg(feature = "projects")]
mod tools;
#[cfg(feature = "projects")]
mod watch;
#[cfg(feature = "projects")]
mod what;

pub use machine::{Machine, shown};
pub use toolchain::{DEBIAN_PACKAGES, Line, Missing, Target, Toolchain};

#[cfg(feature = "projects")]
pub use {
    build::{Built, build},
    error::Error,
    new::{Created, new, new_workspace},
    options::Options,
    project::{functions, project_folder},
    summary::{Export, Import, Kind, Memory, Section, Summary},
    templates::Template,
    test::test,
    tools::Tool,
    watch::{Watch, watch},
    what::What,
};

/// An event of a build in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A step begins that may take seconds.
    Step(&'a str),
    /// A command line is run, written as one would type it.
    Runs(&'a str),
    /// The command line of a tool has ended, after this time.
    Took(std::time::Duration),
}

/// The receiver of events.
pub type Progress<'a> = &'a mut dyn FnMut(Event<'_>);
