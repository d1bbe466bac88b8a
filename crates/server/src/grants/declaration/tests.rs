//! Declarations that are accepted, and declarations that are refused with the name of the field.

use super::*;
use crate::grants::Ceiling;
use iof_engine::Limits;

fn read(text: &str) -> Result<Declaration, Fault> {
    let ceiling = Ceiling {
        grants: Grants::as_shipped(),
        limits: Limits::default().into(),
        concurrency: 500,
        schedules: crate::settings::Settings::default().schedule_limits(),
        jobs: crate::settings::Settings::default()
            .job_ceiling(&crate::settings::JobSettings::default()),
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
        (
            "{\"commands\": 1}",
            "declaration",
            "commands: must be a list: got 1",
        ),
        (
            "[[secrets]]\nvalue = \"{A}\"\nto = \"* https://a.test\"",
            "declaration",
            "secrets[0]: it has exactly one location",
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
            "signing[1]: the secret is declared twice",
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

#[test]
fn calls_of_tests_are_checked_and_not_kept() {
    let text = "[[test]]\nexport = \"add\"\narguments = [2, {a = [true]}]\nexpect = 3\n[[test]]\nexport = \"b\"\n";
    let declared = read(text).unwrap();
    assert_eq!(declared.test.len(), 2);
    assert_eq!(declared.test[0].arguments[1]["a"][0], true);
    assert_eq!(declared.test[1].expect, None);
    assert!(!serde_json::to_string(&declared).unwrap().contains("test"));
    for (wrong, part) in [
        ("[[test]]\nexport = \"\"", "test[0]: export: no name"),
        ("[[test]]\narguments = []", "test[0]: export: no name"),
        (
            "[[test]]\nexport = \"a\"\nrequest = \"GET /\"",
            "export and arguments are for a call",
        ),
        (
            "[[test]]\nexport = \"a\"\nstatus = 200",
            "body and status are for a request",
        ),
        (
            "[[test]]\nrequest = \"GET x\"",
            "not a method and a path: got",
        ),
        ("[[test]]\nrequest = \"/x\"", "not a method and a path: got"),
        ("[[test]]\nrequest = \"GET /\"\nstatus = \"ok\"", "status"),
        (
            "[[test]]\nexport = \"a\"\nexpects = 1",
            "unknown field `expects`",
        ),
        (
            "[[test]]\nexport = \"a\"\nexpect = [2020-01-01]",
            "a date of TOML",
        ),
        ("[test]\nexport = \"a\"", "must be a list"),
    ] {
        let why = read(wrong).unwrap_err().message;
        assert!(why.contains(part), "{wrong}: {why}");
    }
    let many = "[[test]]\nexport = \"a\"\n".repeat(201);
    assert!(
        read(&many)
            .unwrap_err()
            .message
            .contains("test: 201 entries")
    );
}

#[test]
fn a_public_key_is_no_secret_and_is_read_where_it_stands() {
    let key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let entry = |fields: &str| format!("[[signing]]\n{fields}\n");
    let good = format!(
        "key = \"PARTNER\"\nalgorithm = \"ed25519\"\nuse = [\"verify\"]\npublic_key = \"{key}\""
    );
    let declared = read(&entry(&good)).unwrap();
    assert!(declared.secret_names().is_empty());
    assert!(declared.grants().commands.contains("verify"));
    assert_eq!(declared.signing[0].name(), "PARTNER");
    let kept = serde_json::to_string(&declared).unwrap();
    assert_eq!(read(&kept).unwrap(), declared);
    for (fields, part) in [
        (
            good.replace("key = \"PARTNER\"\n", ""),
            "a secret, or a public key of another party",
        ),
        (
            good.replace("key = \"PARTNER", "secret = \"PARTNER"),
            "a secret, or a public key",
        ),
        (
            good.replace("PARTNER", "partner"),
            "key: a name is capital letters",
        ),
        (
            good.replace("verify", "sign"),
            "use: a public key only verifies",
        ),
        (
            good.replace("ed25519", "hmac-sha256"),
            "a key of HMAC is a secret that both sides share",
        ),
        (
            good.replace("ed25519", "es256"),
            "public_key: a public key of another algorithm",
        ),
        (good.replace(key, "AAAA"), "public_key: not a public key"),
        (format!("{good}\nencoding = \"hex\""), "encoding: "),
    ] {
        let why = read(&entry(&fields)).unwrap_err().message;
        assert!(why.contains(part), "{fields}: {why}");
        assert!(!why.contains(key), "{why}");
    }
    let twice = entry(&good) + &entry(&good.replace("ed25519", "es256"));
    assert!(read(&twice).is_err());
}
