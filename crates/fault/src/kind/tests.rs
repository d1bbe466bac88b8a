use super::*;
use std::collections::HashMap;

#[test]
fn a_code_is_a_word_with_dashes_and_has_one_source() {
    let mut sources = HashMap::new();
    for kind in FaultKind::ALL {
        let code = kind.as_str();
        let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(!code.is_empty() && code.bytes().all(known), "{code}");
        let before = *sources.entry(code).or_insert(kind.source());
        // A URL may be a caller's or a function's.
        assert!(before == kind.source() || code == "egress-url", "{code}");
    }
}

#[test]
fn a_meaning_is_one_sentence() {
    for kind in FaultKind::ALL {
        let meaning = kind.meaning();
        assert!(meaning.ends_with('.'), "{meaning}");
        assert!(!meaning.contains('|'), "{meaning}");
    }
}

#[test]
fn a_kind_travels_by_its_variants_name() {
    for kind in FaultKind::ALL {
        let text = format!("{kind:?}");
        let read: Result<FaultKind, serde::de::value::Error> =
            Deserialize::deserialize(serde::de::value::StrDeserializer::new(&text));
        assert_eq!(read.as_ref(), Ok(kind));
    }
}
