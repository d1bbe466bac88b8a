//! Other places of a fetch or a callback: in the body, in parts of it, and in the store. Who makes the request is
//! the same, which a few of the attacks are enough to show. And whom the server takes for the host that it was sent to.

use iof_tests::{call::Answer, server::Server, upstream::Upstream};
use serde_json::{Value, json};

use super::{
    cases::{self, Case},
    paths::{AttackRequest, EgressPath, World, on_every_path},
    servers::{Evil, Victim, pin, redirecting},
};
use crate::second_state::modules;

on_every_path!(a_certificate_is_for_the_name; wasi_http: a_certificate_is_for_the_name);

/// A pin says where to go, and not whom to believe.
async fn a_certificate_is_for_the_name(ways: &[EgressPath]) {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (known, unknown, plain) = (
        Upstream::start_tls(&["known.test"]).await,
        Upstream::start_tls(&["unknown.test"]).await,
        Upstream::start().await,
    );
    known.write_ca(&ca);
    let pins = [
        known.pin("known.test", 443),
        known.pin("other.test", 443),
        known.pin("192.0.2.7", 443),
        unknown.pin("unknown.test", 443),
        plain.pin("plain.test", 443),
    ];
    let config = format!("[egress]\nca_files = [{ca:?}]\n{}", pins.concat());
    let world = World::start(config, ways).await;
    let all = ["other.test", "192.0.2.7", "unknown.test", "plain.test"];
    let all = all.map(|host| {
        Case::with(
            host,
            AttackRequest::new("https", host, None, "/echo"),
            "egress-tls",
        )
    });
    cases::run(&world, ways, all.to_vec()).await;
    for seen in [known.seen(), unknown.seen(), plain.seen()] {
        assert!(seen.is_empty(), "{seen:?}");
    }
    for &way in ways {
        let ask = AttackRequest::new("https", "known.test", None, "/status/200");
        let told = world.ask(way, &ask).await.unwrap();
        assert_eq!(told.result.unwrap(), b"status 200");
    }
}

/// A server with a function, and what an attacker writes with the code that it ends with.
struct Story {
    server: Server,
    victim: Victim,
    attacks: Vec<(Value, &'static str)>,
    /// Serves the redirects among them.
    _evil: Evil,
}

impl Story {
    async fn begin() -> Self {
        let (victim, evil) = (Victim::start().await, Evil::start().await);
        let denied = pin("denied.test", 8081, ([127, 0, 0, 1], victim.port).into());
        let server = Server::start(format!(
            "[defaults]\noutbound = [\"* http://*\", \"* http://*:{}\"]\n{}{denied}",
            victim.port,
            evil.pin("start.test"),
        ))
        .await;
        let to = |host: &str, port: u16, path: &str| json!({ "protocol": "http:", "hostname": host, "port": port, "path": path });
        let onward = redirecting(302, &format!("http://127.1:{}/", victim.port));
        let attacks = vec![
            (to("127.0.0.1", victim.port, "/"), "egress-address"),
            (to("[::ffff:127.0.0.1]", victim.port, "/"), "egress-address"),
            (
                to("169.254.169.254", 80, "/latest/meta-data/"),
                "egress-address",
            ),
            (to("localhost", victim.port, "/"), "egress-dns"),
            (to("denied.test", 8081, "/"), "egress-denied"),
            (to("start.test", 80, &onward), "egress-address"),
        ];
        Self {
            server,
            victim,
            attacks,
            _evil: evil,
        }
    }
}

fn assert_shut(answer: &Answer, code: &str, place: &str) {
    let truth = (answer.http.as_u16(), answer.fault());
    assert_eq!(truth, (502, code), "{place}: {} {answer:?}", answer.text());
}

#[tokio::test]
async fn in_the_body() {
    let story = Story::begin().await;
    let (server, id) = (
        &story.server,
        story.server.upload(modules::hello()).await.id,
    );
    for (attack, code) in &story.attacks {
        for name in ["SSVM_Fetch", "SSVM-Fetch", "SSVM_Callback", "SSVM-Callback"] {
            for kind in ["application/json", "text/plain"] {
                let request = server.request("POST", &format!("/api/run/{id}/echo"));
                let request = request.header("Content-Type", kind);
                let body = json!({ "a": 1, name: attack }).to_string();
                let answer = server.answer(request.body(body)).await;
                assert_shut(&answer, code, name);
            }
        }
    }
    story.victim.assert_unharmed().await;
}

#[tokio::test]
async fn in_parts_of_the_body() {
    let story = Story::begin().await;
    let (server, id) = (
        &story.server,
        story.server.upload(modules::hello()).await.id,
    );
    for (attack, code) in &story.attacks {
        let options = attack.to_string();
        let text = |name: &str| attack[name].as_str().unwrap().to_owned();
        let url = format!(
            "http://{}:{}{}",
            text("hostname"),
            attack["port"],
            text("path")
        );
        for (name, value) in [
            ("fetch_1", &url),
            ("fetch_2", &options),
            ("SSVM_Callback_1", &options),
        ] {
            let parts = [("input_3", None, &b"x"[..]), (name, None, value.as_bytes())];
            let (kind, body) = modules::form(&parts);
            let request = server.request("POST", &format!("/api/multipart/run/{id}/three"));
            let request = request.header("Content-Type", kind).body(body);
            assert_shut(&server.answer(request).await, code, name);
        }
    }
    story.victim.assert_unharmed().await;
}

#[tokio::test]
async fn in_the_store() {
    let story = Story::begin().await;
    let server = &story.server;
    let function = server.upload(modules::hello()).await;
    for (attack, code) in &story.attacks {
        let request = server.request("PUT", &format!("/api/callback/{}", function.id));
        let request = request
            .header("Content-Type", "application/json")
            .header("SSVM_Admin_Key", &*function.admin_key)
            .body(attack.to_string());
        assert_eq!(server.answer(request).await.text(), function.id.to_string());
        let answer = server.run(function.id, "say", "Tim").await;
        assert_shut(&answer, code, "the store");
    }
    story.victim.assert_unharmed().await;
}
