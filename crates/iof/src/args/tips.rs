//! Tips beside what the parser says of arguments that it cannot use.

use super::Args;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error};

/// Adds to an error what would have been right: the first example of the subcommand, where an argument is missing.
pub(crate) fn with_tip(mut error: Error) -> Error {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words.map_while(|word| word.into_string().ok()).collect();
    let tip = match (error.kind(), words.first().map(String::as_str)) {
        (ErrorKind::MissingRequiredArgument, _) => example(&words),
        (ErrorKind::UnknownArgument, Some("call")) if !was_option(&error) => {
            Some("several arguments go behind `--`: iof call FUNCTION EXPORT -- ONE TWO".to_owned())
        }
        _ => None,
    };
    if let Some(tip) = tip {
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// Returns whether the argument that is not known looks like an option.
fn was_option(error: &Error) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg)) if arg.starts_with('-'))
}

/// The first example in the help of the subcommand that these words begin with.
fn example(words: &[String]) -> Option<String> {
    let mut command = Args::command();
    for word in words {
        match command.find_subcommand(word) {
            Some(inner) => command = inner.clone(),
            None => break,
        }
    }
    let help = Command::get_after_help(&command)?.to_string();
    let mut lines = help.lines().skip_while(|line| line.trim() != "Examples:");
    let example = lines.nth(1)?.trim();
    // What stands behind two spaces explains it.
    Some(example.split("  ").next()?.to_owned())
}
