//! `iof test`: the tests of a crate, and calls on a temporary server without a network.

use crate::cli::dev::Author;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

fn tested(author: &Author, project: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = author.iof(project, &[&["test"], more].concat());
    // Its dependencies are on the disk, because its project was built from them.
    command.env("CARGO_NET_OFFLINE", "true");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server that gives every request the same answer; its host and port.
fn stand_in() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    address.to_string()
}

#[test]
fn a_new_project_passes_and_failures_are_named() {
    let author = Author::new("tested");
    author.says(&author.folder, &["new", "hello"]);
    let project = author.folder.join("hello");
    let (status, output, stderr) = tested(&author, &project, &[]);
    assert_eq!(status, Some(0), "{output}{stderr}");
    assert_eq!(
        output,
        "hello: its tests passed\n  passed   greet(\"Ada\") = \"Hello, Ada!\"\n\
         calls: 1 passed, 0 failed, 0 skipped\n"
    );
    assert!(
        stderr.contains("it_greets_by_name_and_without ... ok"),
        "{stderr}"
    );
    assert!(!stderr.contains("WARN"), "{stderr}");
    // Its key is not stored among the keys of the user.
    assert!(!author.home.path().join("iof/profiles.toml").exists());

    // Each kind of call, and a failing test of the crate.
    let source = r#"
        /// Takes nothing.
        #[iof::function]
        fn half() -> f64 { 0.5 }
        #[iof::function]
        fn whole() -> f64 { 2.0 }
        #[iof::function]
        fn add(a: u8, b: Option<u8>) -> u8 { a + b.unwrap_or(1) }
        #[iof::function]
        fn level() -> Option<String> { iof::variable("LEVEL") }
        #[iof::function]
        fn fails() -> Result<String, iof::Error> { Err(iof::Error::new("odd", "It is odd.")) }
        #[iof::function]
        fn asks(url: &str) -> String {
            match iof::http::get(url).send() {
                Ok(_) => "it went out".into(),
                Err(error) => error.to_string(),
            }
        }
        #[cfg(test)]
        mod tests {
            #[test]
            fn it_is_a_half() { assert_eq!(super::half(), 0.4); }
        }
    "#;
    fs::write(project.join("src/lib.rs"), source).unwrap();
    // A server of the author's own, in place of a public one.
    let own = stand_in();
    let declaration = r#"
        commands = ["http_proxy"]
        outbound = ["GET http://OWN/", "GET http://1.1.1.1/", "GET https://api.example.com/"]
        [variables]
        LEVEL = "seven"
        [[secrets]]
        value = "Bearer {API_TOKEN}"
        header = "authorization"
        to = "GET https://api.example.com/"
        [[test]]
        export = "whole"
        expect = 2
        [[test]]
        export = "add"
        arguments = [1, 2]
        expect = 4
        [[test]]
        export = "add"
        arguments = [1]
        expect = 2
        [[test]]
        export = "add"
        arguments = [1, 2, 3]
        [[test]]
        export = "away"
        [[test]]
        export = "asks"
        arguments = ["http://1.1.1.1/"]
        [[test]]
        export = "asks"
        arguments = ["http://OWN/x"]
        expect = "it went out"
    "#;
    let declaration = declaration.replace("OWN", &own);
    fs::write(project.join("function.toml"), declaration).unwrap();
    let (status, output, stderr) = tested(&author, &project, &["--json", "--allow", &own]);
    assert_eq!(status, Some(1), "{output}{stderr}");
    assert!(stderr.contains("it_is_a_half ... FAILED"), "{stderr}");
    let output: Value = serde_json::from_str(&output).unwrap();
    let function = &output["functions"][0];
    assert_eq!(function["tests"], "failed", "{output}");
    let calls: Vec<(String, &str, String)> = function["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| {
            let export = call["export"].as_str().unwrap();
            let arguments = match &call["arguments"] {
                Value::Null => String::new(),
                arguments => arguments.to_string(),
            };
            let why = match call["why"].as_str() {
                Some(why) => why.to_owned(),
                None => call["result"].to_string(),
            };
            (
                format!("{export}{arguments}"),
                call["outcome"].as_str().unwrap(),
                why,
            )
        })
        .collect();
    let expected = [
        ("whole[]", "passed", "2"),
        ("add[1,2]", "failed", "expected 4, got 3"),
        ("add[1]", "passed", "2"),
        ("add[1,2,3]", "failed", "it takes 2 arguments (a, b): got 3"),
        ("away[]", "failed", "there is no such export; there are "),
        (
            "asks[\"http://1.1.1.1/\"]",
            "passed",
            "not an address that functions reach",
        ),
        (
            &*format!("asks[\"http://{own}/x\"]"),
            "passed",
            "it went out",
        ),
        ("fails[]", "failed", "It is odd. [function:odd]"),
        ("half[]", "passed", "0.5"),
        // A variable, in WebAssembly.
        ("level[]", "passed", "\"seven\""),
    ];
    for (call, outcome, why) in expected {
        let is_it = |(of, how, output): &&(String, &str, String)| {
            of == call && *how == outcome && output.contains(why)
        };
        assert!(calls.iter().find(is_it).is_some(), "{call}: {calls:#?}");
    }
    assert_eq!(calls.len(), expected.len(), "{calls:#?}");
    assert_eq!(
        (&output["passed"], &output["failed"], &output["skipped"]),
        (&6.into(), &5.into(), &0.into()),
        "the crate's own tests count as one of the failed"
    );

    // An unknown key is refused by its name, and arguments are not guessed.
    fs::write(
        project.join("function.toml"),
        "[[test]]\nexport = \"half\"\nexpects = 0.5\n",
    )
    .unwrap();
    let (status, output, stderr) = tested(&author, &project, &[]);
    assert_eq!(status, Some(1), "{output}{stderr}");
    assert!(
        output.contains("failed   function.toml") && output.contains("expects"),
        "{output}"
    );
    fs::write(project.join("function.toml"), "").unwrap();
    let (_, output, _) = tested(&author, &project, &[]);
    assert!(
        output
            .contains("skipped  add: it takes arguments, but function.toml has no [[test]] for it"),
        "{output}"
    );
    fs::write(project.join("src/lib.rs"), "fn broken( {").unwrap();
    let (status, output, _) = tested(&author, &project, &[]);
    assert_eq!(status, Some(1), "{output}");
    assert!(
        output.contains("hello: its tests failed") && output.contains("cargo"),
        "{output}"
    );
}
