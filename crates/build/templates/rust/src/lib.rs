//! Functions of `__NAME__`.

/// Greets.
#[iof::function]
fn greet(name: &str) -> String {
    match name.trim() {
        "" => "Hello!".into(),
        name => format!("Hello, {name}!"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_greets_by_name_and_without() {
        assert_eq!(greet("Ada"), "Hello, Ada!");
        assert_eq!(greet(" "), "Hello!");
    }
}
