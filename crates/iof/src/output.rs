//! The output of commands for people: tables, and readable times.

use crate::escape::{block, line};
use crate::{print, print_bytes};
use serde_json::Value as Json;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Prints a JSON value, for scripts.
pub(crate) fn json(value: &Json) -> ExitCode {
    print(&format!("{value}\n"))
}

/// Prints the result of a function. A file or a pipe gets its bytes; a terminal gets escaped text with a line break.
pub(crate) fn result(bytes: &[u8], is_text: bool) -> ExitCode {
    if !std::io::stdout().is_terminal() {
        return print_bytes(bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let end = if is_text && !text.is_empty() {
        "\n"
    } else {
        ""
    };
    print(&format!("{}{end}", block(&text)))
}

/// A table with aligned columns under their names; `none` if there are no rows. A name that begins with `>` is that of a
/// column of numbers, which are aligned to the right.
pub(crate) fn table(names: &[&str], rows: &[Vec<String>], none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let escaped = |row: &Vec<String>| row.iter().map(|cell| line(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(escaped).collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).max(name.trim_start_matches('>').len())
        })
        .collect();
    let aligned = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells
            .zip(names.iter().zip(&widths))
            .map(|(cell, (name, width))| match name.starts_with('>') {
                true => format!("{cell:>width$}"),
                false => format!("{cell:width$}"),
            })
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let mut table = aligned(&mut names.iter().map(|name| name.trim_start_matches('>')));
    for row in &rows {
        table += &aligned(&mut row.iter().map(String::as_str));
    }
    table
}

/// A field as text on one line; a dash if it is absent.
pub(crate) fn text(row: &Json, field: &str) -> String {
    match &row[field] {
        Json::Null => "-".into(),
        Json::String(text) => line(text).into_owned(),
        other => other.to_string(),
    }
}

/// A time without its fraction and the `T`.
pub(crate) fn time(row: &Json, field: &str) -> String {
    let time = text(row, field);
    match time.split_once('.') {
        Some((seconds, _)) => seconds.replace('T', " "),
        None => time.replace('T', " ").replace('Z', ""),
    }
}

/// The texts of an array, each on one line.
pub(crate) fn texts(row: &Json, field: &str) -> Vec<String> {
    let array = row[field].as_array().into_iter().flatten();
    let texts = array.filter_map(Json::as_str);
    texts.map(|text| line(text).into_owned()).collect()
}

/// A text as one shell word, quoted if needed.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_of_a_shell() {
        assert_eq!(word("say-hello"), "say-hello");
        assert_eq!(word(""), "''");
        assert_eq!(word("a b;$(id)#"), "'a b;$(id)#'");
        assert_eq!(word("it's"), "'it'\\''s'");
    }
}
