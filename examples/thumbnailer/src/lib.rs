//! Makes a small picture of a large one, while it arrives.

mod answer;
mod body;
mod jpeg;
mod png;
mod problem;
mod shrink;

use answer::Answer;
use body::Body;
use problem::Problem;
use std::io::BufRead;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

struct Thumbnailer;

wasip2::http::proxy::export!(Thumbnailer);

/// The longest side of a small picture, unless the request says another.
const SIZE: u32 = 256;
/// The longest side that a request may say.
const LARGEST: u32 = 1024;

impl Guest for Thumbnailer {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let mut answer = Answer::new(out);
        if let Err(problem) = thumbnail(&request, &mut answer) {
            answer.fail(&problem);
        }
    }
}

fn thumbnail(request: &IncomingRequest, answer: &mut Answer) -> Result<(), Problem> {
    if !matches!(request.method(), Method::Post) {
        return Err(Problem::Method);
    }
    let target = request.path_with_query().unwrap_or_default();
    let size = size(&target)?;
    let mut body = Body::of(request)?;
    // The first bytes tell the format.
    match body.fill_buf()? {
        [0x89, ..] => png::shrink(body, size, answer),
        [0xff, ..] => jpeg::shrink(body, size, answer),
        _ => Err(Problem::Format),
    }
}

/// The side that a request asks for.
fn size(target: &str) -> Result<u32, Problem> {
    let (_, query) = target.split_once('?').unwrap_or((target, ""));
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("size="));
    match asked.map_or(Ok(SIZE), str::parse) {
        Ok(size) if (1..=LARGEST).contains(&size) => Ok(size),
        _ => Err(Problem::Size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_in_range() {
        assert_eq!(size("/").unwrap(), 256);
        assert_eq!(size("/?a=b&size=64").unwrap(), 64);
        for wrong in [
            "/?size=0",
            "/?size=1025",
            "/?size=-1",
            "/?size=",
            "/?size=9999999999",
        ] {
            assert!(matches!(size(wrong), Err(Problem::Size)), "{wrong}");
        }
    }
}
