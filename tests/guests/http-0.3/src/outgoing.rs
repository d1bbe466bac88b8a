//! Requests to others.

use super::{Body, answer, body_of, pass, unfinished, whole};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::rt::async_support::{FutureReader, StreamReader};
use wasip3::{spawn_local, wit_future, wit_stream};

/// Sends a request to the URL in `x-target`, without a body.
pub async fn send(request: &Request, first_byte: Option<u64>) -> Result<Response, ErrorCode> {
    let options = RequestOptions::new();
    let _ = options.set_first_byte_timeout(first_byte);
    let values = request.get_headers().get("x-connect-timeout");
    let milliseconds = values
        .first()
        .map(|value| String::from_utf8_lossy(value).into_owned());
    let connect = milliseconds.and_then(|text| text.parse::<u64>().ok());
    let _ = options.set_connect_timeout(connect.map(|milliseconds| milliseconds * 1_000_000));
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(end);
    client::send(prepared(request, None, trailers, Some(options))).await
}

pub fn prepared(
    request: &Request,
    contents: Option<StreamReader<u8>>,
    trailers: FutureReader<super::End>,
    options: Option<RequestOptions>,
) -> Request {
    let header = |name: &str| {
        let values = request.get_headers().get(name);
        values
            .first()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let target = header("x-target").unwrap();
    let (scheme, rest) = target.split_once("://").unwrap();
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let headers = Fields::new();
    if let Some(own) = header("x-own") {
        headers.append("x-own", own.as_bytes()).unwrap();
    }
    let (sent, _) = Request::new(headers, contents, trailers, options);
    let method = match header("x-method").as_deref() {
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("HEAD") => Method::Head,
        Some("CONNECT") => Method::Connect,
        _ => Method::Get,
    };
    sent.set_method(&method).unwrap();
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    sent.set_scheme(Some(&scheme)).unwrap();
    sent.set_authority(Some(authority)).unwrap();
    sent.set_path_with_query(Some(path)).unwrap();
    sent
}

/// Answers with the response of another server, while it arrives.
pub async fn fetch(request: &Request, first_byte: u64) -> Response {
    let first_byte = (first_byte > 0).then_some(first_byte * 1_000_000);
    match send(request, first_byte).await {
        Err(code) => whole(200, format!("error: {code:?}")),
        Ok(response) => answer_with(response),
    }
}

/// Answers with the response of another server itself.
pub async fn forward(request: &Request) -> Result<Response, ErrorCode> {
    send(request, None).await
}

/// Asks another server, reads its body to its end or error, and answers with the response all the same.
pub async fn ignore(request: Request) -> Result<Response, ErrorCode> {
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(end);
    let sent = prepared(&request, None, trailers, None);
    let (input, _trailers) = body_of(request);
    spawn_local(async move {
        super::count(input).await;
    });
    client::send(sent).await
}

/// Sends the request that came to another server, as it came.
pub async fn pass_on(request: Request) -> Result<Response, ErrorCode> {
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some("up.test")).unwrap();
    request.set_path_with_query(Some("/echo")).unwrap();
    client::send(request).await
}

fn answer_with(response: Response) -> Response {
    let headers = Fields::new();
    let status = response.get_status_code().to_string();
    headers.append("x-status", status.as_bytes()).unwrap();
    for (name, value) in response.get_headers().copy_all() {
        if name.starts_with("x-") || name == "location" {
            let _ = headers.append(&name, &value);
        }
    }
    let (_, read) = wit_future::new(|| Ok(()));
    let (input, trailers) = Response::consume_body(response, read);
    answer(200, headers, async move |mut body| {
        // An answer is cut, as the response was.
        if pass(input, &mut body).await && trailers.await.is_ok() {
            body.end(None).await;
        }
    })
}

/// Sends its body on while it arrives, and answers with the response.
pub async fn proxy(request: Request) -> Response {
    let (stream, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(unfinished);
    let sent = prepared(&request, Some(contents), trailers, None);
    let (input, ended) = body_of(request);
    // Of numbers, as a component has no other streams with itself.
    let (mut told, passed) = wit_stream::new::<u8>();
    spawn_local(async move {
        let stream = Some(stream);
        let mut body = Body { stream, end };
        let whole_body = pass(input, &mut body).await && ended.await.is_ok();
        match whole_body {
            true => body.end(None).await,
            false => drop(body),
        }
        told.write_all(vec![u8::from(whole_body)]).await;
    });
    match client::send(sent).await {
        Ok(response) => answer_with(response),
        Err(code) => {
            let whole_body = passed.collect().await == [1];
            whole(200, format!("error: {code:?}, sent {whole_body}"))
        }
    }
}
