//! Requests of components to the host: `iof:command`, `wasi:keyvalue`, and `wasi:http` of WASI 0.2.

mod bindings {
    wit_bindgen::generate!({
        inline: "package test:scenarios;

            world imports {
                import iof:command/run@0.1.0;
                import wasi:keyvalue/store@0.2.0-draft2;
            }",
        path: ["../../../../crates/engine/wit/command.wit", "wit/keyvalue.wit"],
        generate_all,
    });
}

use bindings::iof::command::run;
use bindings::wasi::keyvalue::store::{self, Bucket};
use scenarios::{Command, Host, Output, Request, Response};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// The imports of a component.
pub struct Component;

impl Host for Component {
    fn command(&self, command: &Command) -> Output {
        let output = run::run(&run::Request {
            name: command.name.clone(),
            arguments: command.args.clone(),
            environment: command.env.clone().into_iter().collect(),
            stdin: command.stdin.clone().into_bytes(),
            timeout: command.timeout,
        });
        Output {
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    async fn fetch(&self, request: &Request) -> Result<Response, String> {
        let sent = outgoing(request).ok_or("unsendable")?;
        let body = sent.body().expect("its first body");
        let response = outgoing_handler::handle(sent, None).map_err(|code| format!("{code:?}"))?;
        // A request that was refused has a body that ends early.
        let _ = write_body(body, request.body.as_bytes());
        response.subscribe().block();
        let response = response
            .get()
            .expect("it is there")
            .expect("it is taken once");
        response.map_err(|code| format!("{code:?}")).and_then(whole)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        bucket()?.get(key).map_err(words)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        bucket()?.set(key, value).map_err(words)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        bucket()?.delete(key).map_err(words)
    }

    fn keys(&self) -> Result<Vec<String>, String> {
        let (bucket, mut keys, mut cursor) = (bucket()?, vec![], None);
        loop {
            let page = bucket.list_keys(cursor.as_deref()).map_err(words)?;
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn own(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let answer = match (name, arguments) {
            ("bucket", [name]) => store::open(name).map(|_| "opened".to_owned()),
            ("exists", [key]) => {
                let exists = store::open("").and_then(|bucket| bucket.exists(key));
                exists.map(|exists| exists.to_string())
            }
            ("page", [after]) => {
                let page = store::open("").and_then(|bucket| bucket.list_keys(Some(after)));
                page.map(|page| format!("{:?} {:?}", page.keys, page.cursor))
            }
            _ => return None,
        };
        Some(answer.unwrap_or_else(words))
    }
}

fn bucket() -> Result<Bucket, String> {
    store::open("default").map_err(words)
}

fn words(error: store::Error) -> String {
    format!("{error:?}")
}

/// A request as `wasi:http` takes it apart; `None` for a URL without these parts, or with one that the host refuses.
fn outgoing(request: &Request) -> Option<OutgoingRequest> {
    let (scheme, rest) = request.url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = match path.split('#').next() {
        None | Some("") => "/".to_owned(),
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_owned(),
    };
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers.append(name, value.as_bytes()).ok()?;
    }
    let sent = OutgoingRequest::new(headers);
    let method = match request.method.as_deref().unwrap_or("GET") {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "HEAD" => Method::Head,
        other => Method::Other(other.to_owned()),
    };
    sent.set_method(&method).ok()?;
    let scheme = match &*scheme.to_ascii_lowercase() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    sent.set_scheme(Some(&scheme)).ok()?;
    sent.set_authority(Some(authority)).ok()?;
    sent.set_path_with_query(Some(&path)).ok()?;
    Some(sent)
}

/// The whole of a response.
fn whole(response: IncomingResponse) -> Result<Response, String> {
    let location = response.headers().get("location");
    let location = location
        .first()
        .map(|value| String::from_utf8_lossy(value).into_owned());
    let body = response.consume().expect("its first body");
    Ok(Response {
        status: response.status(),
        location,
        body: read_body(body).map_err(|()| "the body was cut".to_owned())?,
    })
}

/// All of a body.
///
/// # Errors
/// Nothing more is known of a body that was cut.
pub fn read_body(body: IncomingBody) -> Result<Vec<u8>, ()> {
    let (stream, mut whole) = (body.stream()?, vec![]);
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(read) => whole.extend(read),
            Err(StreamError::Closed) => return Ok(whole),
            Err(StreamError::LastOperationFailed(_)) => return Err(()),
        }
    }
}

/// Writes all of a body, and ends it.
///
/// # Errors
/// The error of the stream, if nobody reads it.
pub fn write_body(body: OutgoingBody, bytes: &[u8]) -> Result<(), StreamError> {
    let stream = body.write().expect("its first stream");
    for piece in bytes.chunks(4096) {
        stream.blocking_write_and_flush(piece)?;
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
    Ok(())
}
