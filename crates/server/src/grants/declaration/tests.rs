//! Declarations that are read, and declarations that are refused by the name of the field.

use super::*;
use crate::grants::Ceiling;
use iof_engine::Limits;

fn read(text: &str) -> Result<Declaration, Fault> {
    let ceiling = Ceiling {
        grants: Grants::as_shipped(),
        limits: Limits::default().into(),
        concurrency: 500,
    };
    ceiling.read(text)
}

const FULL: &str = r#"
    commands = ["http_proxy"]
    outbound = ["POST https://api.sendgrid.com/v3/mail"]
    storage = true
    concurrency = 10
    rate = 600
    record = "errors"
    callers_may = ["fetch", "callback"]
    cors = ["https://app.example.com"]
    variables = { API_URL = "https://api.test", "_x" = "" }

    [limits]
    wall_time = "5s"
    memory = "32MiB"

    [[secrets]]
    value = "Bearer {SENDGRID_TOKEN}"
    header = "authorization"
    to = "POST https://api.sendgrid.com/v3/mail"

    [[signing]]
    secret = "HOOK_SECRET"
    algorithm = "hmac-sha256"
    use = ["verify", "sign"]
    encoding = "base64"
"#;

#[test]
fn toml_and_json_say_the_same() {
    let declaration = read(FULL).unwrap();
    let names = ["HOOK_SECRET", "SENDGRID_TOKEN"];
    assert_eq!(declaration.secret_names(), names.into());
    let commands = declaration.grants().commands;
    assert!(commands.iter().eq(["http_proxy", "sign", "verify"]));
    assert_eq!(declaration.record, Record::Errors);
    let json = serde_json::to_string(&declaration).unwrap();
    assert_eq!(read(&json).unwrap(), declaration);
    assert_eq!(read("").unwrap(), Declaration::default());
    assert_eq!(read("{}").unwrap(), Declaration::default());
}

#[test]
fn what_is_wrong_is_named() {
    for (text, code, named) in [
        ("comands = []", "declaration", "comands"),
        ("[limits]\nstack = \"1MiB\"", "declaration", "stack"),
        (
            "outbound = [\"GET example.com\"]",
            "declaration",
            "GET example.com",
        ),
        ("concurrency = 0", "declaration", "concurrency"),
        ("rate = -1", "declaration", "rate"),
        ("[limits]\nwall_time = \"0s\"", "declaration", "limits"),
        ("record = \"sometimes\"", "declaration", "record"),
        ("callers_may = [\"fetsh\"]", "declaration", "fetsh"),
        ("cors = [\"*\"]", "declaration", "cors: \"*\""),
        ("{\"commands\": 1}", "declaration", "sequence"),
        (
            "[[secrets]]\nvalue = \"{A}\"\nto = \"* https://a.test\"",
            "declaration",
            "secrets[0]: it goes to one place",
        ),
        (
            "[[secrets]]\nvalue = \"{A}\"\nheader = \"host\"\nto = \"* https://a.test\"",
            "declaration",
            "header host",
        ),
        (
            "[[secrets]]\nvalue = \"s3cret\"\nheader = \"x\"\nto = \"* https://a.test\"",
            "declaration",
            "no placeholder",
        ),
        (
            "[[signing]]\nsecret = \"small\"\nalgorithm = \"hmac-sha256\"\nuse = [\"sign\"]",
            "declaration",
            "signing[0]: secret",
        ),
        (
            "[[signing]]\nsecret = \"A\"\nalgorithm = \"md5\"\nuse = [\"sign\"]",
            "declaration",
            "hmac-sha256",
        ),
        (
            "[[signing]]\nsecret = \"A\"\nalgorithm = \"hmac-sha1\"\nuse = []",
            "declaration",
            "signing[0]: use",
        ),
        (
            "[[signing]]\nsecret = \"A\"\nalgorithm = \"es256\"\nuse = [\"sign\"]\nencoding = \"hex\"",
            "declaration",
            "signing[0]: encoding",
        ),
        (
            "[[signing]]\nsecret = \"A\"\nalgorithm = \"es256\"\nuse = [\"sign\"]\n[[signing]]\nsecret = \"A\"\nalgorithm = \"hmac-sha1\"\nuse = [\"verify\"]",
            "declaration",
            "signing[1]: the secret is there twice",
        ),
        ("[variables]\n1A = \"x\"", "declaration", "1A"),
        ("[variables]\n\"A-B\" = \"x\"", "declaration", "A-B"),
        ("[variables]\nA = 1", "declaration", "string"),
        ("[variables]\nA = \"x\\u0000\"", "declaration", "zero byte"),
        (
            "[variables]\nstorage_key = \"x\"",
            "declaration",
            "set by the server",
        ),
        ("[env.staging]\n\"\" = \"x\"", "declaration", "env.staging"),
        ("commands = [\"sh\"]", "ceiling", "`sh`"),
        (
            "outbound = [\"* https://*:8443\"]",
            "ceiling",
            "* https://*:8443",
        ),
        (
            "[limits]\nmemory = \"1GiB\"",
            "ceiling",
            "limits.memory = 1.0 GiB",
        ),
        (
            "[limits]\nwall_time = \"1h\"",
            "ceiling",
            "limits.wall_time = 1h",
        ),
        ("concurrency = 501", "ceiling", "server.concurrency = 500"),
    ] {
        let fault = read(text).unwrap_err();
        assert_eq!(fault.code(), code, "{text}: {}", fault.message);
        assert!(fault.message.contains(named), "{text}: {}", fault.message);
        assert!(!fault.message.contains("s3cret"), "{}", fault.message);
    }
}
