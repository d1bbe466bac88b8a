//! Path prefixes of rules: whole segments, however the path is written.
//!
//! The URL parser has resolved `.`, `..` and `%2e%2e` before a path gets here. It leaves encoded slashes (`..%2fkeys`),
//! double encoding (`%252e%252e`), backslashes, empty segments (`//`) and path parameters (`..;x`, which some servers
//! cut off), and servers behind it may still decode these. Refusing every such path would break honest ones
//! (`/projects/group%2Fname`). So the prefix has to hold at *each* level of decoding, with dot segments resolved at
//! each level: a path that could be read as leaving the prefix does not match, any other does.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Returns whether `path` lies under the segments of `prefix` (from [`segments`] of a rule's path).
pub(crate) fn is_under(path: &str, prefix: &[String]) -> bool {
    if prefix.is_empty() {
        return true;
    }
    // As written: `/v3//mail` is not `/v3/mail`, even if a server may treat it so.
    let mut written = path
        .strip_prefix('/')
        .unwrap_or(path)
        .split('/')
        .map(decode);
    if !prefix
        .iter()
        .all(|segment| written.next().as_deref() == Some(segment.as_bytes()))
    {
        return false;
    }
    // As any server may decode it. Each level is shorter than the one before, so this ends.
    let mut level: Cow<'_, [u8]> = Cow::Borrowed(path.as_bytes());
    loop {
        if !resolves_under(&level, prefix) {
            return false;
        }
        match percent_encoding::percent_decode(&level).into() {
            Cow::Borrowed(_) => return true,
            Cow::Owned(decoded) => level = Cow::Owned(decoded),
        }
    }
}

/// The segments of a rule's path; the error states the problem.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, String> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    inner
        .split('/')
        .map(|segment| {
            let decoded = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| format!("the path segment {segment:?} is not UTF-8"))?;
            match &*decoded {
                "" => Err("the path has an empty segment: got //".to_owned()),
                "." | ".." => Err(format!(
                    "the path has a dot segment: got {segment}. Write the path that it leads to"
                )),
                s if s.contains(['/', '\\', '%', ';']) || s.chars().any(char::is_control) => {
                    Err(format!(
                        "the path segment {segment:?} contains a character that servers read differently"
                    ))
                }
                s => Ok(s.to_owned()),
            }
        })
        .collect()
}

fn decode(segment: &str) -> Cow<'_, [u8]> {
    percent_decode_str(segment).into()
}

fn resolves_under(path: &[u8], prefix: &[String]) -> bool {
    let mut resolved: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&b| b == b'/' || b == b'\\') {
        let name = segment.split(|&b| b == b';').next().unwrap_or_default();
        match name {
            b"" | b"." => {}
            b".." => {
                resolved.pop();
                // A path that left the prefix once does not match, whatever it enters afterwards.
                if resolved.len() < prefix.len() {
                    return false;
                }
            }
            _ => resolved.push(segment),
        }
    }
    prefix.len() <= resolved.len()
        && prefix.iter().zip(resolved).all(|(want, have)| {
            want.as_bytes() == have
                || want.as_bytes() == &*Cow::from(percent_encoding::percent_decode(have))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(path: &str) -> bool {
        is_under(path, &segments("/v3/mail").unwrap())
    }

    #[test]
    fn whole_segments_match() {
        for path in [
            "/v3/mail",
            "/v3/mail/",
            "/v3/mail/send",
            "/v3/mail/a%2Fb",
            "/v3/m%61il/x",
            "/v3/mail/..x",
            "/v3/mail//x",
            "/v3/mail/100%25",
        ] {
            assert!(under(path), "{path}");
        }
        for path in [
            "/",
            "",
            "/v3",
            "/v3/",
            "/v3/mailbox",
            "/v3/mail.x",
            "/V3/mail",
            "/v3//mail",
            "//v3/mail",
            "/x/v3/mail",
            "/v3/mail;x=1/y",
            "/v3/mail%20",
        ] {
            assert!(!under(path), "{path}");
        }
    }

    #[test]
    fn no_spelling_leaves_the_prefix() {
        for path in [
            "/v3/mail/../keys",
            "/v3/mail/%2e%2e/keys",
            "/v3/mail/..%2fkeys",
            "/v3/mail/%2E%2E%2Fkeys",
            "/v3/mail/%252e%252e/keys",
            "/v3/mail/%25252e%25252e%25252fkeys",
            "/v3/mail/..%5ckeys",
            "/v3/mail%2f..%2fkeys",
            "/v3/mail/..;/keys",
            "/v3/mail/..;x=1/keys",
            "/v3/mail/%2f../keys",
            "/v3/mail/a%2f..%2f..%2fkeys",
            "/v3/mail/x/..%2f..%2f..%2fv3%2fmail",
            "/v3/mail/.%2e/keys",
            r"/v3/mail/..\keys",
            "/v3%2fmail",
            "/v3/mail/%2e%2e%3bx/keys",
        ] {
            assert!(!under(path), "{path}");
        }
    }

    #[test]
    fn the_empty_prefix_is_every_path() {
        assert!(is_under("/%2e%2e/anything", &segments("/").unwrap()));
        assert_eq!(segments("").unwrap(), segments("/").unwrap());
    }
}
