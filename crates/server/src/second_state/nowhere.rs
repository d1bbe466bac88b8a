//! The page of Express for a path that does not exist, and for a method that a path does not support: Express does not
//! send 405.

use crate::reply;
use axum::body::Body;
use http::{Method, Request, Response, StatusCode};

pub(super) async fn answer(request: Request<Body>) -> Response<Body> {
    let path: String = request.uri().path().chars().take(200).collect();
    page(request.method(), &path)
}

fn page(method: &Method, path: &str) -> Response<Body> {
    let path: String = path.chars().flat_map(escape).collect();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n\
         <pre>Cannot {method} {path}</pre>\n</body>\n</html>\n",
    );
    let mut response = reply::ok(StatusCode::NOT_FOUND, reply::HTML, page);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let text: String = match c {
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '&' => "&amp;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        c => c.into(),
    };
    text.chars().collect::<Vec<_>>().into_iter()
}
