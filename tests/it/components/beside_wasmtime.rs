//! The table of `docs/components.md` that has, for each program with which wasmtime tests its own server, the tests here that assert
//! the same: no program is left out, and each test exists.

use iof_tests::guests::root;
use std::collections::BTreeSet;
use std::fs;

/// The programs `p2_http_*`, `p2_api_proxy*`, `p2_cli_serve_*` and those of 0.3, in `crates/test-programs/src/bin` of wasmtime 48.0.
const PROGRAMS: [&str; 50] = [
    "p2_api_proxy",
    "p2_api_proxy_forward_request",
    "p2_api_proxy_streaming",
    "p2_cli_serve_authority_and_scheme",
    "p2_cli_serve_config",
    "p2_cli_serve_echo_env",
    "p2_cli_serve_hello_world",
    "p2_cli_serve_keyvalue",
    "p2_cli_serve_return_before_set",
    "p2_cli_serve_sleep",
    "p2_cli_serve_trap_before_set",
    "p2_cli_serve_with_print",
    "p2_http_outbound_request_content_length",
    "p2_http_outbound_request_get",
    "p2_http_outbound_request_invalid_dnsname",
    "p2_http_outbound_request_invalid_header",
    "p2_http_outbound_request_invalid_port",
    "p2_http_outbound_request_invalid_version",
    "p2_http_outbound_request_large_post",
    "p2_http_outbound_request_missing_path_and_query",
    "p2_http_outbound_request_post",
    "p2_http_outbound_request_put",
    "p2_http_outbound_request_response_build",
    "p2_http_outbound_request_timeout",
    "p2_http_outbound_request_unknown_method",
    "p2_http_outbound_request_unsupported_scheme",
    "p3_api_proxy",
    "p3_cli_serve_hello_world",
    "p3_cli_serve_post_return",
    "p3_cli_serve_sleep",
    "p3_http_echo",
    "p3_http_forbidden_headers",
    "p3_http_middleware",
    "p3_http_middleware_with_chain",
    "p3_http_outbound_request_chunk_size",
    "p3_http_outbound_request_content_length",
    "p3_http_outbound_request_get",
    "p3_http_outbound_request_invalid_dnsname",
    "p3_http_outbound_request_invalid_header",
    "p3_http_outbound_request_invalid_port",
    "p3_http_outbound_request_invalid_version",
    "p3_http_outbound_request_large_post",
    "p3_http_outbound_request_missing_path_and_query",
    "p3_http_outbound_request_post",
    "p3_http_outbound_request_put",
    "p3_http_outbound_request_response_build",
    "p3_http_outbound_request_timeout",
    "p3_http_outbound_request_unknown_method",
    "p3_http_outbound_request_unsupported_scheme",
    "p3_http_proxy",
];

#[test]
fn each_program_of_wasmtime_has_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/components.md")).unwrap();
    let part = page
        .split("### Beside wasmtime's own programs")
        .nth(1)
        .unwrap();
    let part = part.split("\n## ").next().unwrap();
    let mut programs = BTreeSet::new();
    for row in part.lines().filter(|line| line.starts_with("| `")) {
        let (program, tests) = row.trim_matches('|').split_once(" | ").unwrap();
        let tests = quoted(tests);
        assert!(!tests.is_empty(), "{program} has no test");
        for test in tests {
            assert!(exists(test), "{program}: the test is missing: {test}");
        }
        let [program] = quoted(program)[..] else {
            panic!("a row has one program: {row}");
        };
        assert!(programs.insert(program), "{program} is there twice");
    }
    assert_eq!(programs, BTreeSet::from(PROGRAMS));
}

/// The texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns whether a test of this program has such a path, or is run for each kind by such a name.
fn exists(test: &str) -> bool {
    let (module, name) = test.rsplit_once("::").unwrap();
    let file = |module: &str| {
        let path = format!("tests/it/{}.rs", module.replace("::", "/"));
        fs::read_to_string(root().join(path))
    };
    let shared = module.replace("exchange_0_3", "exchange");
    let Ok(code) = file(module).or_else(|_| file(&shared)) else {
        return false;
    };
    let scenario = code.contains(&format!("scenario!({name});"));
    let test = code.split("#[tokio::test").any(|test| {
        let head = test.lines().find(|line| line.contains("fn "));
        head.is_some_and(|head| head.contains(&format!("fn {name}(")))
    });
    scenario || test
}
