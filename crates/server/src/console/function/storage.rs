//! The values that a function stores, by their keys, and one value at a time.

use super::{Seen, Wanted};
use crate::console::words;
use crate::http::truncate;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use iof_engine::{stored_bytes, stored_key};
use iof_fault::{Fault, FaultKind};
use iof_store::ValueHead;
use maud::{Markup, html};
use std::fmt::Write as _;

/// Keys of one page.
const ROWS: u32 = 100;
/// The bytes of a value that a page shows; the API answers all of them.
const SHOWN: usize = 64 * 1024;
/// The longest text that is made of them: JSON that is nested deeply grows by its indents.
const LONGEST: usize = 4 * SHOWN;

pub(super) async fn page(seen: &Seen<'_>, wanted: &Wanted) -> Result<Markup, Fault> {
    let store = &seen.console.app.store;
    let id = seen.function.function_id;
    let shown = match key_of(wanted.key.as_deref(), wanted.key_base64.as_deref())? {
        None => None,
        Some(key) => {
            let kept = store.load_value(id, &stored_key(&key)).await?;
            Some((key, kept.as_ref().and_then(stored_bytes)))
        }
    };
    let after = key_of(wanted.after.as_deref(), wanted.after_base64.as_deref())?;
    let prefix = wanted.prefix.as_str();
    // One more tells whether there are more.
    let from = after.clone().unwrap_or_default();
    let mut heads = store
        .value_heads(id, prefix.as_bytes(), &from, ROWS + 1)
        .await?;
    let more = heads.len() > ROWS as usize;
    heads.truncate(ROWS as usize);
    let place = encoded(&[("prefix", prefix)]);
    let next = heads.last().filter(|_| more).map(|last| {
        let (name, text) = named(&last.name, "after");
        encoded(&[("prefix", prefix), (name, &text)])
    });
    let rows: Vec<_> = heads.iter().map(|head| row(seen, head, prefix)).collect();
    let empty = html! {
        @if prefix.is_empty() {
            p { "The function stores no values." }
            p class="note" { "It can if its function.toml has " code { "storage = true" } ". Values that were stored by the API of 2020 have no text keys and are not listed." }
        } @else {
            p { "No key begins with “" (truncate(prefix)) "”." }
            p class="note" { a href=(seen.href("storage")) { "Show all keys" } }
        }
    };
    Ok(html! {
        form class="search" method="get" role="search" {
            input type="search" name="prefix" value=(truncate(prefix)) aria-label="Beginning of the key" placeholder="Beginning of the key" autocomplete="off" spellcheck="false";
            button class="quiet" type="submit" { "Search" }
            span class="note" { "These values may contain data of the function’s users." }
        }
        @if let Some((key, value)) = &shown { (one(seen, wanted, key, value.as_ref())) }
        section class="sheet" aria-label="Keys of values" {
            (words::table("values", "Values, by key", &["Key", ">Size", "Expires", ""], &rows, &empty))
            @if after.is_some() || next.is_some() {
                nav class="pager" aria-label="Pages" {
                    @if after.is_some() { a href=(format!("{}?{place}", seen.href("storage"))) { "First page" } } @else { span {} }
                    @if let Some(next) = next { a rel="next" href=(format!("{}?{next}", seen.href("storage"))) { "Next page" } }
                }
            }
        }
    })
}

fn row(seen: &Seen<'_>, head: &ValueHead, prefix: &str) -> Markup {
    let (name, text) = named(&head.name, "key");
    let query = encoded(&[("prefix", prefix), (name, &text)]);
    html! {
        tr {
            td class="wide value" { a href=(format!("{}?{query}#value", seen.href("storage"))) { code { (label(&head.name)) } } }
            // A byte of what is kept is the mark of the kind of the value.
            td class="n" { (words::bytes(head.size.saturating_sub(1))) }
            td class="time" { @match head.expires_at { Some(end) => (words::time(end)), None => span class="note" { "never" } } }
            td class="buttons" { (delete(seen, &head.name, prefix)) }
        }
    }
}

fn delete(seen: &Seen<'_>, key: &Bytes, prefix: &str) -> Markup {
    let (name, text) = named(key, "key");
    let path = seen.api(&format!("/value?{}", encoded(&[(name, &text)])));
    let back = format!(
        "{}?{}",
        seen.href("storage"),
        encoded(&[("prefix", prefix)])
    );
    html! {
        form data-action="DELETE" data-path=(path) data-confirm="Really delete?" data-done=(back) {
            button class="quiet" type="submit" { "Delete" }
            div class="outcome" role="status" {}
        }
    }
}

/// A value, in the form that was asked for, or the one that suits it.
fn one(seen: &Seen<'_>, wanted: &Wanted, key: &Bytes, value: Option<&Bytes>) -> Markup {
    let Some(value) = value else {
        return html! {
            section class="sheet" id="value" aria-label="Value" {
                p class="lead" { "The value under " code { (label(key)) } " no longer exists." }
            }
        };
    };
    let (forms, form, text) = view(value, wanted.show.as_deref());
    let (name, of) = named(key, "key");
    html! {
        section class="sheet" id="value" aria-labelledby="value-title" {
            h2 id="value-title" { code { (label(key)) } " " small class="note" { (words::bytes(value.len() as u64)) } }
            nav class="tabs" aria-label="Form of the value" {
                @for one in forms {
                    @let query = encoded(&[("prefix", &wanted.prefix), (name, &of), ("show", one)]);
                    a href=(format!("{}?{query}#value", seen.href("storage"))) aria-current=[(one == form).then_some("true")] { (one) }
                }
            }
            @if value.is_empty() { p class="note" { "The value is empty." } } @else { pre class="shown" tabindex="0" { (text) } }
            @if value.len() > SHOWN {
                p class="note" { "Only the first " (words::bytes(SHOWN as u64)) " are shown. The whole value: " code { "GET " (seen.api("/value?key=KEY")) } }
            }
        }
    }
}

/// The forms that a value has, the one that is shown, and its text.
fn view(value: &Bytes, wanted: Option<&str>) -> (Vec<&'static str>, &'static str, String) {
    let part = value.get(..SHOWN).unwrap_or(value);
    let text = match std::str::from_utf8(part) {
        Ok(text) => Some(text),
        // The bound may be within a character.
        Err(error) if value.len() > SHOWN && error.error_len().is_none() => {
            std::str::from_utf8(part.get(..error.valid_up_to()).unwrap_or_default()).ok()
        }
        Err(_) => None,
    };
    let json = text.filter(|_| value.len() <= SHOWN).and_then(|text| {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let pretty = serde_json::to_string_pretty(&value).ok()?;
        (pretty.len() <= LONGEST).then_some(pretty)
    });
    let mut forms = vec![];
    if json.is_some() {
        forms.push("JSON");
    }
    if text.is_some() {
        forms.push("text");
    }
    forms.push("hex");
    let form = forms.iter().find(|form| Some(**form) == wanted);
    let form = form.or(forms.first()).copied().unwrap_or("hex");
    let shown = match form {
        "JSON" => json.unwrap_or_default(),
        "text" => text.unwrap_or_default().to_owned(),
        _ => dump(part),
    };
    (forms, form, shown)
}

/// Bytes as lines of offset, digits and letters.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 5);
    for (line, bytes) in bytes.chunks(16).enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "{:08x} ", line * 16);
        for byte in bytes {
            let _ = write!(text, " {byte:02x}");
        }
        let rest = 3 * (16 - bytes.len());
        let _ = write!(text, "{:rest$}  ", "");
        text.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        text.push('\n');
    }
    text
}

/// A key as people read it.
fn label(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{} (not text)", hex::encode(key)),
    }
}

/// A key as a parameter of a query: its name and its value.
fn named(key: &[u8], name: &'static str) -> (&'static str, String) {
    match (std::str::from_utf8(key), name) {
        (Ok(text), _) => (name, text.to_owned()),
        (Err(_), "after") => ("after_base64", BASE64_STANDARD.encode(key)),
        (Err(_), _) => ("key_base64", BASE64_STANDARD.encode(key)),
    }
}

/// # Errors
/// `query`
fn key_of(text: Option<&str>, base64: Option<&str>) -> Result<Option<Bytes>, Fault> {
    match (text, base64) {
        (Some(text), _) => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
        (None, None) => Ok(None),
        (None, Some(base64)) => match BASE64_STANDARD.decode(base64) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => {
                let message = format!(
                    "The key in the query of the page is not base64: {error}. Open the page from the navigation."
                );
                Err(Fault::new(FaultKind::Query, message))
            }
        },
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_in_the_form_that_suits_it() {
        let of = |bytes: &[u8], wanted| view(&Bytes::copy_from_slice(bytes), wanted);
        let (forms, form, text) = of(b"{\"a\":1}", None);
        assert_eq!(
            (forms, form, &*text),
            (vec!["JSON", "text", "hex"], "JSON", "{\n  \"a\": 1\n}")
        );
        assert_eq!(of(b"{\"a\":", None).1, "text");
        let (forms, _, text) = of(b"\xff\x00A", Some("JSON"));
        assert_eq!(forms, ["hex"]);
        assert_eq!(
            text.trim_end().split_once("  ").unwrap().1[..8].trim(),
            "ff 00 41"
        );
        // A character that the bound splits is left out, and text it stays.
        let long = "é".repeat(SHOWN);
        let odd = format!("x{long}");
        let (forms, form, text) = of(odd.as_bytes(), None);
        assert_eq!((forms, form), (vec!["text", "hex"], "text"));
        assert_eq!(text.len(), SHOWN - 1);
        // Deep JSON does not grow by its indents without a bound.
        let deep = format!(
            "{}{}{}",
            "[".repeat(100),
            "1,".repeat(1000) + "1",
            "]".repeat(100)
        );
        assert_eq!(of(deep.as_bytes(), None).1, "JSON");
        let wide = format!(
            "{}{}{}",
            "[".repeat(100),
            "1,".repeat(30_000) + "1",
            "]".repeat(100)
        );
        assert_eq!(of(wide.as_bytes(), None).1, "text");
    }

    #[test]
    fn keys_are_parameters() {
        assert_eq!(named(b"a/b", "key"), ("key", "a/b".to_owned()));
        assert_eq!(named(b"\xff", "key"), ("key_base64", "/w==".to_owned()));
        assert_eq!(named(b"\xff", "after"), ("after_base64", "/w==".to_owned()));
        assert_eq!(encoded(&[("prefix", ""), ("key", "a b&")]), "key=a+b%26");
    }
}
