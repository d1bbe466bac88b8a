//! The HTTP status of an error that a function returns.

/// The status that a function chose for its error: an error status, 400 to 599.
///
/// This crate does not know HTTP: the number is the function's choice, and the server answers with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionStatus(u16);

impl FunctionStatus {
    /// Parses a function's choice. `None` if it is not an error status.
    pub fn new(status: u32) -> Option<Self> {
        let status = u16::try_from(status).ok()?;
        (400..=599).contains(&status).then_some(Self(status))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_an_error_status() {
        for status in [400, 404, 499, 500, 599] {
            assert_eq!(
                FunctionStatus::new(status).map(|status| u32::from(status.get())),
                Some(status)
            );
        }
        for status in [0, 100, 200, 302, 399, 600, 65_536 + 404, u32::MAX] {
            assert_eq!(FunctionStatus::new(status), None, "{status}");
        }
    }
}
