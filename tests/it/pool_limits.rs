//! A module that no call has room for is refused at upload, by the limit's name, and replaces nothing. What cannot be
//! loaded later, because settings changed, is tried once in a while and not at every call.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};

/// A module whose function `f` answers a number.
fn numbered(n: usize, declarations: &str) -> Vec<u8> {
    wat(&format!(
        "(module {declarations} (func (export \"f\") (result i32) (i32.const {n})))"
    ))
}

#[tokio::test]
async fn what_no_call_has_room_for_is_refused_and_replaces_nothing() {
    let server = Server::start("[limits]\nmemory = \"16MiB\"\n").await;
    let function = server.upload(numbered(1, "")).await;
    let table = "(table 1 funcref)".repeat(5);
    let many_globals = "(global (mut i64) (i64.const 1))".repeat(200_000);
    for (declarations, fault, words) in [
        ("(memory 1) (memory 1)", "module-memories", "2 memories"),
        ("(memory 257)", "memory", "limits.memory = 16.0 MiB"),
        (
            "(memory 256) (table 1 funcref)",
            "memory",
            "limits.memory = 16.0 MiB",
        ),
        ("(memory 0xffff)", "memory", "limits.memory = 16.0 MiB"),
        (&table, "module-tables", "5 tables"),
        (
            "(table 100001 funcref)",
            "module-table-elements",
            "100001 elements",
        ),
        // Whatever else the pool counts: here, the globals of an instance.
        (&many_globals, "module-instance", "does not fit"),
    ] {
        let module = numbered(2, declarations);
        let refused = server.try_upload(module.clone()).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (422, fault),
            "{}\n{}",
            refused.text(),
            server.log()
        );
        assert!(refused.text().contains(words), "{}", refused.text());
        let update = server
            .request("PUT", &format!("/api/update_wasm_binary/{}", function.id))
            .header("Content-Type", "application/octet-stream")
            .header("SSVM_Admin_Key", &*function.admin_key)
            .body(module.clone());
        assert_eq!(server.answer(update).await.fault(), fault);
        let version = server.try_deploy_version(&function, module, "").await;
        assert_eq!(version.fault(), fault);
        assert_eq!(server.run(function.id, "f", "").await.text(), "1");
    }
    // What just fits is taken, and runs.
    for fits in ["(memory 256)", "(table 100000 funcref)"] {
        let id = server.upload(numbered(3, fits)).await.id;
        assert_eq!(server.run(id, "f", "").await.text(), "3", "{fits}");
    }
}

#[tokio::test]
async fn a_version_begins_within_what_it_declares() {
    let server = Server::start("").await;
    let declaration = "[limits]\nmemory = \"1MiB\"\n";
    let refused = server
        .try_deploy(numbered(1, "(memory 17)"), declaration)
        .await;
    assert_eq!((refused.http.as_u16(), refused.fault()), (422, "memory"));
    let function = server.deploy(numbered(1, "(memory 16)"), declaration).await;
    assert_eq!(server.run(function.id, "f", "").await.text(), "1");
}

/// Its start-up is not done at upload then, and every call hears the same no from `memory.grow`.
#[tokio::test]
async fn a_start_up_that_grows_too_far_is_left_to_the_calls() {
    let server = Server::start("[limits]\nmemory = \"4MiB\"\n").await;
    let module = wat(
        r#"(module (memory (export "memory") 1) (global $was (mut i32) (i32.const 7))
             (func (export "_initialize") (global.set $was (memory.grow (i32.const 100))))
             (func (export "f") (result i32) (global.get $was)))"#,
    );
    let id = server.upload(module).await.id;
    assert_eq!(server.run(id, "f", "").await.text(), "-1");
}

#[tokio::test]
async fn a_failed_load_is_remembered() {
    let mut server = Server::start("").await;
    let small = numbered(1, "");
    let function = server.upload(small).await;
    let large = server
        .try_deploy_version(&function, numbered(2, "(memory 512)"), "")
        .await;
    assert_eq!(large.http.as_u16(), 201, "{}", large.text());
    assert_eq!(server.run(function.id, "f", "").await.text(), "2");

    // The operator allows less now.
    server.stop().await;
    let server = server.restart_with("[limits]\nmemory = \"16MiB\"\n").await;
    let calls = (0..20).map(|_| server.run(function.id, "f", ""));
    for answer in futures::future::join_all(calls).await {
        assert_eq!((answer.status(), answer.fault()), (422, "memory"));
    }
    let tries = server.log().matches("compiling again").count();
    assert_eq!(tries, 1, "{}", server.log());
    // Its owner goes back, and forward again is refused.
    let activate = |version: u32| {
        let path = format!("/v1/functions/{}/active", function.id);
        let request = server
            .request("PUT", &path)
            .bearer_auth(&function.admin_key);
        server.answer(request.json(&serde_json::json!({ "version": version })))
    };
    assert_eq!(activate(1).await.http.as_u16(), 200);
    assert_eq!(server.run(function.id, "f", "").await.text(), "1");
    let refused = activate(2).await;
    assert_eq!((refused.http.as_u16(), refused.fault()), (422, "memory"));
    let path = format!("/v1/functions/{}/canary", function.id);
    let canary = server
        .request("PUT", &path)
        .bearer_auth(&function.admin_key);
    let canary = canary.json(&serde_json::json!({ "version": 2, "percent": 50 }));
    assert_eq!(server.answer(canary).await.fault(), "memory");
    assert_eq!(server.run(function.id, "f", "").await.text(), "1");
}

#[tokio::test]
async fn names_of_imports_and_exports_have_a_length() {
    let server = Server::start("[compile]\nmodule_name = \"100B\"\n").await;
    let export = |length: usize| {
        wat(&format!(
            "(module (func (export \"{}\")))",
            "x".repeat(length)
        ))
    };
    assert_eq!(server.try_upload(export(100)).await.http.as_u16(), 200);
    let imports = [
        format!("(module (import \"{}\" \"f\" (func)))", "x".repeat(101)),
        format!("(module (import \"m\" \"{}\" (func)))", "x".repeat(101)),
    ];
    let modules = imports.iter().map(|text| wat(text)).chain([export(101)]);
    for module in modules {
        let refused = server.try_upload(module).await;
        assert_eq!(
            (refused.http.as_u16(), refused.fault()),
            (422, "module-name"),
            "{}",
            refused.text()
        );
        assert!(refused.text().contains("compile.module_name"));
    }
}

/// Counts and lengths that the host would walk, which no clock of the guest's measures.
#[tokio::test]
async fn counts_and_lengths_of_wasi_are_bounded() {
    let server = Server::start("").await;
    let import = |name: &str, params: &str| {
        format!(
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))"
        )
    };
    let export = |name: &str, body: &str| {
        format!("(func (export \"{name}\") (param $n i32) (result i32) ({body}))")
    };
    let parts = [
        import("fd_write", "i32 i32 i32 i32"),
        import("fd_pwrite", "i32 i32 i32 i64 i32"),
        import("fd_read", "i32 i32 i32 i32"),
        import("fd_pread", "i32 i32 i32 i64 i32"),
        import("poll_oneoff", "i32 i32 i32 i32"),
        import("random_get", "i32 i32"),
        import("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        import("path_unlink_file", "i32 i32 i32"),
        import("path_rename", "i32 i32 i32 i32 i32 i32"),
        "(memory (export \"memory\") 300)".to_owned(),
        // Empty vectors from 65536 on.
        export(
            "write",
            "call $fd_write (i32.const 1) (i32.const 65536) (local.get $n) (i32.const 8)",
        ),
        export(
            "pwrite",
            "call $fd_pwrite (i32.const 1) (i32.const 65536) (local.get $n) (i64.const 0) (i32.const 8)",
        ),
        export(
            "read",
            "call $fd_read (i32.const 0) (i32.const 65536) (local.get $n) (i32.const 8)",
        ),
        export(
            "pread",
            "call $fd_pread (i32.const 0) (i32.const 65536) (local.get $n) (i64.const 0) (i32.const 8)",
        ),
        export(
            "poll",
            "call $poll_oneoff (i32.const 65536) (i32.const 1048576) (local.get $n) (i32.const 8)",
        ),
        export(
            "random",
            "call $random_get (i32.const 65536) (local.get $n)",
        ),
        export(
            "open",
            "call $path_open (i32.const 3) (i32.const 0) (i32.const 65536) (local.get $n) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)",
        ),
        export(
            "unlink",
            "call $path_unlink_file (i32.const 3) (i32.const 65536) (local.get $n)",
        ),
        export(
            "rename",
            "call $path_rename (i32.const 3) (i32.const 65536) (i32.const 1) (i32.const 3) (i32.const 65536) (local.get $n)",
        ),
    ];
    let id = server
        .upload(wat(&format!("(module {})", parts.concat())))
        .await
        .id;
    const INVALID: &str = "28";
    const NAME_TOO_LONG: &str = "37";
    for (export, most, refusal) in [
        ("write", 1024, INVALID),
        ("pwrite", 1024, INVALID),
        ("read", 1024, INVALID),
        ("pread", 1024, INVALID),
        ("poll", 1024, INVALID),
        ("random", 16 << 20, INVALID),
        ("open", 4096, NAME_TOO_LONG),
        ("unlink", 4096, NAME_TOO_LONG),
        ("rename", 4096, NAME_TOO_LONG),
    ] {
        for count in [most + 1, 14_000_000.max(most + 2), i32::MAX, -1] {
            // More than the memory holds is a bad pointer first, or refused: nothing is walked.
            let answer = server.run(id, export, format!("[{count}]")).await;
            let bad_pointer = answer.fault() == "bad-pointer";
            assert!(
                answer.text() == refusal || bad_pointer,
                "{export} {count}: {} {}",
                answer.fault(),
                answer.text()
            );
        }
    }
    for export in ["write", "read", "random"] {
        let answer = server.run(id, export, "[1024]").await;
        assert_eq!(answer.text(), "0", "{export} {}", answer.fault());
    }
    let program = server.upload(guest("program")).await.id;
    assert_eq!(server.run(program, "main", "x").await.fault(), "");
}
