//! What commands print for people: tables, and times as they read them.

use crate::print;
use serde_json::Value as Json;
use std::process::ExitCode;

/// A JSON object, for scripts.
pub(crate) fn json(value: &Json) -> ExitCode {
    print(&format!("{value}\n"))
}

/// Columns under their names, as wide as they have to be. `none` is said where there is no row.
pub(crate) fn table(names: &[&str], rows: &[Vec<String>], none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).max(name.len())
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let mut table = line(&mut names.iter().copied());
    for row in rows {
        table += &line(&mut row.iter().map(String::as_str));
    }
    table
}

/// A field as text: a string as it is, nothing as a dash.
pub(crate) fn text(row: &Json, field: &str) -> String {
    match &row[field] {
        Json::Null => "-".into(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time without its fraction and its T.
pub(crate) fn time(row: &Json, field: &str) -> String {
    let time = text(row, field);
    match time.split_once('.') {
        Some((seconds, _)) => seconds.replace('T', " "),
        None => time.replace('T', " ").replace('Z', ""),
    }
}

/// The texts of an array.
pub(crate) fn texts(row: &Json, field: &str) -> Vec<String> {
    let array = row[field].as_array().into_iter().flatten();
    array.filter_map(Json::as_str).map(str::to_owned).collect()
}
