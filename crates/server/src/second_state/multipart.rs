//! Several arguments in one body: `multipart/form-data`.
//!
//! A part's name ends in its position: the text after the last `_`, or the whole name. Positions that are numbers come
//! first, by number, then the others as texts; gaps are closed. Of two parts for one position the later one is used;
//! fields count as earlier than files, and both as earlier than fetched arguments. All this is as in the original. A
//! part whose name begins with `fetch` names a fetch, one that begins with `SSVM_Callback` names the target of the
//! result, and one with a file name is bytes of any type: the original accepted images and failed on others.

use super::callback_client::CallbackClient;
use super::parsed_call::ParsedCall;
use crate::callback::RequestTarget;
use crate::grants::CallerNamedTargets;
use crate::http::content_type;
use crate::json::index;
use crate::memory::SMALL;
use crate::multipart::{Part, PartLimit, boundary, broken, short, split};
use crate::parsing::Budget;
use bytes::Bytes;
use http::HeaderMap;
use iof_engine::Arg;
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Parts in the order of their positions, and the target of the result.
#[derive(Default)]
struct OrderedParts {
    arguments: Vec<(String, Part)>,
    callback: Option<Part>,
}

/// Reads a body and fetches the arguments that its parts name.
///
/// # Errors
/// `multipart` with the problem, `multipart-parts`, `callback`, `fetch`, the fault of a fetch that failed, and the
/// errors of [`split`].
pub(super) async fn read(
    client: &CallbackClient<'_>,
    may: CallerNamedTargets,
    (headers, body): (&HeaderMap, Bytes),
) -> Result<ParsedCall, Fault> {
    let app = client.app;
    let boundary = boundary(content_type(headers))?;
    let most = PartLimit {
        number: app.settings.multipart_parts,
        setting: "server.multipart_parts",
    };
    let parse = move |budget: &mut Budget, body: Bytes| {
        let parts = split(boundary, body, most, budget)?;
        for part in parts.iter().filter(|part| !part.is_file) {
            part.utf8_only()?;
        }
        Ok(arrange(parts))
    };
    let mut parsed = ParsedCall {
        args: vec![],
        fetch: None,
        callback: None,
        shares: vec![],
    };
    let arranged = match body.len() <= SMALL {
        true => parse(&mut Budget::default(), body)?,
        false => {
            let parse = move |budget: &mut Budget| parse(budget, body);
            let (arranged, share) = app.bodies.parse(client.context.deadline, parse).await?;
            parsed.shares.push(share);
            arranged
        }
    };
    if let Some(part) = arranged.callback {
        may.call_back()?;
        parsed.callback = Some(RequestTarget::callback(text(&part)?)?);
    }
    let mut fetched_bytes = 0;
    for (_, part) in arranged.arguments {
        if !is_fetch(&part) {
            parsed.args.push(match part.is_file {
                true => Arg::Bytes(part.body),
                false => Arg::Text(part.body),
            });
            continue;
        }
        may.fetch()?;
        let target = RequestTarget::fetch(text(&part)?)?;
        let is_object = target.is_object;
        let fetched = Box::pin(client.fetch(target)).await?;
        fetched_bytes += fetched.len() as u64;
        let limit = app.settings.request_body;
        if fetched_bytes > limit.as_u64() {
            return Err(Fault::new(
                FaultKind::RequestBody,
                format!("What the parts fetch is larger than server.request_body = {limit}."),
            ));
        }
        parsed.shares.push(app.bodies.share(fetched.len())?);
        parsed.args.push(match is_object {
            true => fetched.into_quoted(),
            false => fetched.into_arg(),
        });
    }
    Ok(parsed)
}

/// Sorts parts by their positions.
fn arrange(parts: Vec<Part>) -> OrderedParts {
    // For each name there is one field and one file, in the position of the first and with the value of the last.
    let mut named: Vec<(String, Part)> = vec![];
    let mut known = HashMap::new();
    for part in parts {
        // The original gave this name to a part without one.
        let name = part.name.clone().unwrap_or_else(|| "null".to_owned());
        match known.entry((part.is_file, name.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert(named.len());
                named.push((name, part));
            }
            Entry::Occupied(at) => {
                if let Some((_, earlier)) = named.get_mut(*at.get()) {
                    *earlier = part;
                }
            }
        }
    }
    named.sort_by_key(|(name, part)| {
        let arrival = u8::from(part.is_file) + 2 * u8::from(is_fetch(part));
        (arrival, index(name).map_or((true, 0), |at| (false, at)))
    });
    let mut arranged = OrderedParts::default();
    let mut places = HashMap::new();
    for (name, part) in named {
        if !part.is_file && is_callback(&name) {
            // Of two such parts, the first is used.
            arranged.callback.get_or_insert(part);
            continue;
        }
        let place = name.rsplit_once('_').map_or(&*name, |(_, place)| place);
        places.insert(place.to_owned(), part);
    }
    arranged.arguments = places.into_iter().collect();
    arranged.arguments.sort_by(|(a, _), (b, _)| {
        let number = |place: &str| index(place).map_or((true, 0), |at| (false, at));
        let by_number = number(a).cmp(&number(b));
        // JavaScript compares units of UTF-16.
        by_number.then_with(|| a.encode_utf16().cmp(b.encode_utf16()))
    });
    arranged
}

fn is_fetch(part: &Part) -> bool {
    let name = part.name.as_deref().unwrap_or_default();
    !part.is_file && name.starts_with("fetch")
}

fn is_callback(name: &str) -> bool {
    let start = name.get(..13).unwrap_or_default();
    start.eq_ignore_ascii_case("ssvm_callback") || start.eq_ignore_ascii_case("ssvm-callback")
}

fn text(part: &Part) -> Result<&str, Fault> {
    std::str::from_utf8(&part.body).map_err(|_| {
        let name = part.name.as_deref().unwrap_or_default();
        broken(&format!("the part `{}` is not a text", short(name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(parts: &[(&str, &str)]) -> Vec<String> {
        let mut body = String::new();
        for (head, value) in parts {
            body += &format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
        }
        body += "--b--\r\n";
        let most = PartLimit {
            number: 100,
            setting: "",
        };
        let parts = split("b".into(), body.into(), most, &mut Budget::default()).unwrap();
        let arguments = arrange(parts).arguments.into_iter();
        let text = |(_, part): (String, Part)| String::from_utf8(part.body.to_vec()).unwrap();
        arguments.map(text).collect()
    }

    #[test]
    fn a_name_ends_in_its_place() {
        for (parts, arguments) in [
            (
                &[("name=a_2", "two"), ("name=b_1", "one")][..],
                &["one", "two"][..],
            ),
            // Gaps are closed, and numeric positions are sorted by number.
            (
                &[("name=x_10", "ten"), ("name=x_9", "nine")],
                &["nine", "ten"],
            ),
            (
                &[
                    ("name=input_b", "b"),
                    ("name=input_a", "a"),
                    ("name=z_0", "0"),
                ],
                &["0", "a", "b"],
            ),
            (&[("name=x_1", "one"), ("name=y_1", "other")], &["other"]),
            (
                &[("name=x_1", "a"), ("name=y_1", "b"), ("name=x_1", "c")],
                &["b"],
            ),
            (
                &[("name=f_1; filename=f", "file"), ("name=x_1", "field")],
                &["file"],
            ),
            (
                &[("name=x_01", "01"), ("name=x_1", "1"), ("name=y", "y")],
                &["1", "01", "y"],
            ),
            (&[("name=alone", "a")], &["a"]),
            (&[], &[]),
        ] {
            assert_eq!(arranged(parts), arguments, "{parts:?}");
        }
        assert!(is_callback("SSVM_Callback_1") && is_callback("ssvm_callback"));
        assert!(!is_callback("callback") && !is_callback("ssvm_call"));
    }
}
