//! The variables of tests, each set for one thread until it is dropped.

use std::cell::RefCell;

thread_local! {
    /// Names and values, the latest last.
    static VARIABLES: RefCell<Vec<(u64, String, String)>> = const { RefCell::new(Vec::new()) };
}

/// Sets a variable until it is dropped.
#[must_use = "the variable is set until this is dropped: keep it in a variable"]
pub struct Variable {
    id: u64,
}

/// Sets a variable for this thread.
///
/// ```
/// let variable = iof::testing::variable("LEVEL", "2");
/// assert_eq!(iof::variable("LEVEL").as_deref(), Some("2"));
/// drop(variable);
/// assert_eq!(iof::variable("LEVEL"), None);
/// ```
pub fn variable(name: &str, value: &str) -> Variable {
    VARIABLES.with_borrow_mut(|variables| {
        let id = variables.last().map_or(0, |(id, ..)| id + 1);
        variables.push((id, name.to_owned(), value.to_owned()));
        Variable { id }
    })
}

pub(crate) fn get(name: &str) -> Option<String> {
    VARIABLES.with_borrow(|variables| {
        let mut latest = variables.iter().rev();
        let found = latest.find(|(_, known, _)| known == name);
        found.map(|(.., value)| value.clone())
    })
}

impl Drop for Variable {
    fn drop(&mut self) {
        VARIABLES.with_borrow_mut(|variables| variables.retain(|(id, ..)| *id != self.id));
    }
}
