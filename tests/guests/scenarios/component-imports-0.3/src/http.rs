//! Requests to others.

use futures_util::future::join;
use scenarios::{Request as Asked, Response as Answer};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

pub async fn fetch(asked: &Asked) -> Result<Answer, String> {
    let (mut body, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    let request = outgoing(asked, |headers| {
        Request::new(headers, Some(contents), trailers, None).0
    });
    let request = request.ok_or("unsendable")?;
    let bytes = asked.body.clone().into_bytes();
    let write = async move {
        // A request that was refused has a body that ends early.
        body.write_all(bytes).await;
        drop(body);
        end.write(Ok(None)).await.ok();
    };
    let words = |code: ErrorCode| format!("{code:?}");
    let (response, ()) = join(client::send(request), write).await;
    let response = response.map_err(words)?;
    let location = response.get_headers().get("location");
    let location = location.first();
    let location = location.map(|value| String::from_utf8_lossy(value).into_owned());
    let status = response.get_status_code();
    let (_, read) = wit_future::new(|| Ok(()));
    let (body, end) = Response::consume_body(response, read);
    let body = body.collect().await;
    end.await.map_err(|_| "the body was cut".to_owned())?;
    Ok(Answer {
        status,
        location,
        body,
    })
}

/// A request as `wasi:http` takes it apart; `None` for a URL without these parts, or with one that the host refuses.
fn outgoing(asked: &Asked, new: impl FnOnce(Fields) -> Request) -> Option<Request> {
    let (scheme, rest) = asked.url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = match path.split('#').next() {
        None | Some("") => "/".to_owned(),
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_owned(),
    };
    let headers = Fields::new();
    for (name, value) in &asked.headers {
        headers.append(name, value.as_bytes()).ok()?;
    }
    let request = new(headers);
    let method = match asked.method.as_deref().unwrap_or("GET") {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "HEAD" => Method::Head,
        other => Method::Other(other.to_owned()),
    };
    request.set_method(&method).ok()?;
    let scheme = match &*scheme.to_ascii_lowercase() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).ok()?;
    request.set_authority(Some(authority)).ok()?;
    request.set_path_with_query(Some(&path)).ok()?;
    Some(request)
}
