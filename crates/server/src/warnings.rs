//! Defects of a module that do not keep it from being deployed, or from being called.

use crate::schema;
use iof_engine::Manifest;

/// All defects of a module, a sentence each.
pub(crate) fn of(manifest: &Manifest) -> Vec<String> {
    let mut warnings = schema::flaws(manifest);
    warnings.extend(of_code(manifest));
    warnings
}

/// The defects that are not of a description, which a deploy refuses.
pub(crate) fn of_code(manifest: &Manifest) -> Vec<String> {
    let mut warnings = of_start(manifest);
    warnings.extend(of_docs(manifest));
    warnings
}

/// The warning of a component whose doc comments cannot be read. It is described by its types.
fn of_docs(manifest: &Manifest) -> Option<String> {
    let why = manifest.unread_docs.as_ref()?;
    Some(format!(
        "The doc comments of the component are left out: {why}. Build it with tools of today, or without its section `package-docs`."
    ))
}

/// The warning of a module that cannot be instantiated. It is deployed all the same, as in the API of 2020: a module of which
/// no call succeeds harms nobody else.
pub fn of_start(manifest: &Manifest) -> Vec<String> {
    let trap = manifest.failing_start.iter();
    let sentence = |trap| {
        format!(
            "Every call of the module fails before its function runs ({trap}). Mend its start function, or its data and element segments."
        )
    };
    trap.map(sentence).collect()
}
