//! Forms (`application/x-www-form-urlencoded`), as chats send them.

/// The first value of a field; empty if there is none.
pub fn value(form: &str, field: &str) -> String {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| decoded(name) == field);
    values
        .next()
        .map(|(_, value)| decoded(value))
        .unwrap_or_default()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (vec![], text.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, behind) = match (first, escaped) {
            (b'%', Some(byte)) => (byte, &behind[2..]),
            (b'+', _) => (b' ', behind),
            (other, _) => (other, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn fields_are_decoded() {
        let form = "command=%2Froll&text=2d6+%26+more&user_name=Ad%C3%A9&text=x&odd=%zz%4";
        assert_eq!(value(form, "command"), "/roll");
        assert_eq!(value(form, "text"), "2d6 & more");
        assert_eq!(value(form, "user_name"), "Adé");
        assert_eq!(value(form, "odd"), "%zz%4");
        assert_eq!(value(form, "none"), "");
    }
}
