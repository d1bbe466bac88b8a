//! Grants are shown: at a deploy, by `iof show`, at a refusal.

use super::module;
use iof_tests::server::Server;
use iof_tests::user::User;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_says_what_a_version_may_use_and_what_is_different() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    let types = async |line: &[&str], words: &[&str]| -> String {
        let said = user.types(line).await;
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in: {said}");
        }
        said
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
    let said = types(
        &["deploy", "hello.wasm"],
        &["- GET https://a.test", "+ POST https://a.test"],
    )
    .await;
    assert!(!said.contains("command http_proxy"), "{said}");
    let said = types(&["deploy", "hello.wasm"], &["version 4"]).await;
    assert!(!said.contains("it may use"), "{said}");
    types(
        &["show", "hello"],
        &[
            "version 4 may use:",
            "  POST https://a.test",
            "  limits.memory = 32.0 MiB",
        ],
    )
    .await;

    // What a server does not grant is refused by what does not fit.
    declare("commands = [\"http_proxy\"]\noutbound = [\"GET http://localhost:3000/x\"]\n");
    types(
        &["deploy", "hello.wasm"],
        &["`* http://*` does but for the port", "exit status 2"],
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
    let said = user
        .types_with(&["secret", "set", "hello", "RATES_TOKN"], "x")
        .await;
    assert!(
        said.contains("no version of hello declares it, and declared are RATES_TOKEN, not set"),
        "{said}"
    );
    let said = user
        .types_with(&["secret", "set", "hello", "RATES_TOKEN"], "x")
        .await;
    assert!(said.contains("RATES_TOKEN is set\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_function_is_sent_as_it_is() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    for name in ["Bad Name!", "inj&description=hm", "a#b", "a?b=c"] {
        let said = user.types(&["deploy", "hello.wasm", "--name", name]).await;
        assert!(
            said.contains("exit status 2") && !said.contains("URL") && !said.contains("version 1"),
            "{said}"
        );
    }
    let list = user.types(&["list"]).await;
    assert!(list.contains("no functions"), "{list}");
    fs::write(user.folder().join("text.wasm"), "no module").unwrap();
    let said = user.types(&["deploy", "text.wasm"]).await;
    assert!(
        said.contains("text.wasm: not a WebAssembly module: got 9 bytes"),
        "{said}"
    );
    // Without exports, it is said that there is nothing to call.
    fs::write(
        user.folder().join("empty.wasm"),
        iof_tests::guests::wat("(module)"),
    )
    .unwrap();
    let said = user.types(&["deploy", "empty.wasm"]).await;
    assert!(
        said.contains("it exports nothing that can be called"),
        "{said}"
    );
}
