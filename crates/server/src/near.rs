//! Suggestions for misspelled names.

/// The longest name that is compared: the cost of a comparison grows with both lengths, and longer names are not typos.
const LONGEST: usize = 100;

/// The known name that is nearest to `name`. For every three letters, one may be missing, added, replaced, or swapped
/// with its neighbour.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let slips = name.chars().count() / 3;
    known
        .into_iter()
        .filter(|known| known.len() <= LONGEST)
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The unknown field in a parser's message, and the nearest of the fields that the message lists.
pub fn nearest_field(message: &str) -> Option<(&str, &str)> {
    if !message.starts_with("unknown field") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    Some((wrong, nearest(wrong, quoted)?))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_pen_is_near_and_another_word_is_not() {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        for (name, meant) in [
            ("GTE", Some("GET")),
            ("PSOT", Some("POST")),
            ("DELTE", Some("DELETE")),
            ("SEARCH", None),
            ("7", None),
            ("", None),
            (&*"G".repeat(1_000), None),
        ] {
            assert_eq!(nearest(name, methods), meant, "{name}");
        }
        assert_eq!(nearest("hello", []), None);
    }
}
