//! The arguments with which a native program is started.
//!
//! The operator writes the command line once; a part that a function may choose is in braces, as the regular expression
//! that the whole argument has to match. So a function cannot add an option that the operator did not foresee, and an
//! argument begins with a dash only if the pattern allows it.

use regex::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes: an operator wrote it, perhaps without knowing its cost.
const PATTERN_SIZE: usize = 1 << 20;

/// The command line of a declaration.
#[derive(Debug)]
pub(crate) struct Args(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Fixed(String),
    /// One argument of the function, with the text around it.
    Given {
        before: String,
        pattern: Pattern,
        after: String,
    },
    /// All remaining arguments.
    Rest(Pattern),
}

#[derive(Debug)]
struct Pattern {
    text: String,
    regex: Regex,
}

impl Args {
    /// Reads a declaration: `text`, `text{pattern}text` or `{pattern}...`; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// The problem, naming the argument.
    pub(crate) fn parse(declared: &[String]) -> Result<Args, String> {
        let mut pieces = Vec::with_capacity(declared.len());
        for text in declared {
            if pieces
                .last()
                .is_some_and(|piece| matches!(piece, Piece::Rest(_)))
            {
                return Err("`{…}...` takes all remaining arguments, so nothing can follow it. Move it to the end".to_owned());
            }
            pieces.push(Piece::parse(text)?);
        }
        Ok(Args(pieces))
    }

    /// The arguments of the program, filled in from those of a function.
    ///
    /// # Errors
    /// The problem, for the function's author.
    pub(crate) fn fill(&self, given: &[String]) -> Result<Vec<String>, String> {
        let mut left = given.iter();
        let mut number = 0;
        let mut filled = Vec::with_capacity(self.0.len());
        for piece in &self.0 {
            match piece {
                Piece::Fixed(text) => filled.push(text.clone()),
                Piece::Given {
                    before,
                    pattern,
                    after,
                } => {
                    number += 1;
                    let Some(argument) = left.next() else {
                        return Err(self.count(given.len()));
                    };
                    pattern.check(number, argument)?;
                    filled.push(format!("{before}{argument}{after}"));
                }
                Piece::Rest(pattern) => {
                    for argument in left.by_ref() {
                        number += 1;
                        pattern.check(number, argument)?;
                        filled.push(argument.clone());
                    }
                }
            }
        }
        match left.next() {
            None => Ok(filled),
            Some(_) => Err(self.count(given.len())),
        }
    }

    fn count(&self, given: usize) -> String {
        let single = |piece: &&Piece| matches!(piece, Piece::Given { .. });
        let (count, more) = (
            self.0.iter().filter(single).count(),
            matches!(self.0.last(), Some(Piece::Rest(_))),
        );
        let or_more = if more { " or more" } else { "" };
        format!("the number of arguments is not {count}{or_more}: got {given}")
    }
}

impl Piece {
    fn parse(text: &str) -> Result<Piece, String> {
        if text.contains('\0') {
            return Err(format!("the argument {text:?} contains a NUL"));
        }
        let doubled = text.contains("{{");
        let (Some(open), Some(close)) = (text.find('{'), text.rfind('}')) else {
            return Ok(Piece::Fixed(text.to_owned()));
        };
        if doubled || close < open {
            return Ok(Piece::Fixed(text.replace("{{", "{").replace("}}", "}")));
        }
        let (before, after) = (&text[..open], &text[close + 1..]);
        let pattern = Pattern::parse(&text[open + 1..close])?;
        match (before, after) {
            ("", "...") => Ok(Piece::Rest(pattern)),
            (_, after) if after.ends_with("...") => Err(format!(
                "only a whole argument can be repeated: got {text:?}. Write it as in \"{{{}}}...\"",
                pattern.text
            )),
            _ => Ok(Piece::Given {
                before: before.to_owned(),
                pattern,
                after: after.to_owned(),
            }),
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_SIZE).build();
        // Compiled by itself first: `a)|(b` would be valid between the anchors, and not anchored any more.
        let regex = build(text)
            .and_then(|_| build(&format!(r"\A(?:{text})\z")))
            .map_err(|e| format!("the pattern {{{text}}} is not a regular expression: {e}"))?;
        Ok(Pattern {
            text: text.to_owned(),
            regex,
        })
    }

    fn check(&self, number: usize, argument: &str) -> Result<(), String> {
        match self.regex.is_match(argument) {
            true => Ok(()),
            false => Err(format!(
                "argument {number} does not match the allowed pattern {}",
                self.text
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_command_line_is_filled() {
        for (declared, given, filled) in [
            (&[] as &[_], &[] as &[_], Ok(&[] as &[_])),
            (&[], &["x"], Err("the number of arguments is not 0: got 1")),
            (&["-v"], &[], Ok(&["-v"])),
            (
                &["-", "-resize", "{[0-9]{1,4}x[0-9]{1,4}}", "png:-"],
                &["20x30"],
                Ok(&["-", "-resize", "20x30", "png:-"]),
            ),
            (
                &["{[0-9]{1,4}x[0-9]{1,4}}"],
                &["20x30\n"],
                Err("argument 1 does not match the allowed pattern"),
            ),
            (
                &["{[a-z]+|b}"],
                &["-write"],
                Err("argument 1 does not match the allowed pattern [a-z]+|b"),
            ),
            (&["--lang={[a-z]{3}}"], &["deu"], Ok(&["--lang=deu"])),
            (
                &["{.}", "{.}"],
                &["a"],
                Err("the number of arguments is not 2: got 1"),
            ),
            (
                &["{.}"],
                &["a", "b"],
                Err("the number of arguments is not 1: got 2"),
            ),
            (&["-o", "{.*}..."], &[], Ok(&["-o"])),
            (&["-o", "{.*}..."], &["a", ""], Ok(&["-o", "a", ""])),
            (
                &["{.}", "{[^-].*}..."],
                &["a", "b", "-c"],
                Err("argument 3"),
            ),
            (
                &["{.}", "{.*}..."],
                &[],
                Err("the number of arguments is not 1 or more: got 0"),
            ),
            (&["{{a}}"], &[], Ok(&["{a}"])),
            (&["a}{"], &[], Ok(&["a}{"])),
        ] {
            let args = Args::parse(&texts(declared)).unwrap();
            let got = args.fill(&texts(given));
            match filled {
                Ok(filled) => assert_eq!(got, Ok(texts(filled)), "{declared:?}"),
                Err(part) => {
                    let error = got.unwrap_err();
                    assert!(error.contains(part), "{declared:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn an_invalid_command_line_is_refused_by_name() {
        for (declared, part) in [
            (&["{[}"] as &[_], "{[}"),
            (&["{a)|(b}"], "regular expression"),
            (&["{.*}...", "x"], "nothing can follow"),
            (&["a{.*}..."], "only a whole argument"),
            (&["a\0"], "NUL"),
            (&["{a{99999}{99999}}"], "regular expression"),
        ] {
            let error = Args::parse(&texts(declared)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
