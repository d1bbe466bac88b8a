//! Values that the mask finds in a text, and the text that remains.

use proptest::prelude::*;

use super::*;

pub(in crate::secret) fn mask(texts: &[&str]) -> Mask {
    Mask::new(texts.iter().copied(), std::iter::empty()).unwrap()
}

fn masked(mask: &Mask, text: &str) -> String {
    mask.text(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn each_spelling_is_found() {
    let mask = mask(&["s3cr/t+\"v&l\\ue="]);
    for text in [
        "s3cr/t+\"v&l\\ue=",
        "S3CR/T+\"V&L\\UE=",
        "s3cr%2Ft%2B%22v%26l%5Cue%3D",
        "s3cr%2ft%2b%22v%26l%5cue%3d",
        "s3cr/t%2B%22v&l%5Cue=",
        "%73%33cr/t+\"v&l%5cue=",
        "s3cr%252Ft%252B%2522v%2526l%255Cue%253D",
        r#"s3cr/t+\"v&l\\ue="#,
        r#"s3cr\/t+\u0022v\u0026l\\ue\u003d"#,
        r#"\x733cr/t+\"v\x26l\\ue="#,
        "s3cr/t+&quot;v&amp;l\\ue&#61;",
        "s3cr/t+&#34;v&#x26;l\\ue=",
    ] {
        assert_eq!(masked(&mask, text), "***", "{text}");
        let within = format!("<{text}>{text}, {text}");
        assert_eq!(masked(&mask, &within), "<***>***, ***", "{text}");
    }
    for text in ["s3cr/t+\"v&l\\ue", "s3crt", "", "%", "***"] {
        assert_eq!(mask.text(text), None, "{text}");
    }
}

#[test]
fn what_overlaps_goes_together() {
    let mask = mask(&["abcd", "cdef", "a"]);
    assert_eq!(masked(&mask, "xabcdefx"), "x***x");
    assert_eq!(masked(&mask, "xaaaax"), "x***x");
    assert_eq!(masked(&mask, "xabcabcdx"), "x***bc***x");
}

#[test]
fn values_with_other_letters() {
    let mask = mask(&["pässwörd \u{1f600}"]);
    for text in [
        "pässwörd \u{1f600}",
        r"p\u00e4ssw\u00f6rd \ud83d\ude00",
        "p%C3%A4ssw%C3%B6rd+%F0%9F%98%80",
        "p&#228;ssw&#xF6;rd &#128512;",
    ] {
        assert_eq!(masked(&mask, text), "***", "{text}");
    }
}

/// A letter a million times is the text that makes naive searches slow.
#[test]
fn the_time_is_linear() {
    let (secret, text) = ("a".repeat(4096), "a".repeat(4 << 20));
    let mask = mask(&[&secret, "aab"]);
    let start = std::time::Instant::now();
    assert_eq!(masked(&mask, &text), "***");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn names_of_headers_are_dropped() {
    let mask = mask(&["T0ken"]);
    let mut headers = HeaderMap::new();
    headers.insert("x-t0ken-y", HeaderValue::from_static("1"));
    headers.insert("x", HeaderValue::from_static("a T0ken b"));
    headers.append("x", HeaderValue::from_static("c"));
    mask.headers(&mut headers);
    let values: Vec<_> = headers.iter().map(|(_, v)| v.to_str().unwrap()).collect();
    assert_eq!(values, ["a *** b", "c"]);
}

fn base64_of(text: &str, before: &str, after: &str) -> [String; 2] {
    let whole = format!("{before}{text}{after}");
    [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)]
}

proptest! {
    /// Whatever surrounds a value, and however each character of it is written.
    #[test]
    fn no_value_survives(
        value in "[!-)+-~äé]{1,40}",
        // An escape that begins before the value would be another text.
        before in "[ -$'-\\[\\]-~]{0,9}",
        after in "[ -~]{0,9}",
        ways in proptest::collection::vec(0..4u8, 40),
    ) {
        let mask = mask(&[&value]);
        let spelled = |ways: &dyn Fn(usize) -> u8| -> String {
            value.chars().enumerate().map(|(i, c)| match ways(i) {
                1 => c.to_string().bytes().map(|b| format!("%{b:02X}")).collect(),
                2 => format!("\\u{:04x}", u32::from(c)),
                3 => format!("&#{};", u32::from(c)),
                _ => c.to_string(),
            }).collect()
        };
        for way in 0..4 {
            let text = format!("{before}{}{after}", spelled(&|_| way));
            let masked = masked(&mask, &text);
            prop_assert!(masked.contains("***"), "{text} became {masked}");
            prop_assert!(!masked.contains(&value));
            let undone = String::from_utf8_lossy(&unescaped(masked.as_bytes())).into_owned();
            prop_assert!(!undone.contains(&value), "{text} became {masked}");
        }
        // Mixed, where the value has no escapes of its own that a neighbour could complete.
        if value.chars().all(|c| c.is_alphanumeric()) {
            let text = spelled(&|i| ways[i]);
            prop_assert_eq!(masked(&mask, &text), "***");
        }
    }

    #[test]
    fn base64_is_found_inside_something_longer(
        value in "[!-~]{8,40}", before in "[ -~]{0,9}", after in "[ -~]{0,9}",
    ) {
        let mask = mask(&[&value]);
        for text in base64_of(&value, &before, &after) {
            let masked = masked(&mask, &text);
            let around = (before.len() + after.len()) * 4 / 3 + 2 + 2 + 2 + 3;
            prop_assert!(masked.contains("***"), "{text} became {masked}");
            prop_assert!(masked.len() <= around, "{text} became {masked}");
        }
    }

    #[test]
    fn other_text_stays(text in "[ -~]{0,80}") {
        prop_assert_eq!(mask(&["\u{7b80}\u{7b81}\u{7b82}"]).text(&text), None);
    }
}
