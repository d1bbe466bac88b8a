//! Values that outlive a call: `ssvm_native`, and `wasmedge_native` of its successor.

use iof_tests::guests::wat;
use iof_tests::server::Server;

/// The exports of a guest, each with one operation; a key is a text of 32 characters, `n` a number.
const GUEST: &str = r#"(module
  (import "ssvm_native" "ssvm_storage_createUUID" (func $uuid (param i32)))
  (import "ssvm_native" "ssvm_storage_beginStoreTx" (func $begin_store (param i32)))
  (import "ssvm_native" "ssvm_storage_storeI32" (func $store32 (param i32)))
  (import "ssvm_native" "ssvm_storage_storeI64" (func $store64 (param i64)))
  (import "ssvm_native" "ssvm_storage_endStoreTx" (func $end_store))
  (import "ssvm_native" "ssvm_storage_beginLoadTx" (func $begin_load (param i32)))
  (import "ssvm_native" "ssvm_storage_loadI32" (func $load32 (result i32)))
  (import "ssvm_native" "ssvm_storage_loadI64" (func $load64 (result i64)))
  (import "ssvm_native" "ssvm_storage_endLoadTx" (func $end_load))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 4096))
  (func (export "__wbindgen_malloc") (param $n i32) (result i32)
    global.get $heap
    (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $n)) (i32.const 7)) (i32.const -8))))
  (func (export "__wbindgen_free") (param i32 i32))

  (func (export "uuid") (param $ret i32)
    (memory.fill (i32.const 2048) (i32.const 33) (i32.const 40))
    (call $uuid (i32.const 2048))
    (i32.store (local.get $ret) (i32.const 2048))
    ;; the digits, the zero behind them, and the first byte that is not written
    (i32.store offset=4 (local.get $ret) (i32.const 34)))
  (func (export "put") (param $key i32) (param i32) (param $n i32) (result i32)
    (call $begin_store (local.get $key))
    (call $store32 (local.get $n))
    (call $store64 (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 0x100000001)))
    (call $end_store)
    local.get $n)
  (func (export "get") (param $key i32) (param i32) (result i32)
    (call $begin_load (local.get $key))
    call $load32
    call $end_load)
  (func (export "get_second") (param $key i32) (param i32) (result i64)
    (call $begin_load (local.get $key))
    call $load32
    drop
    call $load64
    call $end_load)
  (func (export "get_third") (param $key i32) (param i32) (result i32)
    (call $begin_load (local.get $key))
    call $load32 drop call $load64 drop call $load32)
  (func (export "fill") (param $key i32) (param i32) (param $n i32) (result i32)
    (call $begin_store (local.get $key))
    (loop $more
      (call $store32 (local.get $n))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $more (i32.gt_s (local.get $n) (i32.const 0))))
    (call $end_store)
    i32.const 0)
  (func (export "begins") (param $n i32) (result i32)
    (loop $more
      (call $begin_store (i32.const 0))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $more (i32.gt_s (local.get $n) (i32.const 0))))
    i32.const 0)
  (func (export "half") (param $key i32) (param i32) (param $n i32) (result i32)
    (call $begin_store (local.get $key))
    (call $store32 (local.get $n))
    unreachable)
  (func (export "unended") (param $key i32) (param i32) (param $n i32) (result i32)
    (call $begin_store (local.get $key))
    (call $store32 (local.get $n))
    i32.const 0)
  (func (export "stray_store") (call $store32 (i32.const 1)))
  (func (export "stray_end") (call $end_store))
  (func (export "stray_load") (result i32) call $load32)
  (func (export "after_end") (param $key i32) (param i32) (result i32)
    (call $begin_load (local.get $key))
    call $end_load
    call $load32)
  (func (export "far_store") (call $begin_store (i32.const 131050)))
  (func (export "far_load") (call $begin_load (i32.const -1)))
  (func (export "far_uuid") (call $uuid (i32.const 131050)))
)"#;

/// The guest as bytes.
pub(crate) fn guest() -> Vec<u8> {
    wat(GUEST)
}

/// A key of 32 characters.
pub(crate) fn key(name: char) -> String {
    name.to_string().repeat(32)
}

async fn call(server: &Server, id: u64, export: &str, args: &str) -> String {
    let answer = server.run(id, export, args).await;
    match answer.fault() {
        "" => answer.text(),
        fault => format!("{fault}: {}", answer.header("iof-message")),
    }
}

#[tokio::test]
async fn values_outlive_a_call_under_either_name() {
    let server = Server::start("").await;
    for text in [GUEST.to_owned(), GUEST.replace("ssvm_", "wasmedge_")] {
        let id = server.upload(wat(&text)).await.id;
        let a = format!("[\"{}\", -7]", key('a'));
        assert_eq!(call(&server, id, "put", &a).await, "-7");
        assert_eq!(call(&server, id, "get", &key('a')).await, "-7");
        assert_eq!(
            call(&server, id, "get_second", &key('a')).await,
            (-7 * 0x1_0000_0001_i64).to_string()
        );
        let b = format!("[\"{}\", 8]", key('b'));
        assert_eq!(call(&server, id, "put", &b).await, "8");
        assert_eq!(call(&server, id, "get", &key('a')).await, "-7");
        let again = format!("[\"{}\", 9]", key('a'));
        assert_eq!(call(&server, id, "put", &again).await, "9");
        assert_eq!(call(&server, id, "get", &key('a')).await, "9");
    }
}

#[tokio::test]
async fn a_new_key_is_32_digits_and_a_zero() {
    let server = Server::start("").await;
    let id = server.upload(guest()).await.id;
    let (one, two) = (
        call(&server, id, "uuid", "").await,
        call(&server, id, "uuid", "").await,
    );
    assert_ne!(one, two);
    for text in [one, two] {
        assert_eq!(text.len(), 34, "{text:?}");
        assert!(
            text[..32].bytes().all(|b| b.is_ascii_hexdigit()),
            "{text:?}"
        );
        assert_eq!(&text[32..], "\0!");
    }
}

#[tokio::test]
async fn a_store_that_was_not_ended_is_not_stored() {
    let server = Server::start("").await;
    let id = server.upload(guest()).await.id;
    let one = format!("[\"{}\", 1]", key('a'));
    let two = format!("[\"{}\", 2]", key('a'));
    call(&server, id, "put", &one).await;
    assert!(call(&server, id, "half", &two).await.starts_with("trap"));
    assert_eq!(call(&server, id, "unended", &two).await, "0");
    assert_eq!(call(&server, id, "get", &key('a')).await, "1");
}

/// The denied case: a key does not work in another function.
#[tokio::test]
async fn a_function_sees_only_its_own_values() {
    let server = Server::start("").await;
    let mine = server.upload(guest()).await.id;
    let other = server.upload(guest()).await;
    let value = format!("[\"{}\", 5]", key('a'));
    call(&server, mine, "put", &value).await;
    let stolen = call(&server, other.id, "get", &key('a')).await;
    assert!(stolen.starts_with("storage-missing"), "{stolen}");
    // Its own values under the same key are separate.
    call(&server, other.id, "put", &format!("[\"{}\", 6]", key('a'))).await;
    assert_eq!(call(&server, mine, "get", &key('a')).await, "5");
    let missing = server
        .request("DELETE", &format!("/api/executables/{}", other.id))
        .header("SSVM_Admin_Key", &other.admin_key);
    assert_eq!(server.answer(missing).await.status(), 200);
    assert_eq!(call(&server, mine, "get", &key('a')).await, "5");
}

#[tokio::test]
async fn calls_out_of_order_or_out_of_memory_are_faults() {
    let server = Server::start("").await;
    let id = server.upload(guest()).await.id;
    let value = format!("[\"{}\", 1]", key('a'));
    call(&server, id, "put", &value).await;
    for (export, args, fault) in [
        ("get", key('b'), "storage-missing"),
        ("get_third", key('a'), "storage-order"),
        ("after_end", key('a'), "storage-order"),
        ("stray_store", String::new(), "storage-order"),
        ("stray_end", String::new(), "storage-order"),
        ("stray_load", String::new(), "storage-order"),
        ("far_store", String::new(), "bad-pointer"),
        ("far_load", String::new(), "bad-pointer"),
        ("far_uuid", String::new(), "bad-pointer"),
    ] {
        let output = call(&server, id, export, &args).await;
        assert!(output.starts_with(fault), "{export}: {output}");
    }
    assert_eq!(call(&server, id, "get", &key('a')).await, "1");
}

#[tokio::test]
async fn values_survive_a_new_version_and_a_kill() {
    let mut server = Server::start("").await;
    let function = server.upload(guest()).await;
    let id = function.id;
    for n in 0..20 {
        let name = char::from(b'a' + n);
        call(&server, id, "put", &format!("[\"{}\", {n}]", key(name))).await;
    }
    server.kill().await;
    let server = server.restart().await;
    let update = server
        .request("PUT", &format!("/api/update_wasm_binary/{id}"))
        .header("SSVM_Admin_Key", &function.admin_key)
        .header("Content-Type", "application/octet-stream")
        .body(wat(&GUEST.replace("unended", "renamed")));
    assert_eq!(server.answer(update).await.status(), 200);
    for n in 0..20 {
        let name = char::from(b'a' + n);
        assert_eq!(call(&server, id, "get", &key(name)).await, n.to_string());
    }
}
