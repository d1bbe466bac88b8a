//! Tips in addition to the parser's errors.

use super::Args;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error};

/// Adds a tip to an error: if an argument is missing, the first example of the subcommand.
pub(crate) fn with_tip(mut error: Error) -> Error {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words.map_while(|word| word.into_string().ok()).collect();
    let tip = match (error.kind(), words.first().map(String::as_str)) {
        (ErrorKind::MissingRequiredArgument, _) => example(&words),
        (ErrorKind::UnknownArgument, Some("call")) if !was_option(&error) => {
            Some("several arguments go after `--`: iof call FUNCTION EXPORT -- ONE TWO".to_owned())
        }
        _ => None,
    };
    if let Some(tip) = tip {
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// Returns whether the unknown argument looks like an option.
fn was_option(error: &Error) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg)) if arg.starts_with('-'))
}

/// The first example in the help of the subcommand at the beginning of these words.
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
    // Text after two spaces explains the example.
    Some(example.split("  ").next()?.to_owned())
}
