//! Grants are shown by a deploy, by `iof show` and by a refusal.

use super::module;
use iof_tests::server::Server;
use iof_tests::user::User;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_lists_the_grants_of_a_version_and_their_changes() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    let types = async |line: &[&str], words: &[&str]| -> String {
        let output = user.types(line).await;
        for word in words {
            assert!(output.contains(word), "{word:?} is missing in: {output}");
        }
        output
    };
    let declare = |text: &str| fs::write(user.folder().join("function.toml"), text).unwrap();
    types(
        &["deploy", "hello.wasm"],
        &[
            "it may use",
            "what the server grants by default",
            "`http_proxy`",
        ],
    )
    .await;
    declare(
        "commands = [\"http_proxy\"]\noutbound = [\"GET https://a.test\"]\n[limits]\nmemory = \"32MiB\"\n",
    );
    types(
        &["deploy", "hello.wasm"],
        &[
            "different from version 1, it may use",
            "- what the server grants by default",
            "+ command http_proxy",
            "+ GET https://a.test",
            "+ limits.memory = 32.0 MiB",
        ],
    )
    .await;
    declare(
        "commands = [\"http_proxy\"]\noutbound = [\"POST https://a.test\"]\n[limits]\nmemory = \"32MiB\"\n",
    );
    let output = types(
        &["deploy", "hello.wasm"],
        &["- GET https://a.test", "+ POST https://a.test"],
    )
    .await;
    assert!(!output.contains("command http_proxy"), "{output}");
    let output = types(&["deploy", "hello.wasm"], &["version 4"]).await;
    assert!(!output.contains("it may use"), "{output}");
    types(
        &["show", "hello"],
        &[
            "version 4 may use:",
            "  POST https://a.test",
            "  limits.memory = 32.0 MiB",
        ],
    )
    .await;

    // A declaration above the ceiling is refused with the part that exceeds it.
    declare("commands = [\"http_proxy\"]\noutbound = [\"GET http://localhost:3000/x\"]\n");
    types(
        &["deploy", "hello.wasm"],
        &[
            "`* http://*` covers it except for the port",
            "exit status 2",
        ],
    )
    .await;
    declare(
        "[[secrets]]\nvalue = \"Bearer {token}\"\nheader = \"authorization\"\nto = \"GET https://a.test\"\n",
    );
    types(
        &["deploy", "hello.wasm"],
        &["Write {TOKEN}", "exit status 2"],
    )
    .await;
    declare(
        "[[secrets]]\nvalue = \"Bearer {RATES_TOKEN}\"\nheader = \"authorization\"\nto = \"GET https://a.test\"\n",
    );
    types(
        &["deploy", "hello.wasm"],
        &["RATES_TOKEN is not set: iof secret set hello RATES_TOKEN"],
    )
    .await;
    let output = user
        .types_with(&["secret", "set", "hello", "RATES_TOKN"], "x")
        .await;
    assert!(
        output.contains("no version of hello declares it, and declared are RATES_TOKEN, not set"),
        "{output}"
    );
    let output = user
        .types_with(&["secret", "set", "hello", "RATES_TOKEN"], "x")
        .await;
    assert!(output.contains("RATES_TOKEN is set\n"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_function_is_sent_as_it_is() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    for name in ["Bad Name!", "inj&description=hm", "a#b", "a?b=c"] {
        let output = user.types(&["deploy", "hello.wasm", "--name", name]).await;
        assert!(
            output.contains("exit status 2")
                && !output.contains("URL")
                && !output.contains("version 1"),
            "{output}"
        );
    }
    let list = user.types(&["list"]).await;
    assert!(list.contains("no functions"), "{list}");
    fs::write(user.folder().join("text.wasm"), "no module").unwrap();
    let output = user.types(&["deploy", "text.wasm"]).await;
    assert!(
        output.contains("text.wasm: not a WebAssembly module: got 9 bytes"),
        "{output}"
    );
    // A module without exports is reported as one.
    fs::write(
        user.folder().join("empty.wasm"),
        iof_tests::guests::wat("(module)"),
    )
    .unwrap();
    let output = user.types(&["deploy", "empty.wasm"]).await;
    assert!(
        output.contains("it exports nothing that can be called"),
        "{output}"
    );
}
