//! `iof deploy --env NAME --set NAME=VALUE`: the variables of a `function.toml` for one deploy.

use toml::{Table, Value};

/// The declaration, with its variables overridden by those of an environment and of the command line. It stays
/// unchanged if there are neither, so that errors in it keep their line.
///
/// # Errors
/// A message that names the option or the table.
pub(super) fn apply(
    declaration: Option<String>,
    environment: Option<&str>,
    set: &[String],
) -> Result<Option<String>, String> {
    if environment.is_none() && set.is_empty() {
        return Ok(declaration);
    }
    let option = if set.is_empty() { "--env" } else { "--set" };
    let text = declaration.ok_or_else(|| {
        format!("{option} needs a function.toml: with one, a function gets only what it declares. Write one, even if only with `commands = []`.")
    })?;
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| format!("function.toml: {}", error.message()))?;
    let environments = match table.remove("env") {
        Some(Value::Table(environments)) => environments,
        None => Table::new(),
        Some(_) => return Err("function.toml: env is not a table. Write [env.staging].".into()),
    };
    let mut variables = match table.remove("variables") {
        Some(Value::Table(variables)) => variables,
        None => Table::new(),
        Some(_) => {
            return Err("function.toml: variables is not a table. Write [variables].".into());
        }
    };
    if let Some(name) = environment {
        match environments.get(name) {
            Some(Value::Table(of)) => variables.extend(of.clone()),
            _ => {
                let known: Vec<&str> = environments.keys().map(String::as_str).collect();
                let known = match known.as_slice() {
                    [] => "there is none".to_owned(),
                    known => format!("there are {}", known.join(", ")),
                };
                return Err(format!(
                    "--env: no such environment: got {name}; {known}. Write [env.{name}] in function.toml."
                ));
            }
        }
    }
    for pair in set {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("--set: not NAME=VALUE: got {pair}."))?;
        variables.insert(name.to_owned(), Value::from(value));
    }
    table.insert("variables".into(), Value::Table(variables));
    toml::to_string(&table)
        .map(Some)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "storage = true\n[variables]\nURL = \"a\"\nLEVEL = \"1\"\n[env.staging]\nURL = \"b\"\n";

    fn of(environment: Option<&str>, set: &[&str]) -> Result<String, String> {
        let set: Vec<String> = set.iter().map(|pair| (*pair).to_owned()).collect();
        apply(Some(FILE.into()), environment, &set).map(Option::unwrap)
    }

    #[test]
    fn what_is_typed_is_over_the_environment_over_the_file() {
        assert_eq!(of(None, &[]).unwrap(), FILE);
        let staging = of(Some("staging"), &["LEVEL=a=b", "NEW="]).unwrap();
        let table: Table = staging.parse().unwrap();
        let variables = table["variables"].as_table().unwrap();
        for (name, value) in [("URL", "b"), ("LEVEL", "a=b"), ("NEW", "")] {
            assert_eq!(variables[name].as_str(), Some(value));
        }
        assert!(!table.contains_key("env") && table["storage"].as_bool() == Some(true));
    }

    #[test]
    fn invalid_variables_are_refused_by_name() {
        assert!(
            of(Some("live"), &[])
                .unwrap_err()
                .contains("there are staging")
        );
        assert!(of(None, &["URL"]).unwrap_err().contains("NAME=VALUE"));
        let none = apply(None, None, &["A=b".to_owned()]);
        assert!(none.unwrap_err().contains("needs a function.toml"));
        assert_eq!(apply(None, None, &[]).unwrap(), None);
    }
}
