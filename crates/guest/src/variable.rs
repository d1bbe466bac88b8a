//! Variables of a version.

/// The value of a variable, as `function.toml` or a deploy sets it; `None` if it is not set.
///
/// ```toml
/// # function.toml
/// [variables]
/// API_URL = "https://api.example.com"
///
/// [env.staging]                           # iof deploy --env staging
/// API_URL = "https://staging.example.com"
/// ```
///
/// ```
/// # let _variable = iof::testing::variable("API_URL", "https://api.example.com");
/// let url = iof::variable("API_URL").unwrap_or_else(|| "http://localhost:3000".to_owned());
/// # assert_eq!(url, "https://api.example.com");
/// ```
///
/// It is an environment variable, so `std::env::var` reads it, too. It is not a secret: everyone who may read the
/// function sees it. On `wasm32-unknown-unknown` there are no variables.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    #[cfg(not(target_family = "wasm"))]
    if let Some(value) = crate::testing::variable::get(name) {
        return Some(value);
    }
    std::env::var(name).ok()
}
