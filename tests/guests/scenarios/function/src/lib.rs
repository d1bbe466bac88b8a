//! The scenarios as a text function of a core module, written with the crate that authors use.

/// Runs a scenario.
#[iof::function]
fn scenario(name: &str, arguments: Vec<String>) -> String {
    scenarios::run_blocking(&scenario_core_imports::CoreModule, name, &arguments)
}
