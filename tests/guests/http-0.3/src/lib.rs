//! A handler of `wasi:http` 0.3 whose behaviour is chosen by the path of the request. The paths are those of `http`, the
//! handler of 0.2, and some for what only 0.3 has.

mod outgoing;
mod programs;
mod world;

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use wasip3::wit_bindgen::rt::async_support::{
    FutureReader, FutureWriter, StreamReader, StreamWriter,
};
use wasip3::{spawn_local, wit_future, wit_stream};

struct Handler;

wasip3::http::service::export!(Handler);

type End = Result<Option<Trailers>, ErrorCode>;

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = query.parse::<u64>().unwrap_or_default();
        Ok(match path {
            "/" | "/hello" => whole(200, "hello"),
            "/request" => whole(200, describe(&request)),
            "/environment" => programs::environment(&request),
            "/half-prints" => {
                programs::half_prints().await;
                whole(200, "printed")
            }
            checks if checks.starts_with("/checks/") => {
                let name = checks["/checks/".len()..].to_owned();
                whole(200, programs::check(&name, &request).await)
            }
            "/echo" => {
                let (input, trailers) = body_of(request);
                answer(200, Fields::new(), async move |mut body| {
                    let read = pass(input, &mut body).await;
                    let trailers = trailers.await;
                    if read {
                        body.end.write(trailers).await.ok();
                    }
                })
            }
            // The body goes back as it comes, past the guest.
            "/direct" => {
                let (input, trailers) = body_of(request);
                Response::new(Fields::new(), Some(input), trailers).0
            }
            "/count" => {
                let (input, trailers) = body_of(request);
                let count = count(input).await;
                whole(
                    200,
                    match trailers.await {
                        Ok(_) => count.to_string(),
                        Err(code) => format!("{code:?} after {count}"),
                    },
                )
            }
            "/early" => {
                // Answers before it reads.
                let (input, _trailers) = body_of(request);
                answer(200, Fields::new(), async move |mut body| {
                    body.write("early ").await;
                    let count = count(input).await;
                    body.write(count.to_string()).await;
                    body.end(None).await;
                })
            }
            // Whatever its client's body comes to.
            "/heedless" => {
                let (input, _trailers) = body_of(request);
                count(input).await;
                whole(200, "heedless")
            }
            "/ignore" => outgoing::ignore(request).await?,
            "/unread" => whole(413, "no, thanks"),
            "/big" => answer(200, Fields::new(), async move |mut body| {
                for _ in 0..number * 16 {
                    if !body.write([b'x'; 1 << 16]).await {
                        return;
                    }
                }
                body.end(None).await;
            }),
            "/events" => {
                let headers = Fields::new();
                let _ = headers.append("content-type", b"text/event-stream");
                answer(200, headers, async move |mut body| {
                    for event in 0..number {
                        body.write(format!("data: {event}\n\n")).await;
                        wait_for(100_000_000).await;
                    }
                    body.end(None).await;
                })
            }
            "/trailers" => {
                let headers = Fields::new();
                let _ = headers.append("trailer", b"x-sum");
                answer(200, headers, async move |mut body| {
                    body.write("body").await;
                    let trailers = Fields::new();
                    trailers.append("x-sum", b"42").unwrap();
                    body.end(Some(trailers)).await;
                })
            }
            "/request-trailers" => {
                let (input, trailers) = body_of(request);
                let read = count(input).await;
                let trailers = trailers.await.unwrap();
                let trailers = trailers.map(|fields| fields.copy_all()).unwrap_or_default();
                let text = trailers
                    .iter()
                    .map(|(name, value)| format!(" {name}={}", String::from_utf8_lossy(value)));
                whole(200, format!("{read}{}", text.collect::<String>()))
            }
            "/status" => {
                let (end, trailers) = wit_future::new(|| Ok(None));
                drop(end);
                let (probe, _) = Response::new(Fields::new(), None, trailers);
                if probe.set_status_code(number as u16).is_err() {
                    return Err(ErrorCode::HttpProtocolError);
                }
                whole(number as u16, "text")
            }
            "/bodiless" => {
                let (end, trailers) = wit_future::new(|| Ok(None));
                drop(end);
                Response::new(Fields::new(), None, trailers).0
            }
            "/headers" => {
                let headers = Fields::new();
                for (name, value) in [
                    ("set-cookie", "a=b"),
                    ("server", "mine"),
                    ("content-security-policy", "default-src *"),
                    ("x-own", "1"),
                    ("access-control-allow-origin", "*"),
                    ("iof-call", "forged"),
                    ("content-type", "text/plain"),
                ] {
                    headers.append(name, value.as_bytes()).unwrap();
                }
                let forbidden = headers.append("connection", b"close").is_err()
                    && headers.append("transfer-encoding", b"chunked").is_err();
                with_headers(headers, forbidden.to_string())
            }
            "/many-headers" => {
                let headers = Fields::new();
                for i in 0..number {
                    headers.append(&format!("x-{i}"), b"1").unwrap();
                }
                with_headers(headers, String::new())
            }
            "/trap" => unreachable!("asked to"),
            "/trap-after" => answer(200, Fields::new(), async |mut body| {
                body.write("part").await;
                wait_for(50_000_000).await;
                unreachable!("asked to");
            }),
            "/dropped" => answer(200, Fields::new(), async |mut body| {
                body.write("part").await;
            }),
            "/forgotten" => answer(200, Fields::new(), async |mut body| {
                body.write("part").await;
                std::mem::forget(body);
            }),
            "/short" | "/exact" => {
                let headers = Fields::new();
                let length: &[u8] = match path {
                    "/short" => b"9",
                    _ => b"4",
                };
                headers.append("content-length", length).unwrap();
                with_headers(headers, "part")
            }
            "/error" => return Err(ErrorCode::InternalError(Some("mine".to_owned()))),
            "/nothing" => return Err(ErrorCode::HttpResponseIncomplete),
            "/sleep" => {
                wait_for(number * 1_000_000).await;
                whole(200, "slept")
            }
            "/pause" => answer(200, Fields::new(), async move |mut body| {
                body.write("one").await;
                wait_for(number * 1_000_000).await;
                body.write("two").await;
                body.end(None).await;
            }),
            "/after" => {
                // Goes on when its answer is complete.
                spawn_local(async move {
                    wait_for(number * 1_000_000).await;
                    world::print_error("and after\n").await;
                });
                whole(200, "done")
            }
            // Answers when its response was sent, by what it prints.
            "/sent" => {
                let (mut body, contents) = wit_stream::new();
                let (end, trailers) = wit_future::new(|| Ok(None));
                let (response, sent) = Response::new(Fields::new(), Some(contents), trailers);
                spawn_local(async move {
                    body.write_all(b"sent".to_vec()).await;
                    drop((body, end));
                    world::print_error(&format!("{:?}\n", sent.await)).await;
                });
                response
            }
            "/spin" => loop {
                std::hint::black_box(0);
            },
            "/yield" => loop {
                wasip3::wit_bindgen::yield_async().await;
            },
            "/eat" => {
                let mut all = vec![];
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                }
            }
            "/print" => {
                world::print("to stdout\n").await;
                world::print_error("to stderr\n").await;
                whole(200, "printed")
            }
            "/print-much" => {
                world::print(&"x".repeat(number as usize)).await;
                whole(200, "printed")
            }
            "/file" => whole(200, format!("{:?}", world::file("/a", "kept").await)),
            "/streams" => whole(200, world::streams(number)),
            "/futures" => whole(200, world::futures(number)),
            "/printed-streams" => whole(200, world::printed_streams(number)),
            "/tasks" => whole(200, world::tasks(number).await),
            "/fields" => whole(200, world::fields(number)),
            "/fetch" => outgoing::fetch(&request, number).await,
            "/forward" => outgoing::forward(&request).await?,
            "/pass-on" => outgoing::pass_on(request).await?,
            "/proxy" => outgoing::proxy(request).await,
            "/fetches" => {
                let mut answers = vec![];
                for _ in 0..number {
                    answers.push(match outgoing::send(&request, None).await {
                        Ok(_) => "ok".to_owned(),
                        Err(code) => format!("{code:?}"),
                    });
                }
                whole(200, answers.join(","))
            }
            other => whole(404, format!("nothing at {other}")),
        })
    }
}

/// The body of a response while it is written. One that is dropped was not finished.
struct Body {
    stream: Option<StreamWriter<u8>>,
    end: FutureWriter<End>,
}

impl Body {
    /// Returns whether all of it was taken.
    async fn write(&mut self, bytes: impl Into<Vec<u8>>) -> bool {
        let bytes = bytes.into();
        match &mut self.stream {
            Some(stream) => stream.write_all(bytes).await.is_empty(),
            None => false,
        }
    }

    async fn end(mut self, trailers: Option<Trailers>) {
        self.stream = None;
        let _ = self.end.write(Ok(trailers)).await;
    }
}

fn unfinished() -> End {
    Err(ErrorCode::InternalError(Some("unfinished".to_owned())))
}

/// A response whose body `write` writes, while it is sent.
fn answer(status: u16, headers: Fields, write: impl AsyncFnOnce(Body) + 'static) -> Response {
    let (stream, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(unfinished);
    let (response, _) = Response::new(headers, Some(contents), trailers);
    response.set_status_code(status).unwrap();
    spawn_local(async move {
        let stream = Some(stream);
        write(Body { stream, end }).await;
    });
    response
}

fn whole(status: u16, text: impl Into<String>) -> Response {
    let text = text.into();
    answer(status, Fields::new(), async move |mut body| {
        body.write(text).await;
        body.end(None).await;
    })
}

fn with_headers(headers: Fields, text: impl Into<String>) -> Response {
    let text = text.into();
    answer(200, headers, async move |mut body| {
        body.write(text).await;
        body.end(None).await;
    })
}

fn body_of(request: Request) -> (StreamReader<u8>, FutureReader<End>) {
    let (_, read) = wit_future::new(|| Ok(()));
    Request::consume_body(request, read)
}

/// The length of a stream, read to its end.
async fn count(mut stream: StreamReader<u8>) -> u64 {
    let mut count = 0;
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        let (result, read) = stream.read(buffer).await;
        count += read.len() as u64;
        match result {
            wasip3::wit_bindgen::rt::async_support::StreamResult::Complete(_) => {}
            _ => return count,
        }
        buffer = read;
        buffer.clear();
    }
}

/// Passes a stream on; returns whether all that came was taken.
async fn pass(mut input: StreamReader<u8>, body: &mut Body) -> bool {
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        let (result, mut read) = input.read(buffer).await;
        if !read.is_empty() {
            let Some(stream) = &mut body.stream else {
                return false;
            };
            read = stream.write_all(read).await;
            if !read.is_empty() {
                return false;
            }
        }
        match result {
            wasip3::wit_bindgen::rt::async_support::StreamResult::Complete(_) => {}
            _ => break,
        }
        buffer = read;
        buffer.clear();
    }
    body.stream = None;
    true
}

fn describe(request: &Request) -> String {
    let headers = request.get_headers().copy_all().into_iter();
    let mut lines: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value)))
        .collect();
    lines.sort();
    format!(
        "{:?} {:?} {:?} {:?}\n{}",
        request.get_method(),
        request.get_scheme(),
        request.get_authority(),
        request.get_path_with_query(),
        lines.concat()
    )
}
