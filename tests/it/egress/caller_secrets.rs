//! Secrets and callers: what a caller names carries no secret, what the owner stored does, and a function with a
//! declaration says whether callers may name anything. docs/SECURITY.md has the table that this is a test of.

use crate::egress::secrets::keyed;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
    upstream::Upstream,
};
use serde_json::{Value, json};

const TOKEN: &str = "S3CRET_tok-en_0123456789AbCdEf";
const PUBLIC: &str = "public_url = \"http://iof.test\"\n";

/// The place in which a caller names a target.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TargetPlace {
    Header,
    JsonBody,
    TextBody,
    Part,
}

const PLACES: [TargetPlace; 4] = [
    TargetPlace::Header,
    TargetPlace::JsonBody,
    TargetPlace::TextBody,
    TargetPlace::Part,
];

struct Story {
    upstream: Upstream,
    server: Server,
}

impl Story {
    async fn begin() -> Self {
        let upstream = Upstream::start().await;
        let pins = ["api.test", "other.test"]
            .map(|host| upstream.pin(host, 80))
            .concat();
        let ceiling = "[ceiling]\ncommands = [\"http_proxy\"]\noutbound = [\"* http://*:*\", \"* https://*:*\"]\nstorage = true\n";
        let server = keyed()
            .config(format!("{PUBLIC}{ceiling}{pins}"))
            .start()
            .await;
        Self { upstream, server }
    }

    /// A function whose secret goes to `api.test`.
    async fn deploy(&self, module: &str, callers_may: &str) -> Uploaded {
        let declaration = format!(
            "commands = [\"http_proxy\"]\noutbound = [\"* http://api.test\", \"* http://other.test\", \"* http://iof.test\"]\n\
             {callers_may}\n[[secrets]]\nvalue = \"Bearer {{API_TOKEN}}\"\nheader = \"authorization\"\nto = \"* http://api.test\"\n"
        );
        let function = self.server.deploy(guest(module), &declaration).await;
        assert_eq!(
            self.server
                .set_secret(&function, "API_TOKEN", TOKEN)
                .await
                .http,
            204
        );
        function
    }

    async fn store(&self, function: &Uploaded, callback: &Value) {
        let request = self
            .server
            .request("PUT", &format!("/api/callback/{}", function.id))
            .header("SSVM_Admin_Key", &function.admin_key)
            .json(callback);
        assert_eq!(
            self.server.answer(request).await.text(),
            function.id.to_string()
        );
    }

    /// A call that names a target: `SSVM_Fetch` or `SSVM_Callback`.
    async fn call(&self, id: u64, place: TargetPlace, what: &str, target: &Value) -> Answer {
        let multipart = if place == TargetPlace::Part {
            "multipart/"
        } else {
            ""
        };
        let request = self
            .server
            .request("POST", &format!("/api/{multipart}run/{id}/say"));
        let request = match place {
            TargetPlace::Header => request
                .header("Content-Type", "text/plain")
                .header(what, target.to_string())
                .body("x"),
            TargetPlace::JsonBody => request.json(&json!({ what: target, "a": 1 })),
            TargetPlace::TextBody => request
                .header("Content-Type", "text/plain")
                .body(json!({ what: target, "a": 1 }).to_string()),
            TargetPlace::Part => {
                let name = if what == "SSVM_Fetch" {
                    "fetch_input_1"
                } else {
                    "SSVM_Callback"
                };
                let part = |name: &str, text: &str| {
                    format!(
                        "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
                    )
                };
                let argument = if what == "SSVM_Fetch" {
                    String::new()
                } else {
                    part("input_1", "x")
                };
                request
                    .header("Content-Type", "multipart/form-data; boundary=b")
                    .body(format!(
                        "{argument}{}--b--\r\n",
                        part(name, &target.to_string())
                    ))
            }
        };
        self.server.answer(request).await
    }

    /// The requests that came since the last time: host, path, and whether the secret was with it.
    fn came(&self, since: &mut usize) -> Vec<(String, String, bool)> {
        let seen = self.upstream.seen();
        let new = seen[*since..].iter().map(|seen| {
            let header = |name: &str| {
                seen.headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
            };
            (
                header("host").to_owned(),
                seen.path.clone(),
                header("authorization").contains(TOKEN),
            )
        });
        let new = new.collect();
        *since = seen.len();
        new
    }
}

fn to(host: &str, path: &str) -> Value {
    json!({ "protocol": "http:", "hostname": host, "path": path, "method": "POST", "headers": { "Content-Type": "text/plain" } })
}

fn one(host: &str, path: &str, secret: bool) -> Vec<(String, String, bool)> {
    vec![(host.into(), path.into(), secret)]
}

#[tokio::test]
async fn what_a_caller_names_carries_no_secret() {
    let story = Story::begin().await;
    let function = story
        .deploy("hello", "callers_may = [\"fetch\", \"callback\"]")
        .await;
    let mut since = 0;
    for place in PLACES {
        for what in ["SSVM_Fetch", "SSVM_Callback"] {
            let answer = story
                .call(function.id, place, what, &to("api.test", "/mirror"))
                .await;
            assert_eq!(
                answer.fault(),
                "",
                "{place:?} {what}: {answer:?} {}",
                answer.text()
            );
            assert_eq!(
                story.came(&mut since),
                one("api.test", "/mirror", false),
                "{place:?} {what}"
            );
            // Nor does a redirect to where the secret belongs.
            let away = to("other.test", "/redirect/307?http://api.test/mirror");
            let answer = story.call(function.id, place, what, &away).await;
            assert_eq!(answer.fault(), "", "{place:?} {what}: {answer:?}");
            let came = story.came(&mut since);
            assert_eq!(came.len(), 2, "{place:?} {what}: {came:?}");
            assert!(
                came.iter().all(|(_, _, secret)| !secret),
                "{place:?} {what}: {came:?}"
            );
        }
    }
    // A bare URL, too.
    let answer = story
        .server
        .request("POST", &format!("/api/run/{}/say", function.id))
        .header("SSVM_Fetch", "http://api.test/echo");
    assert_eq!(story.server.answer(answer).await.fault(), "");
    assert_eq!(story.came(&mut since), one("api.test", "/echo", false));
}

#[tokio::test]
async fn what_the_owner_stored_carries_it_and_its_answer_is_masked() {
    let story = Story::begin().await;
    let function = story.deploy("hello", "").await;
    let mut since = 0;
    story.store(&function, &to("api.test", "/echo")).await;
    let answer = story.server.run(function.id, "say", "x").await;
    assert_eq!(answer.fault(), "", "{answer:?}");
    assert_eq!(story.came(&mut since), one("api.test", "/echo", true));
    assert!(
        answer.text().contains("***") && !answer.text().contains(TOKEN),
        "{}",
        answer.text()
    );
    // From where it does not belong to where it does, hop by hop, and the other way.
    for (from, to_host, carried) in [
        ("other.test", "api.test", [false, true]),
        ("api.test", "other.test", [true, false]),
    ] {
        let path = format!("/redirect/307?http://{to_host}/mirror");
        story.store(&function, &to(from, &path)).await;
        story.server.run(function.id, "say", "x").await;
        let came = story.came(&mut since).into_iter();
        let secrets: Vec<_> = came.map(|(_, _, secret)| secret).collect();
        assert_eq!(secrets, carried, "{from}");
    }
}

/// A function that is called by another, or by itself, is called by a caller, whoever stored that callback.
#[tokio::test]
async fn a_nested_call_is_a_callers() {
    let story = Story::begin().await;
    let inner = story
        .deploy("hello", "callers_may = [\"fetch\", \"callback\"]")
        .await;
    let outer = story.deploy("hello", "callers_may = [\"callback\"]").await;
    let mut since = 0;
    let mut nested = to("iof.test", &format!("/api/run/{}/say", inner.id));
    nested["headers"]["SSVM_Callback"] = to("api.test", "/mirror").to_string().into();
    // Named by the caller, then stored by the owner of the outer function: the inner one has another owner.
    let answer = story
        .call(outer.id, TargetPlace::Header, "SSVM_Callback", &nested)
        .await;
    assert_eq!(answer.fault(), "", "{answer:?} {}", answer.text());
    assert_eq!(story.came(&mut since), one("api.test", "/mirror", false));
    story.store(&outer, &nested).await;
    let answer = story.server.run(outer.id, "say", "x").await;
    assert_eq!(answer.fault(), "", "{answer:?} {}", answer.text());
    assert_eq!(story.came(&mut since), one("api.test", "/mirror", false));
    // By the outer function's own code.
    let asks = story.deploy("command", "").await;
    let headers = json!({ "SSVM_Callback": to("api.test", "/mirror").to_string(), "Content-Type": "text/plain" });
    let url = format!("http://iof.test/api/run/{}/say", inner.id);
    let run = json!({ "program": "http_proxy", "args": ["post", url, headers.to_string()], "stdin": "x" });
    let answer = story.server.run(asks.id, "run_ssvm", run.to_string()).await;
    assert_eq!(answer.json()["status"], 0, "{}", answer.text());
    assert_eq!(story.came(&mut since), one("api.test", "/mirror", false));
    // What the inner one's owner stored is that owner's, whoever called.
    story.store(&inner, &to("api.test", "/mirror")).await;
    let plain = to("iof.test", &format!("/api/run/{}/say", inner.id));
    let answer = story
        .call(outer.id, TargetPlace::Header, "SSVM_Callback", &plain)
        .await;
    assert_eq!(answer.text(), "hello hello x");
    assert_eq!(story.came(&mut since), one("api.test", "/mirror", true));
}

/// The version's own code: its requests carry the secret, and callers see what it makes of the answer.
#[tokio::test]
async fn the_own_code_of_a_version_carries_it() {
    let story = Story::begin().await;
    let function = story.deploy("command", "").await;
    let run = json!({ "program": "http_proxy", "args": ["get", "http://api.test/echo"] });
    let answer = story
        .server
        .run(function.id, "run_ssvm", run.to_string())
        .await;
    assert_eq!(story.came(&mut 0), one("api.test", "/echo", true));
    assert!(
        !answer.text().contains(TOKEN) && answer.text().contains("***"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_declaration_says_what_callers_may_name() {
    let story = Story::begin().await;
    let mut since = 0;
    for (line, fetch, callback) in [
        ("", false, false),
        ("callers_may = []", false, false),
        ("callers_may = [\"fetch\"]", true, false),
        ("callers_may = [\"callback\"]", false, true),
    ] {
        let function = story.deploy("hello", line).await;
        let mut ran = 0;
        for place in PLACES {
            for (what, may) in [("SSVM_Fetch", fetch), ("SSVM_Callback", callback)] {
                for target in [
                    to("other.test", "/mirror"),
                    to("iof.test", &format!("/api/run/{}/say", function.id)),
                ] {
                    let answer = story.call(function.id, place, what, &target).await;
                    let told = format!("{line} {place:?} {what}: {answer:?} {}", answer.text());
                    if may {
                        assert_eq!(answer.fault(), "", "{told}");
                        ran += 1;
                        continue;
                    }
                    assert_eq!(
                        (answer.http.as_u16(), answer.fault()),
                        (403, "caller-request"),
                        "{told}"
                    );
                    assert!(
                        answer.header("iof-message").contains("callers_may"),
                        "{told}"
                    );
                    assert_eq!(story.came(&mut since), [], "{told}");
                }
                story.came(&mut since);
            }
            // Nor is the owner's callback the caller's to cancel.
            let cancel = story
                .call(function.id, place, "SSVM_Callback", &json!({}))
                .await;
            assert_eq!(cancel.fault() == "", callback, "{cancel:?}");
        }
        assert!(ran > 0 || !(fetch || callback));
    }
    // Both at once: neither is made when one may not be.
    let function = story.deploy("hello", "callers_may = [\"fetch\"]").await;
    let both = story
        .server
        .request("POST", &format!("/api/run/{}/say", function.id))
        .header("SSVM_Fetch", "http://other.test/echo")
        .header("SSVM_Callback", to("other.test", "/mirror").to_string());
    assert_eq!(story.server.answer(both).await.fault(), "caller-request");
    assert_eq!(story.came(&mut since), []);
    // What declares nothing is as in 2020.
    let undeclared = story.server.upload(guest("hello")).await;
    for place in PLACES {
        for what in ["SSVM_Fetch", "SSVM_Callback"] {
            let answer = story
                .call(undeclared.id, place, what, &to("other.test", "/mirror"))
                .await;
            assert_eq!(answer.fault(), "", "{place:?} {what}: {answer:?}");
            assert_eq!(story.came(&mut since), one("other.test", "/mirror", false));
        }
    }
}
