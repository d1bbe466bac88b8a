//! Defects of a module that prevent neither its deploy nor its calls.

use crate::schema;
use iof_engine::Manifest;

/// All defects of a module, with a sentence for each.
pub(crate) fn of(manifest: &Manifest) -> Vec<String> {
    let mut warnings = schema::flaws(manifest);
    warnings.extend(of_code(manifest));
    warnings
}

/// The defects outside of descriptions; a deploy refuses those of descriptions.
pub(crate) fn of_code(manifest: &Manifest) -> Vec<String> {
    let mut warnings = of_start(manifest);
    warnings.extend(of_docs(manifest));
    warnings
}

/// The warning for a component whose doc comments cannot be read. It is described by its types.
fn of_docs(manifest: &Manifest) -> Option<String> {
    let why = manifest.unread_docs.as_ref()?;
    Some(format!(
        "The doc comments of the component are left out: {why}. Build it with tools of today, or without its section `package-docs`."
    ))
}

/// The warning for a module that cannot be instantiated. It is still deployed, as in the API of 2020: a module whose
/// calls all fail harms no one else.
pub fn of_start(manifest: &Manifest) -> Vec<String> {
    let trap = manifest.failing_start.iter();
    let sentence = |trap| {
        format!(
            "Every call of the module fails before its function runs ({trap}). Correct its start function, or its data and element segments."
        )
    };
    trap.map(sentence).collect()
}
