//! Bodies that stream: in constant memory, piece by piece, and only as fast as they are taken.

use super::{LONG, get, handler, path, row};
use iof_tests::exchange::{Handler, body, length, resident};
use iof_tests::server::Server;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// `p2_api_proxy_streaming`, `p2_http_outbound_request_large_post` from the other side.
#[tokio::test]
async fn large_bodies_pass_in_constant_memory() {
    let handler = Handler::start(
        super::HANDLER,
        "[limits]\nwall_time = \"120s\"\nguest_cpu = \"120s\"\n",
    )
    .await;
    let warm = handler.server.get(&handler.path("/hello")).await;
    assert_eq!(warm.http, 200);
    let more = handler.memory_of_bodies(256).await >> 20;
    assert!(more <= 64, "{more} MiB above idle");
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (server, function) = handler("").await;
    let request = server.request("GET", &path(&function, "/events?4"));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut arrived = vec![];
    while let Some(event) = response.chunk().await.unwrap() {
        arrived.push((Instant::now(), String::from_utf8(event.to_vec()).unwrap()));
    }
    let texts: Vec<_> = arrived.iter().map(|(_, text)| &**text).collect();
    assert_eq!(
        texts,
        ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]
    );
    let between = arrived[3].0 - arrived[0].0;
    assert!(between > Duration::from_millis(200), "{between:?}");
}

/// `p2_api_proxy_forward_request`: what is sent arrives while more is to come.
#[tokio::test]
async fn an_echo_comes_back_while_more_is_sent() {
    let (server, function) = handler("").await;
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        path(&function, "/echo")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = String::new();
    for word in ["alpha", "gamma"] {
        stream
            .write_all(format!("5\r\n{word}\r\n").as_bytes())
            .await
            .unwrap();
        let began = Instant::now();
        while !all.contains(word) {
            let mut piece = [0; 4096];
            let count = timeout(LONG, stream.read(&mut piece))
                .await
                .unwrap()
                .unwrap();
            assert!(count > 0, "{all}");
            all.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    timeout(LONG, stream.read_to_string(&mut all))
        .await
        .unwrap()
        .unwrap();
    assert!(all.ends_with("0\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn an_answer_may_begin_before_the_body_is_read() {
    let (server, function) = handler("").await;
    let early = server
        .request("POST", &path(&function, "/early"))
        .body("12345");
    assert_eq!(server.answer(early).await.text(), "early 5");
    // A body that nobody reads.
    let unread = server
        .request("POST", &path(&function, "/unread"))
        .body(vec![b'x'; 5 << 20]);
    let answer = server.answer(unread).await;
    assert_eq!((answer.http.as_u16(), &*answer.text()), (413, "no, thanks"));
}

/// Whoever takes nothing is written nothing: the function waits, and others are served.
#[tokio::test]
async fn slow_clients_do_not_delay_a_quick_one() {
    let handler = Handler::start(super::HANDLER, "").await;
    let times = handler.times_beside_slow_clients(200, 20).await;
    assert!(times[10] < Duration::from_millis(500), "{times:?}");
    assert!(resident(&handler.server) >> 20 < 1024);
}

/// The permit of a call is its own until its body has ended.
#[tokio::test]
async fn a_permit_is_given_back_at_the_end_of_the_body() {
    let config = "[server]\nconcurrency = 1\nqueue_wait = \"300ms\"\n";
    let (server, function) = handler(config).await;
    let running = server.request("GET", &path(&function, "/events?20"));
    let mut response = running.send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    let refused = get(&server, &function, "/hello").await;
    assert_eq!(refused.http, 503, "{}", refused.text());
    while response.chunk().await.unwrap().is_some() {}
    assert_eq!(get(&server, &function, "/hello").await.http, 200);
}

#[tokio::test]
async fn a_function_may_go_on_when_its_answer_is_complete() {
    let (server, function) = handler("").await;
    let began = Instant::now();
    assert_eq!(get(&server, &function, "/after?700").await.text(), "done");
    assert!(began.elapsed() < Duration::from_millis(600));
    let row = row(&server, &function, 1).await;
    assert_eq!(row["stderr"], "and after\n", "{row}");
    assert!(row["fault"].is_null(), "{row}");
}

#[tokio::test]
async fn http_2_streams_as_well() {
    let (server, function) = handler("").await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let url = format!("{}{}", server.url, path(&function, "/echo"));
    let response = client.post(&url).body(body(8)).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(length(response).await, 8 << 20);
    let url = format!("{}{}", server.url, path(&function, "/request"));
    let seen = client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains("Some(\"/request\")"), "{seen}");
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let (server, function) = handler("[limits]\nstreamed_body = \"1MiB\"\n").await;
    let sized = server
        .request("POST", &path(&function, "/count"))
        .body(vec![b'x'; (1 << 20) + 1]);
    let answer = server.answer(sized).await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (413, "request-body")
    );
    assert!(
        answer.text().contains("limits.streamed_body"),
        "{}",
        answer.text()
    );
    let unsized_body = server
        .request("POST", &path(&function, "/count"))
        .body(body(2));
    let answer = server.answer(unsized_body).await;
    // wasmtime gives the stream's error no code.
    assert!(
        answer.text().ends_with(" after 1048576"),
        "{}",
        answer.text()
    );
    let exact = server
        .request("POST", &path(&function, "/count"))
        .body(body(1));
    assert_eq!(server.answer(exact).await.text(), "1048576");
    // A call may end a little after its answer.
    row(&server, &function, 3).await;
    let response = server
        .request("GET", &path(&function, "/big?2"))
        .send()
        .await
        .unwrap();
    assert!(response.bytes().await.is_err(), "the body is cut");
    let row = row(&server, &function, 4).await;
    assert_eq!(row["fault"], "streamed-body", "{row}");
}

#[tokio::test]
async fn a_stop_waits_for_answers_that_stream() {
    let (mut server, function): (Server, _) = handler("").await;
    let request = server.request("GET", &path(&function, "/events?8"));
    let mut response = request.send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    let reading = tokio::spawn(async move {
        let mut count = 1;
        while response.chunk().await.unwrap().is_some() {
            count += 1;
        }
        count
    });
    assert!(server.stop().await.success());
    assert_eq!(reading.await.unwrap(), 8);
}
