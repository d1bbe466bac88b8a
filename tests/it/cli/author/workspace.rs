//! A project of several functions: created, built, tested, served and deployed, all of them or one.

use crate::cli::dev::{Author, Running};
use iof_tests::server::Server;
use serde_json::Value;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn several_functions_are_one_project() {
    let author = Author::new("several");
    let run = |folder: &std::path::Path, args: &[&str]| {
        tokio::task::block_in_place(|| author.says(folder, args))
    };
    let new = ["new", "shop", "--function", "cart", "--function", "mail"];
    let created = run(&author.folder, &new);
    for words in [
        "functions/cart/Cargo.toml",
        "functions/mail/src/lib.rs",
        "iof-guest/",
        "iof call cart greet Ada --dev",
    ] {
        assert!(created.contains(words), "{created}");
    }
    let shop = author.folder.join("shop");
    let mail = shop.join("functions/mail");

    let built = tokio::task::block_in_place(|| author.iof(&shop, &["build", "--json"]).output());
    let built: Value = serde_json::from_slice(&built.unwrap().stdout).unwrap();
    let names = built["functions"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|one| one["package"].as_str().unwrap()).collect();
    assert_eq!(names, ["cart", "mail"], "{built}");
    assert!(mail.join("pkg/mail.wasm").is_file());
    let one = tokio::task::block_in_place(|| author.iof(&mail, &["build", "--json"]).output());
    let one: Value = serde_json::from_slice(&one.unwrap().stdout).unwrap();
    assert_eq!(
        one["package"], "mail",
        "in its folder only that function is built"
    );

    let tested = run(&shop, &["test"]);
    for words in [
        "cart: its tests passed",
        "mail: its tests passed",
        "2 passed, 0 failed",
    ] {
        assert!(tested.contains(words), "{tested}");
    }
    let tested = run(&shop, &["test", "-p", "mail"]);
    assert!(
        !tested.contains("cart: ") && tested.contains("1 passed"),
        "{tested}"
    );

    let server = Server::start("").await;
    let to = ["--server", &server.url];
    let deployed = run(&shop, &[&["deploy"][..], &to].concat());
    assert!(
        deployed.contains("cart version 1") && deployed.contains("mail version 1"),
        "{deployed}"
    );
    let deployed = run(&shop, &[&["deploy", "-p", "mail"][..], &to].concat());
    assert!(
        deployed.contains("mail version 2") && !deployed.contains("cart version"),
        "{deployed}"
    );
    let deployed = run(&shop, &[&["deploy", "functions/cart"][..], &to].concat());
    assert!(
        deployed.contains("cart version 2") && !deployed.contains("mail version"),
        "{deployed}"
    );
    for (args, words) in [
        (
            &["deploy", "--name", "x"][..],
            "--name is for one function: got 2 (cart, mail)",
        ),
        (
            &["deploy", "-p", "post"],
            "the package is unknown: got `post`",
        ),
        (
            &["deploy", "-p", "mail", "functions/mail/pkg/mail.wasm"],
            "--package is for the folder of a workspace",
        ),
    ] {
        let printed = run(&shop, &[args, &to].concat());
        assert!(printed.contains(words), "{args:?}: {printed}");
    }

    let mut dev = tokio::task::block_in_place(|| {
        Running::start(author.iof(&shop, &["dev", "--listen", "127.0.0.1:0"]))
    });
    tokio::task::block_in_place(|| {
        dev.line("cart version 1 runs");
        dev.line("mail version 1 runs");
        let source = fs::read_to_string(mail.join("src/lib.rs")).unwrap();
        fs::write(mail.join("src/lib.rs"), source.replace("Hello,", "Dear")).unwrap();
        dev.line("mail version 2 runs");
        // The other function was not built again.
        assert!(!dev.seen.contains("cart version 2"), "{}", dev.seen);
        assert_eq!(
            author.says(&shop, &["call", "mail", "Ada", "--dev"]),
            "Dear Ada!"
        );
        assert_eq!(
            author.says(&shop, &["call", "cart", "Ada", "--dev"]),
            "Hello, Ada!"
        );
        dev.line("mail  ");
        assert_eq!(dev.interrupt(), Some(0), "{}", dev.seen);
    });
}

#[test]
fn invalid_names_and_options_of_several_functions_are_named() {
    let author = Author::new("not-several");
    for (args, words) in [
        (
            &["new", "shop", "--function", "a", "--function", "a"][..],
            "another function of the project is called that",
        ),
        (
            &["new", "shop", "--function", "a-b", "--function", "a_b"],
            "another function of the project is called that",
        ),
        (
            &["new", "shop", "--function", "match"],
            "it is a word of Rust",
        ),
        (
            &["new", "shop", "--function", "a", "-t", "rust-2020"],
            "the template rust-2020 makes a project of one function",
        ),
        (&["new", "--list", "--function", "a"], "cannot be used with"),
    ] {
        let output = author.says(&author.folder, args);
        assert!(output.contains(words), "{args:?}: {output}");
        assert!(!author.folder.join("shop").exists(), "{args:?}");
    }
}
