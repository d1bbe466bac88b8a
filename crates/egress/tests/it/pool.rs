//! Connections that serve another request, and connections that are closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use iof_egress::{Config, Egress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::support::{Authority, Upstream, any_rule, get, quick, read_request, send, text};

fn pinned(server: &Upstream, config: Config) -> Egress {
    let pin = vec![server.pin("a.test")];
    Egress::new(Config { pin, ..config }).unwrap()
}

/// Answers every request on a connection with `response`, and counts connections that ended.
async fn answering(response: &'static str) -> (Upstream, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let server = Upstream::raw(move |mut stream| {
        let count = count.clone();
        async move {
            while !read_request(&mut stream).await.is_empty() {
                if stream.write_all(response.as_bytes()).await.is_err() {
                    break;
                }
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    (server, ended)
}

async fn soon(ended: &AtomicUsize, expected: usize) {
    let until = Instant::now() + Duration::from_secs(10);
    while ended.load(Ordering::Relaxed) < expected {
        assert!(Instant::now() < until, "{ended:?} of {expected} ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_connection_serves_another_request_after_a_complete_response() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-trailer: 1\r\n\r\n",
    ] {
        let (server, _) = answering(response).await;
        let egress = pinned(&server, quick());
        for _ in 0..5 {
            get(&egress, &any_rule(), &server.url("a.test", "/"))
                .await
                .unwrap();
        }
        assert_eq!(server.connections(), 1, "{response:?}");
    }
}

/// The bytes that arrive on a connection wake the thread that made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_reuses_its_own_connections() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let server = Upstream::raw(move |mut stream| {
        let opened = count.clone();
        async move {
            let number = opened.fetch_add(1, Ordering::Relaxed);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            while !read_request(&mut stream).await.is_empty() {
                // Answers only once there are two connections, because one would serve both threads.
                while opened.load(Ordering::Relaxed) < 2 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    })
    .await;
    let egress = pinned(&server, quick());
    let threads = [(), ()].map(|()| {
        let (egress, url) = (egress.clone(), server.url("a.test", "/"));
        let (ask, requests) = std::sync::mpsc::channel::<oneshot::Sender<Bytes>>();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            while let Ok(answer) = requests.recv() {
                let response = runtime.block_on(get(&egress, &any_rule(), &url));
                answer.send(response.unwrap().into_body()).unwrap();
            }
        });
        ask
    });
    let ask = |thread: usize| {
        let (answer, response) = oneshot::channel();
        threads[thread].send(answer).unwrap();
        response
    };
    let (first, second) = tokio::join!(ask(0), ask(1));
    let own = [first.unwrap(), second.unwrap()];
    assert_ne!(own[0], own[1]);
    for thread in [0, 1, 1, 0, 0, 1] {
        assert_eq!(ask(thread).await.unwrap(), own[thread]);
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_response_to_head_has_no_body_to_wait_for() {
    let (server, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
    let egress = pinned(&server, quick());
    for _ in 0..3 {
        let head = Request::head(server.url("a.test", "/")).body(Bytes::new());
        send(&egress, &any_rule(), head.unwrap()).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn connection_close_is_respected() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let (server, ended) = answering(response).await;
        let egress = pinned(&server, quick());
        for n in 1..4 {
            get(&egress, &any_rule(), &server.url("a.test", "/"))
                .await
                .unwrap();
            assert_eq!(server.connections(), n, "{response:?}");
        }
        soon(&ended, 3).await;
    }
}

/// Unexpected bytes would be read as the response to the next request, which may be another function's.
#[tokio::test]
async fn bytes_that_came_before_a_request_do_not_answer_it() {
    const ONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const MORE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for pause in [None, Some(Duration::from_millis(20))] {
        let server = Upstream::raw(move |mut stream| async move {
            read_request(&mut stream).await;
            match pause {
                None => {
                    let both = format!("{ONE}{MORE}");
                    stream.write_all(both.as_bytes()).await.unwrap();
                }
                Some(pause) => {
                    stream.write_all(ONE.as_bytes()).await.unwrap();
                    tokio::time::sleep(pause).await;
                    let _ = stream.write_all(MORE.as_bytes()).await;
                }
            }
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let egress = pinned(&server, quick());
        for n in 1..4 {
            let response = get(&egress, &any_rule(), &server.url("a.test", "/")).await;
            assert_eq!(response.unwrap().body(), "ok", "{pause:?}");
            assert_eq!(server.connections(), n, "{pause:?}");
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_read_ends_its_connection() {
    let (server, ended) =
        answering("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\nbegin").await;
    let egress = pinned(&server, quick());
    let error = get(&egress, &any_rule(), &server.url("a.test", "/")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("max_response"), "{error}");
    soon(&ended, 1).await;
}

#[tokio::test]
async fn a_cancelled_request_ends_its_connection() {
    let (server, ended) = answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal").await;
    let egress = pinned(&server, quick());
    let rules = any_rule();
    let url = server.url("a.test", "/");
    let waited = timeout(Duration::from_millis(50), get(&egress, &rules, &url)).await;
    waited.unwrap_err();
    soon(&ended, 1).await;
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let (server, ended) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let egress = pinned(
        &server,
        Config {
            pool_idle_timeout: Duration::from_millis(50),
            ..quick()
        },
    );
    for round in 1..3 {
        get(&egress, &any_rule(), &server.url("a.test", "/"))
            .await
            .unwrap();
        soon(&ended, round).await;
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn idle_connections_are_limited_in_number() {
    let (server, ended) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let egress = pinned(
        &server,
        Config {
            pool_max_idle_per_host: 2,
            ..quick()
        },
    );
    let (rules, url) = (any_rule(), server.url("a.test", "/"));
    let (a, b, c, d) = tokio::join!(
        get(&egress, &rules, &url),
        get(&egress, &rules, &url),
        get(&egress, &rules, &url),
        get(&egress, &rules, &url),
    );
    for response in [a, b, c, d] {
        assert_eq!(response.unwrap().body(), "ok");
    }
    let open = server.connections();
    assert!(open > 2, "the requests ran one after the other");
    soon(&ended, open - 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(ended.load(Ordering::Relaxed), open - 2);
}

#[tokio::test]
async fn many_requests_share_one_connection_of_http2() {
    let authority = Authority::new();
    let tls = authority.server("a.test", &["h2"]);
    let server = Upstream::https(tls, |_, _| text(200, "ok")).await;
    let ca_files = vec![authority.file().await];
    let egress = pinned(
        &server,
        Config {
            ca_files,
            pool_idle_timeout: Duration::from_millis(100),
            ..quick()
        },
    );
    let (rules, url) = (any_rule(), format!("https://a.test:{}/", server.port()));
    get(&egress, &rules, &url).await.unwrap();
    let (a, b, c) = tokio::join!(
        get(&egress, &rules, &url),
        get(&egress, &rules, &url),
        get(&egress, &rules, &url)
    );
    for response in [a, b, c] {
        assert_eq!(response.unwrap().body(), "ok");
    }
    assert_eq!(server.connections(), 1);
    // An unused connection is closed like the others.
    tokio::time::sleep(Duration::from_millis(400)).await;
    get(&egress, &rules, &url).await.unwrap();
    assert_eq!(server.connections(), 2);
}
