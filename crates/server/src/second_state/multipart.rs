//! Several arguments in one body: `multipart/form-data`.
//!
//! A part's name ends in its place, `input_2`; parts without one take the places that are free, in order. A place that
//! no part takes is an empty text, as in the original. A part whose name begins with `fetch` says what to fetch, one
//! that begins with `SSVM_Callback` where the result goes, and one with a file's name is bytes, of whatever type: the
//! original took images and broke on the rest.

use super::content_type;
use super::outward;
use super::run::{Asked, Caller};
use super::target::Target;
use crate::app::App;
use bytes::Bytes;
use http::HeaderMap;
use iof_commands::CallContext;
use iof_engine::{Arg, Fault};
use multer::Multipart;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

/// The longest head of a part: its name, its type.
const HEAD: usize = 16 << 10;

/// One part.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) is_file: bool,
    pub(crate) body: Bytes,
}

/// Reads a body and fetches what its parts ask for.
///
/// # Errors
/// `content-type`, `multipart` with what is wrong in it, `multipart-parts`, `callback`, `fetch`, and what keeps a part
/// from being fetched.
pub(super) async fn read<'a>(
    app: &'a Arc<App>,
    context: &CallContext,
    caller: Caller,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Asked<'a>, Fault> {
    let parts = parts(headers, body, app.second_state.multipart_parts).await?;
    let mut asked = Asked {
        args: vec![],
        fetch: None,
        callback: None,
        shares: vec![],
    };
    let mut fetched_bytes = 0;
    let (mut placed, mut unplaced) = (BTreeMap::new(), vec![]);
    for part in parts {
        if is_callback(&part.name) {
            asked.callback = Some(Target::callback(text(&part)?)?);
            continue;
        }
        match place(&part.name, app.second_state.multipart_parts)? {
            None => unplaced.push(part),
            Some(at) => {
                if let Some(earlier) = placed.insert(at, part) {
                    return Err(broken(format!(
                        "two parts are for place {at}, one of them is `{}`",
                        shorten(&earlier.name)
                    )));
                }
            }
        }
    }
    let mut free = 1;
    for part in unplaced {
        while placed.contains_key(&free) {
            free += 1;
        }
        placed.insert(free, part);
    }
    let last = placed.last_key_value().map_or(0, |(at, _)| *at);
    for at in 1..=last {
        let arg = match placed.remove(&at) {
            None => Arg::Text(Bytes::new()),
            Some(part) if part.is_file => Arg::Bytes(part.body),
            Some(part) if part.name.starts_with("fetch") => {
                let target = Target::fetch(text(&part)?)?;
                let is_object = target.is_object;
                let fetched = Box::pin(outward::fetch(app, context, caller, target)).await?;
                fetched_bytes += fetched.len() as u64;
                let limit = app.settings.request_body;
                if fetched_bytes > limit.as_u64() {
                    return Err(Fault::limit(
                        "request-body",
                        413,
                        format!(
                            "What the parts fetch is larger than server.request_body = {limit}."
                        ),
                    ));
                }
                asked.shares.push(app.bodies.share(fetched.len())?);
                if is_object {
                    fetched.into_quoted()
                } else {
                    fetched.into_arg()
                }
            }
            Some(part) => Arg::Text(part.body),
        };
        asked.args.push(arg);
    }
    Ok(asked)
}

/// The parts of a body, at most `most`.
///
/// # Errors
/// `multipart` with what is wrong in it, `multipart-parts`.
pub(crate) async fn parts(headers: &HeaderMap, body: Bytes, most: u32) -> Result<Vec<Part>, Fault> {
    let boundary = multer::parse_boundary(content_type(headers));
    let boundary = boundary.ok().filter(|boundary| !boundary.is_empty());
    let boundary = boundary
        .ok_or_else(|| broken("Content-Type must be multipart/form-data with a boundary".into()))?;
    split(boundary, body, most).await
}

async fn split(boundary: String, body: Bytes, most: u32) -> Result<Vec<Part>, Fault> {
    let whole = futures::stream::iter([Ok::<_, Infallible>(body)]);
    let mut reader = Multipart::new(whole, boundary);
    let mut parts = vec![];
    while let Some(field) = reader.next_field().await.map_err(unreadable)? {
        if parts.len() as u64 >= u64::from(most) {
            return Err(Fault::limit(
                "multipart-parts",
                413,
                format!("The body has more parts than second_state.multipart_parts = {most}."),
            ));
        }
        let head: usize = field
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if head > HEAD {
            return Err(broken(format!(
                "the head of a part is longer than {HEAD} bytes"
            )));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let is_file = field.file_name().is_some();
        let body = field.bytes().await.map_err(unreadable)?;
        parts.push(Part {
            name,
            is_file,
            body,
        });
    }
    Ok(parts)
}

fn is_callback(name: &str) -> bool {
    let start = name.get(..13).unwrap_or_default();
    start.eq_ignore_ascii_case("ssvm_callback") || start.eq_ignore_ascii_case("ssvm-callback")
}

/// The place that a name ends in, from 1.
fn place(name: &str, most: u32) -> Result<Option<u32>, Fault> {
    let Some((_, digits)) = name.rsplit_once('_') else {
        return Ok(None);
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match digits.parse() {
        Ok(at) if (1..=most).contains(&at) => Ok(Some(at)),
        _ => Err(broken(format!(
            "the part `{}` is for a place that is not from 1 to second_state.multipart_parts = {most}",
            shorten(name)
        ))),
    }
}

fn text(part: &Part) -> Result<&str, Fault> {
    std::str::from_utf8(&part.body)
        .map_err(|_| broken(format!("the part `{}` is no text", shorten(&part.name))))
}

fn unreadable(error: multer::Error) -> Fault {
    broken(error.to_string())
}

fn broken(problem: String) -> Fault {
    let problem = problem.trim_end_matches('.');
    Fault::client(
        "multipart",
        format!("The body is no multipart/form-data that makes sense: {problem}."),
    )
}

fn shorten(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_in_its_place() {
        for (name, at) in [
            ("input_1", Some(1)),
            ("a_b_07", Some(7)),
            ("_100", Some(100)),
            ("input", None),
            ("input_", None),
            ("input_x", None),
            ("2", None),
        ] {
            assert_eq!(place(name, 100).unwrap(), at, "{name}");
        }
        for name in ["input_0", "input_101", "input_99999999999999999999"] {
            assert_eq!(place(name, 100).unwrap_err().code, "multipart", "{name}");
        }
        assert!(is_callback("SSVM_Callback_1") && is_callback("ssvm_callback"));
        assert!(!is_callback("callback") && !is_callback("ssvm_call"));
    }
}
