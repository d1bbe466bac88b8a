//! A module on its way from a compiler to `pkg`: read, optimised, kept.

use crate::optimise::{Optimisation, optimise};
use crate::options::Options;
use crate::{Error, Kind, Progress, Summary, files};
use std::fs;
use std::path::{Path, PathBuf};

/// A module on its way from a compiler to `pkg`.
pub(crate) struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) summary: Summary,
    /// The size before wasm-opt, if that was used.
    pub(crate) before: Option<u64>,
    /// Notes for the author, each a sentence.
    pub(crate) notes: Vec<String>,
}

impl Module {
    /// Reads what a compiler made, and optimises it as the options say; files go to `folder`.
    pub(crate) fn of(
        made: &Path,
        options: &Options,
        folder: &Path,
        progress: Progress<'_>,
    ) -> Result<Self, Error> {
        let bytes = fs::read(made).map_err(Error::file(made))?;
        let mut module = Self {
            summary: Summary::of(&bytes)?,
            bytes,
            before: None,
            notes: vec![],
        };
        // wasm-opt reads core modules only.
        if options.optimise && !options.debug && module.summary.kind != Kind::Component {
            let result = optimise(
                &options.machine,
                &module.bytes,
                &module.summary,
                folder,
                progress,
            );
            match result? {
                Optimisation::Module(bytes, after) => {
                    module.before = Some(module.summary.size);
                    (module.bytes, module.summary) = (bytes, after);
                }
                Optimisation::Not(why) => module.notes.push(why),
            }
        }
        Ok(module)
    }

    /// Writes it to `pkg` of a project, by the name of the file that the compiler made; returns its path.
    pub(crate) fn keep(&mut self, project: &Path, made: &Path) -> Result<PathBuf, Error> {
        if self.summary.exports.is_empty() {
            let note = "Nothing in it can be called: no function is exported.";
            self.notes.push(note.to_owned());
        }
        let name = made.file_name().unwrap_or_default();
        let kept = project.join("pkg").join(name);
        files::write(&kept, &self.bytes)?;
        Ok(kept)
    }
}
