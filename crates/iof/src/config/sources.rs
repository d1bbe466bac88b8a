//! Settings as text: their names, and the overriding of one source by another.

use super::{Config, NO_MODELS};
use iof_server::{nearest, nearest_field};
use serde::Deserialize;
use toml::{Table, Value};

/// The dotted name of every setting.
pub(super) fn names(settings: &Table) -> Vec<String> {
    settings
        .iter()
        .flat_map(|(name, value)| match value {
            Value::Table(table) => names(table)
                .into_iter()
                .map(|inner| format!("{name}.{inner}"))
                .collect(),
            _ => vec![name.clone()],
        })
        .collect()
}

/// Settings that have another name since a release: the old one, and the one of today.
const RENAMED: [(&str, &str); 3] = [
    ("second_state.log_rows", "server.log_rows"),
    ("second_state.multipart_parts", "server.multipart_parts"),
    ("second_state.form_fields", "server.form_fields"),
];

/// The name of today of a setting.
pub(super) fn renamed(name: &str) -> &str {
    let new = RENAMED.iter().find(|(old, _)| *old == name);
    new.map_or(name, |(_, new)| new)
}

/// The variable of today of a setting, by the variable of its name or of its old name.
pub(super) fn renamed_variable(variable: &str) -> String {
    let new = RENAMED.iter().find(|(old, _)| variable_of(old) == variable);
    new.map_or(variable.to_owned(), |(_, new)| variable_of(new))
}

/// Moves settings with an old name to the name of today; returns whether there were any.
///
/// # Errors
/// A setting has both names.
pub(super) fn rename(settings: &mut Table) -> Result<bool, String> {
    let mut any = false;
    for (old, new) in RENAMED {
        let (Some((from, old_leaf)), Some((to, leaf))) = (old.split_once('.'), new.split_once('.'))
        else {
            continue;
        };
        let parent = settings.get_mut(from).and_then(Value::as_table_mut);
        let Some(value) = parent.and_then(|parent| parent.remove(old_leaf)) else {
            continue;
        };
        any = true;
        let parent = settings
            .entry(to)
            .or_insert_with(|| Value::Table(Table::new()));
        // Another kind of value is refused with the rest of the file.
        let Some(parent) = parent.as_table_mut() else {
            continue;
        };
        if parent.insert(leaf.to_owned(), value).is_some() {
            return Err(format!(
                "{old} is the earlier name of {new}: got both. Remove {old}."
            ));
        }
    }
    Ok(any)
}

/// The value of a setting by its dotted name.
pub(super) fn value<'a>(settings: &'a Table, name: &str) -> Option<&'a Value> {
    let mut parts = name.split('.');
    let first = settings.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// The environment variable of a setting: `IOF_LIMITS_WALL_TIME` for `limits.wall_time`.
pub(super) fn variable_of(name: &str) -> String {
    format!("IOF_{}", name.replace('.', "_").to_uppercase())
}

pub(super) fn merge(settings: &mut Table, from: Table) {
    for (name, value) in from {
        match (settings.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(from)) => merge(inner, from),
            (_, value) => {
                settings.insert(name, value);
            }
        }
    }
}

/// Overrides one setting by a value in text: parsed as TOML for a number or a list, and taken as a string otherwise.
pub(super) fn set(settings: &mut Table, name: &str, text: &str) -> Result<(), String> {
    let (parent, leaf) = match name.rsplit_once('.') {
        Some((parent, leaf)) => (Some(parent), leaf),
        None => (None, name),
    };
    let mut table = settings;
    for part in parent.into_iter().flat_map(|parent| parent.split('.')) {
        table = table
            .get_mut(part)
            .and_then(Value::as_table_mut)
            .ok_or("no such setting")?;
    }
    let value = match table.get(leaf) {
        Some(Value::Integer(_)) => Value::Integer(
            text.parse()
                .map_err(|_| format!("{text:?} is not a whole number"))?,
        ),
        Some(Value::Boolean(_)) => Value::Boolean(
            text.parse()
                .map_err(|_| format!("{text:?} is neither true nor false"))?,
        ),
        Some(Value::Array(_)) if text.trim_start().starts_with('[') => {
            let table: Table = format!("list = {text}")
                .parse()
                .map_err(|error: toml::de::Error| clear(error.message()))?;
            table.get("list").cloned().unwrap_or(Value::Array(vec![]))
        }
        Some(Value::Array(_)) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Value::from)
            .collect::<Vec<_>>()
            .into(),
        _ => Value::from(text),
    };
    let before = table.insert(leaf.to_owned(), value);
    // Only this setting is checked, so that the message is about it.
    let check = Table::from_iter([(
        leaf.to_owned(),
        table.get(leaf).cloned().unwrap_or(Value::from("")),
    )]);
    let nested = parent
        .into_iter()
        .flat_map(|parent| parent.rsplit('.'))
        .fold(check, |inner, part| {
            Table::from_iter([(part.to_owned(), Value::Table(inner))])
        });
    match Config::deserialize(nested) {
        Ok(_) => Ok(()),
        Err(error) => {
            if let Some(before) = before {
                table.insert(leaf.to_owned(), before);
            }
            Err(clear(error.message()))
        }
    }
}

pub(super) fn unknown(name: &str, known: impl Iterator<Item = String>) -> String {
    if cfg!(not(feature = "infer"))
        && (name.starts_with("infer.") || name.starts_with("IOF_INFER_"))
    {
        return format!("{name}: {NO_MODELS}");
    }
    if name.is_empty() {
        return "--set has no name before its `=`. Write it as in --set limits.memory=256MiB."
            .into();
    }
    let known: Vec<String> = known.collect();
    let near = nearest(name, known.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("did you mean {near}? "));
    format!("{name}: there is no such setting; {near}`iof serve --print-config` lists all")
}

/// A TOML error, with its line, and with the nearest name or an example if the parser states only what it expected.
pub(super) fn said(error: &toml::de::Error) -> String {
    let message = error.message();
    error.to_string().replace(message, &clear(message))
}

/// A message of the parser, reworded for people.
pub(super) fn clear(message: &str) -> String {
    if let Some((wrong, near)) = nearest_field(message) {
        return format!(
            "unknown field `{wrong}`; did you mean `{near}`? `iof serve --print-config` lists all"
        );
    }
    iof_server::plain_words(message)
}
