//! `iof build`: compiles a folder to a module in `pkg/`, optimises it with wasm-opt if that is available, and describes
//! it.
//!
//! Cargo builds in the project's own target directory, so a second build costs as much as a second `cargo build`, and
//! only `pkg/` and cargo's own files are written in the project.

use crate::compiled::{FirstBuild, Packages};
use crate::machine::shown;
use crate::module::Module;
use crate::options::Options;
use crate::project::{Place, Project};
use crate::stand_in::StandIn;
use crate::summary::bytes;
use crate::tools::ToolProject;
use crate::what::{Part, What};
use crate::{Error, Event, Progress, Summary, Target, Toolchain, component, docs, files, tools};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The result of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Built {
    /// The package.
    pub package: String,
    /// Its version, if it is a crate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The kind of crate.
    #[serde(flatten)]
    pub what: What,
    /// The target of the build.
    pub target: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
    /// The module.
    pub module: PathBuf,
    /// A link to it, by the name that `wasm-pack` and `ssvmup` give it: articles and scripts upload that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBuf>,
    /// The `function.toml` beside the module, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declaration: Option<PathBuf>,
    /// The summary of the module.
    #[serde(flatten)]
    pub summary: Summary,
    /// The size before wasm-opt, if that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Notes for the author, each a sentence.
    pub notes: Vec<String>,
    /// The folders of its sources, for [`watch`](crate::watch).
    pub folders: Vec<PathBuf>,
    /// The duration of the build.
    #[serde(serialize_with = "milliseconds", rename = "milliseconds")]
    pub took: Duration,
}

/// Builds the project in `folder`.
///
/// # Errors
/// See [`Error`]; cargo's own messages are on stderr then.
pub fn build(folder: &Path, options: &Options, progress: Progress<'_>) -> Result<Built, Error> {
    let start = Instant::now();
    if let Place::Tool(project) = Place::find(folder)? {
        return by_tool(project, options, start, progress);
    }
    let project = Project::find(&options.machine, folder, options.package.as_deref())?;
    let target = project.what.target();
    let toolchain = Toolchain::find(
        &options.machine,
        folder,
        &[target],
        options.add_target,
        &mut *progress,
    )?;
    progress(Event::Step(&format!(
        "build {} for {}",
        project.name,
        target.as_str()
    )));
    let profile = if options.debug { "debug" } else { "release" };
    let first = FirstBuild::begin(&options.machine, &toolchain, &project, profile);
    let mut cargo = cargo(&toolchain, folder, &project, options)?;
    progress(Event::Runs(&shown(&cargo)));
    let (made, packages) = run(&mut cargo, &project)?;
    if let Some(first) = first {
        first.end(&options.machine, &project, &packages);
    }

    let mut result = Module::of(&made, options, &project.target_dir.join("iof"), progress)?;
    if project.what == What::Component {
        let encoded = component::encode(&result.bytes, matches!(project.part, Part::Program(_)))?;
        result.bytes = docs::keep(encoded, &project.folder().join("wit"), None);
        result.summary = Summary::of(&result.bytes)?;
    }
    let kept = result.keep(project.folder(), &made)?;
    let link = match project.what {
        What::Bindgen | What::Bindgen2020 { .. } => Some(link(&kept)?),
        _ => None,
    };
    let declaration = project.folder().join("function.toml");
    let mut folders = vec![project.folder().to_owned()];
    folders.extend(project.beside.iter().cloned());
    Ok(Built {
        target: target.as_str(),
        profile,
        declaration: declaration.is_file().then_some(declaration),
        package: project.name,
        version: Some(project.version),
        what: project.what,
        module: kept,
        link,
        summary: result.summary,
        before: result.before,
        notes: result.notes,
        folders,
        took: start.elapsed(),
    })
}

/// Builds a project of another language.
fn by_tool(
    project: ToolProject,
    options: &Options,
    start: Instant,
    progress: Progress<'_>,
) -> Result<Built, Error> {
    project.is_named(options.package.as_deref())?;
    let made = tools::build(&options.machine, &project, options.debug, &mut *progress)?;
    let folder = made.parent().unwrap_or(&project.folder).to_owned();
    let mut result = Module::of(&made, options, &folder, progress)?;
    let kept = result.keep(&project.folder, &made)?;
    if options.debug && project.tool.makes_components() {
        let tool = project.tool;
        result.notes.push(format!(
            "--debug changes nothing here: {tool} has no such build."
        ));
    }
    Ok(Built {
        target: match project.tool.makes_components() {
            true => "wasm32-wasip2",
            false => Target::Wasip1.as_str(),
        },
        profile: if options.debug { "debug" } else { "release" },
        declaration: Some(project.folder.join("function.toml")),
        package: project.name,
        version: None,
        what: What::Other { with: project.tool },
        module: kept,
        link: None,
        summary: result.summary,
        before: result.before,
        notes: result.notes,
        folders: vec![project.folder],
        took: start.elapsed(),
    })
}

/// Links `pkg/NAME_bg.wasm` to `pkg/NAME.wasm`.
fn link(module: &Path) -> Result<PathBuf, Error> {
    let stem = module.file_stem().unwrap_or_default().to_string_lossy();
    let link = module.with_file_name(format!("{stem}_bg.wasm"));
    files::link(&link, module.file_name().unwrap_or_default())?;
    Ok(link)
}

/// The command line for a project.
fn cargo(
    toolchain: &Toolchain,
    folder: &Path,
    project: &Project,
    options: &Options,
) -> Result<Command, Error> {
    // A library whose manifest does not make it a `cdylib` becomes one on the command line.
    let word = match project.part {
        Part::Library { cdylib: false } => "rustc",
        _ => "build",
    };
    let mut cargo = toolchain.cargo(folder, word, project.what.target());
    match &project.part {
        Part::Library { cdylib: true } => cargo.arg("--lib"),
        Part::Library { cdylib: false } => cargo.args(["--lib", "--crate-type", "cdylib"]),
        Part::Program(name) => cargo.args(["--bin", name]),
    };
    if !options.debug {
        cargo.arg("--release");
    }
    if options.locked {
        cargo.arg("--locked");
    }
    match &project.what {
        What::Bindgen2020 { version } => {
            let stand_in = StandIn::prepare(project, version)?;
            stand_in.tell(&mut cargo);
            cargo.arg("--manifest-path").arg(&stand_in.manifest);
            cargo.arg("--target-dir").arg(&project.target_dir);
        }
        _ => {
            cargo.arg("--manifest-path").arg(&project.manifest);
        }
    }
    Ok(cargo)
}

/// A message of cargo for programs.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    fresh: bool,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    manifest_path: Option<PathBuf>,
}

/// Runs cargo, and returns the module that it made, and which packages it compiled.
fn run(cargo: &mut Command, project: &Project) -> Result<(PathBuf, Packages), Error> {
    let line = shown(cargo);
    // Errors and warnings go to stderr as usual; stdout lists the artifacts.
    cargo
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(|error| Error::NotStarted {
        program: "cargo".into(),
        error,
    })?;
    let mut module = None;
    let mut packages = Packages::default();
    let manifest = cargo_manifest(cargo)
        .unwrap_or(&project.manifest)
        .to_owned();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let Ok(message) = serde_json::from_str::<Message>(&line) else {
                continue;
            };
            if message.reason != "compiler-artifact" {
                continue;
            }
            packages.count(message.package_id, message.fresh);
            if message.manifest_path.is_some_and(|path| path == manifest) {
                let wasm = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "wasm");
                module = message.filenames.into_iter().find(wasm).or(module);
            }
        }
    }
    let status = child.wait().map_err(|error| Error::NotStarted {
        program: "cargo".into(),
        error,
    })?;
    if !status.success() {
        return Err(Error::Failed { line, status });
    }
    let module = module.ok_or_else(|| Error::Answer {
        line,
        why: "no module was made".into(),
    })?;
    Ok((module, packages))
}

/// The manifest that a command line names.
fn cargo_manifest(cargo: &Command) -> Option<&Path> {
    let mut words = cargo.get_args();
    words.find(|word| *word == "--manifest-path")?;
    words.next().map(Path::new)
}

fn milliseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(f, "{}", self.package)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        writeln!(
            f,
            ": {}, for {} ({}, {seconds:.1} s)",
            self.what, self.target, self.profile
        )?;
        write!(f, "{}", self.summary)?;
        if let Some(before) = self.before {
            write!(f, " ({} before wasm-opt)", bytes(before))?;
        }
        // As one would type it in the reader's directory.
        let here = std::env::current_dir().unwrap_or_default();
        let short = |path: &Path| {
            path.strip_prefix(&here)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        write!(f, "\nmodule    {}", short(&self.module))?;
        if let Some(link) = &self.link {
            write!(f, "\nalso      {}", short(link))?;
        }
        if let Some(declaration) = &self.declaration {
            write!(f, "\nwith      {}", short(declaration))?;
        }
        for note in &self.notes {
            write!(f, "\nnote      {note}")?;
        }
        Ok(())
    }
}
