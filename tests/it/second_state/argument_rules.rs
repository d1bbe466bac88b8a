//! The conversion of a body to the argument: the rules that `api.rs` does not cover.

use crate::second_state::modules;
use iof_tests::{
    joey::{Joey, Manner},
    server::Server,
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

async fn echo() -> (Server, u64) {
    let server = Server::start("").await;
    let id = server.upload(modules::hello()).await.id;
    (server, id)
}

async fn assert_passed(cases: &[(&str, &str, &str)]) {
    let (server, id) = echo().await;
    for manner in [Manner::Curl, Manner::Node] {
        let joey = Joey::http(&server).like(manner);
        for (content_type, sent, passed) in cases {
            let answer = joey.run(id, "echo", content_type, sent).await;
            assert_eq!(
                (answer.text().as_str(), answer.fault()),
                (*passed, ""),
                "{manner:?} {content_type} {sent}"
            );
        }
    }
}

/// `{}` cancels a callback, so the answer is the argument that remains of these bodies.
#[tokio::test]
async fn the_keys_of_a_callback_are_removed_from_bodies() {
    assert_passed(&[
        (JSON, r#"{"SSVM_Callback":{},"a":1}"#, r#"{"a":1}"#),
        (JSON, r#"{"a":1,"SSVM_Callback":{}}"#, r#"{"a":1}"#),
        (JSON, r#"{"SSVM_Callback":{}}"#, "{}"),
        (TEXT, r#"{ "a": 1.0, "SSVM_Callback": {} }"#, r#"{"a":1}"#),
        // Only at the top level, as a key, with exactly this spelling.
        (
            JSON,
            r#"{"a":{"SSVM_Callback":{},"SSVM_Fetch":"x"}}"#,
            r#"{"a":{"SSVM_Callback":{},"SSVM_Fetch":"x"}}"#,
        ),
        (
            JSON,
            r#"["SSVM_Callback","SSVM_Fetch"]"#,
            r#"["SSVM_Callback","SSVM_Fetch"]"#,
        ),
        (JSON, r#"{"ssvm_callback":1}"#, r#"{"ssvm_callback":1}"#),
        (TEXT, r#""SSVM_Fetch""#, r#""SSVM_Fetch""#),
        // A verbatim body is not parsed, and nothing is removed.
        (
            "text/plain; charset=UTF-8",
            r#"{ "SSVM_Callback": {"hostname":"x"}, "SSVM_Fetch": "https://x" }"#,
            r#"{ "SSVM_Callback": {"hostname":"x"}, "SSVM_Fetch": "https://x" }"#,
        ),
        (
            "application/octet-stream",
            r#"{ "SSVM_Fetch": "https://x" }"#,
            r#"{ "SSVM_Fetch": "https://x" }"#,
        ),
    ])
    .await;
}

/// Each expected value is Node's own output.
#[tokio::test]
async fn numbers_and_keys_are_written_as_in_javascript() {
    let mut cases = vec![];
    for (sent, passed) in [
        ("22", "22"),
        ("22.0", "22"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.10", "1.1"),
        ("1E2", "100"),
        ("1e21", "1e+21"),
        ("123456789012345678901", "123456789012345680000"),
        ("1e-6", "0.000001"),
        ("1e-7", "1e-7"),
        ("5e-324", "5e-324"),
        ("0.1", "0.1"),
        ("9007199254740993", "9007199254740992"),
        ("[1e400,-1e400]", "[null,null]"),
        ("\"Tim\"", "\"Tim\""),
        (" true ", "true"),
        (r#""\u00e9\u2713\ud83d\ude00""#, "\"é✓😀\""),
        (r#""\/\u0008\u001f\u007f""#, "\"/\\b\\u001f\u{7f}\""),
        (
            r#"{"10":1,"9":2,"a":3,"-1":4,"1.5":5,"01":6}"#,
            r#"{"9":2,"10":1,"a":3,"-1":4,"1.5":5,"01":6}"#,
        ),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"__proto__":1,"":2}"#, r#"{"__proto__":1,"":2}"#),
        // Text that is almost JSON is text.
        ("{a:1}", "{a:1}"),
        ("[1,]", "[1,]"),
        ("01", "01"),
        ("NaN", "NaN"),
        ("'Tim'", "'Tim'"),
        ("1 2", "1 2"),
    ] {
        cases.push((TEXT, sent, passed));
    }
    assert_passed(&cases).await;
}

#[tokio::test]
async fn endless_nesting_is_only_text() {
    let (server, id) = echo().await;
    let deep = "[".repeat(50_000) + &"]".repeat(50_000);
    let joey = Joey::http(&server);
    let answer = joey.run(id, "echo", TEXT, &deep).await;
    assert_eq!((answer.text().len(), answer.fault()), (100_000, ""));
    // As JSON it has a separate limit.
    let answer = joey.run(id, "echo", JSON, &deep).await;
    let truth = (answer.http.as_u16(), answer.fault());
    assert_eq!(truth, (413, "json-depth"), "{:?}", answer.headers);
    assert_eq!(joey.run(id, "echo", TEXT, "x").await.text(), "x");
}

/// Slack's documented form of a slash command, as it arrives.
const SLASH: &str = "token=gIkuvaNzQIHg97ATvDxqgjtO&team_id=T0001&team_domain=example&enterprise_id=E0001\
    &enterprise_name=Globular%20Construct%20Inc&channel_id=C2147483705&channel_name=test&user_id=U2147483697\
    &user_name=Steve&command=%2Fweather&text=94070+%26+%C3%A9&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F1234%2F5678\
    &trigger_id=13345224609.738474920.8088930838d88f008e0&api_app_id=A123456";

#[tokio::test]
async fn a_form_becomes_an_object_of_texts() {
    let form = "application/x-www-form-urlencoded";
    let slash = r#"{"token":"gIkuvaNzQIHg97ATvDxqgjtO","team_id":"T0001","team_domain":"example","enterprise_id":"E0001","enterprise_name":"Globular Construct Inc","channel_id":"C2147483705","channel_name":"test","user_id":"U2147483697","user_name":"Steve","command":"/weather","text":"94070 & é","response_url":"https://hooks.slack.com/commands/1234/5678","trigger_id":"13345224609.738474920.8088930838d88f008e0","api_app_id":"A123456"}"#;
    assert_passed(&[
        (form, SLASH, slash),
        (
            "application/x-www-form-urlencoded; charset=utf-8",
            SLASH,
            slash,
        ),
        (form, "text=hi&x=1", r#"{"text":"hi","x":"1"}"#),
        // Numbers in a form stay texts, and its keys follow JavaScript's order, too.
        (form, "b=1.0&2=x&1=y", r#"{"1":"y","2":"x","b":"1.0"}"#),
        (form, "a=1&a=2", r#"{"a":["1","2"]}"#),
        (form, "text=", r#"{"text":""}"#),
        (form, "quote=%22%5C", r#"{"quote":"\"\\"}"#),
    ])
    .await;
}

/// The content types of curl, jQuery and axios are three different texts.
#[tokio::test]
async fn the_content_type_is_compared_exactly() {
    assert_passed(&[
        (TEXT, "25.0", "25"),
        ("text/plain;charset=UTF-8", "25.0", "25.0"),
        ("text/plain; charset=utf-8", " [1] ", " [1] "),
        ("TEXT/PLAIN", "25.0", "25.0"),
        (JSON, "[25.0]", "[25]"),
        ("application/json; charset=utf-8", "[25.0]", "[25]"),
        ("text/html", "<p>", ""),
        ("application/xml", "<p/>", ""),
        ("nonsense", "x", ""),
    ])
    .await;
    let (server, id) = echo().await;
    // Node sends no type by default: no argument.
    let node = Joey::http(&server).like(Manner::Node);
    let bare = node.call("POST", format!("/api/run/{id}/say")).body("Tim");
    assert_eq!(bare.send().await.text(), "hello ");
    // curl sends the type of a form: the text is the name of a field.
    let curl = Joey::http(&server);
    let bare = curl.call("POST", format!("/api/run/{id}/say")).body("Tim");
    assert_eq!(bare.send().await.text(), r#"hello {"Tim":""}"#);
}

#[tokio::test]
async fn invalid_json_is_400_as_in_2020() {
    let (server, id) = echo().await;
    let joey = Joey::http(&server);
    for body in ["1", "null", "true", "\"Tim\"", "{", "Tim", "[1,]"] {
        let answer = joey.run(id, "echo", JSON, body).await;
        assert_eq!(
            (answer.http.as_u16(), answer.status(), answer.fault()),
            (400, 400, "json"),
            "{body}"
        );
    }
    // `null` as text ended the original.
    let answer = joey.run(id, "echo", TEXT, "null").await;
    assert_eq!((answer.text().as_str(), answer.status()), ("null", 200));
}

#[tokio::test]
async fn text_of_any_language_round_trips() {
    let (server, id) = echo().await;
    for text in ["é", "漢字", "😀", "\u{2028}", "\r\n\t", "a\0b"] {
        for manner in [Manner::Curl, Manner::Node] {
            let joey = Joey::http(&server).like(manner);
            assert_eq!(joey.run(id, "echo", TEXT, text).await.text(), text);
        }
    }
}
