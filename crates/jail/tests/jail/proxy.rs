//! The proxy, the only network of a program: its connections arrive at the server.

use std::time::Duration;

use iof_jail::{Exit, Feature, Limit, Network, Profile, ProfileError, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::{PYTHON, jails, out, request};

fn profile() -> Profile {
    Profile {
        network: Network::Proxy,
        ..Profile::new(PYTHON)
    }
}

#[tokio::test]
async fn connections_to_the_proxy_arrive() {
    let script = "import urllib.request as r\n\
        print(r.urlopen('http://example.com/x', timeout=5).read().decode())";
    for way in jails().await {
        if !way.has(Feature::NetNamespace) {
            let refused = way.jail.program(profile());
            assert!(
                matches!(refused, Err(ProfileError::NoNetNamespace(_))),
                "{refused:?}"
            );
            continue;
        }
        let program = way.program(profile());
        for round in 0..3 {
            let (connections, mut arrived) = mpsc::channel::<TcpStream>(4);
            let serve = async {
                let mut stream = arrived.recv().await.unwrap();
                let mut head = vec![0; 1024];
                let length = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                assert!(
                    head.starts_with("GET http://example.com/x HTTP/1.1"),
                    "{head}"
                );
                let body = format!("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n{round}");
                stream.write_all(body.as_bytes()).await.unwrap();
            };
            let run = program.run(Request {
                connections: Some(connections),
                ..request(&["-c", script], "")
            });
            let (ended, ()) = tokio::join!(run, serve);
            assert_eq!(out(&ended.unwrap()), round.to_string(), "{}", way.name);
        }
    }
}

#[tokio::test]
async fn nothing_else_is_reachable_and_connections_are_counted() {
    let elsewhere = "import socket\n\
        for a in [('127.0.0.1', 22), ('127.0.0.1', 80), ('10.0.0.1', 80), ('1.1.1.1', 53)]:\n\
        \x20 for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n\
        \x20   try:\n\
        \x20     s = socket.socket(socket.AF_INET, kind); s.settimeout(1); s.connect(a)\n\
        \x20     if kind == socket.SOCK_DGRAM and a[0] == '127.0.0.1': continue\n\
        \x20     print('reached', a)\n\
        \x20   except OSError: pass";
    let flood = "import socket, time\nall = []\n\
        for i in range(50): all.append(socket.create_connection(('127.0.0.1', 3128)))\ntime.sleep(20)";
    for way in jails().await {
        if !way.has(Feature::NetNamespace) {
            continue;
        }
        let mut profile = profile();
        profile.limits.connections = 10;
        let program = way.program(profile);
        let ended = program.run(request(&["-c", elsewhere], "")).await.unwrap();
        assert_eq!(out(&ended), "", "{}", way.name);
        let (connections, mut arrived) = mpsc::channel(64);
        let ended = program.run(Request {
            connections: Some(connections),
            ..request(&["-c", flood], "")
        });
        let ended = ended.await.unwrap();
        assert_eq!(ended.exit, Exit::Limit(Limit::Connections), "{}", way.name);
        assert!(ended.took < Duration::from_secs(10));
        let mut count = 0;
        while arrived.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 10, "{}", way.name);
        // Without a receiver, connections are closed, and the program continues.
        let unserved = "import socket\ns = socket.create_connection(('127.0.0.1', 3128))\n\
            try: print(s.recv(1))\nexcept ConnectionResetError: print(b'')";
        let ended = program.run(request(&["-c", unserved], "")).await.unwrap();
        assert_eq!(out(&ended), "b''", "{}", way.name);
    }
}

#[tokio::test]
async fn a_connection_belongs_to_its_own_run() {
    let knock = "import os, socket\n\
        for i in range(30):\n  s = socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.1', 3128))\n\
        os._exit(0)";
    for way in jails().await {
        if !way.has(Feature::NetNamespace) {
            continue;
        }
        let program = way.program(profile());
        for _ in 0..5 {
            let ended = program.run(request(&["-c", knock], "")).await.unwrap();
            assert_eq!(ended.exit, Exit::Code(0), "{}", way.name);
            let (connections, mut arrived) = mpsc::channel::<TcpStream>(64);
            let next = program.run(Request {
                connections: Some(connections),
                ..request(&["-c", "import time; time.sleep(0.1)"], "")
            });
            assert_eq!(next.await.unwrap().exit, Exit::Code(0), "{}", way.name);
            assert!(arrived.recv().await.is_none(), "{}", way.name);
        }
    }
}
