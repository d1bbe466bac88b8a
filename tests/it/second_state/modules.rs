//! Modules in the shape of 2020, as text, so that the tests of its API need no compiled guests.
//!
//! A function takes the address of its result, then pointer and length of each text, which the host got from
//! `__wbindgen_malloc`.

use iof_tests::guests::wat;

/// The heap and the helpers of the functions, between imports and functions. The memory below 64 KiB is free for fixed
/// data.
const HEAP: &str = r#"
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 65536))
  (func $malloc (export "__wbindgen_malloc") (param $size i32) (result i32)
    (local $at i32) (local $short i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15)) (i32.const -8)))
    (local.set $short (i32.sub (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $short) (i32.const 0)) (then
      (if (i32.eq (i32.const -1)
            (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $short) (i32.const 16)))))
        (then unreachable))))
    (local.get $at))
  (func $return (param $ret i32) (param $at i32) (param $length i32)
    (i32.store (local.get $ret) (local.get $at))
    (i32.store offset=4 (local.get $ret) (local.get $length)))
"#;

fn module(imports: &str, functions: &str) -> Vec<u8> {
    wat(&format!("(module {imports} {HEAP} {functions})"))
}

/// A module whose `say` puts `hello ` before its argument, `echo` returns it, `three` joins three with bars, `trap`
/// traps.
pub(crate) fn hello() -> Vec<u8> {
    module(
        "",
        r#"
  (data (i32.const 16) "hello |")
  (func (export "say") (param $ret i32) (param $at i32) (param $length i32)
    (local $out i32)
    (local.set $out (call $malloc (i32.add (local.get $length) (i32.const 6))))
    (memory.copy (local.get $out) (i32.const 16) (i32.const 6))
    (memory.copy (i32.add (local.get $out) (i32.const 6)) (local.get $at) (local.get $length))
    (call $return (local.get $ret) (local.get $out) (i32.add (local.get $length) (i32.const 6))))
  (func (export "echo") (param $ret i32) (param $at i32) (param $length i32)
    (call $return (local.get $ret) (local.get $at) (local.get $length)))
  (func $join (param $a i32) (param $n i32) (param $b i32) (param $m i32) (result i32)
    (local $out i32)
    (local.set $out (call $malloc (i32.add (i32.add (local.get $n) (local.get $m)) (i32.const 1))))
    (memory.copy (local.get $out) (local.get $a) (local.get $n))
    (memory.copy (i32.add (local.get $out) (local.get $n)) (i32.const 22) (i32.const 1))
    (memory.copy (i32.add (i32.add (local.get $out) (local.get $n)) (i32.const 1)) (local.get $b) (local.get $m))
    (local.get $out))
  (func (export "three") (param $ret i32) (param $a i32) (param $l i32) (param $b i32) (param $m i32) (param $c i32) (param $n i32)
    (local $two i32)
    (local.set $two (i32.add (i32.add (local.get $l) (local.get $m)) (i32.const 1)))
    (call $return (local.get $ret)
      (call $join (call $join (local.get $a) (local.get $l) (local.get $b) (local.get $m)) (local.get $two)
        (local.get $c) (local.get $n))
      (i32.add (i32.add (local.get $two) (local.get $n)) (i32.const 1))))
  (func (export "trap") (param i32 i32 i32) unreachable)
"#,
    )
}

/// A module whose `fixed` returns this text for any argument.
pub(crate) fn fixed(text: &str) -> Vec<u8> {
    let data: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length = text.len();
    module(
        "",
        &format!(
            r#"(data (i32.const 1024) "{data}")
  (func (export "fixed") (param $ret i32) (param i32 i32)
    (call $return (local.get $ret) (i32.const 1024) (i32.const {length})))"#
        ),
    )
}

/// A module whose `only` returns `answer` if its argument is exactly `expected`, and traps otherwise.
pub(crate) fn only(expected: &str, answer: &str) -> Vec<u8> {
    let escape =
        |text: &str| -> String { text.bytes().map(|byte| format!("\\{byte:02x}")).collect() };
    let (expected_data, answer_data) = (escape(expected), escape(answer));
    let (expected_length, answer_length) = (expected.len(), answer.len());
    module(
        "",
        &format!(
            r#"(data (i32.const 1024) "{expected_data}") (data (i32.const 8192) "{answer_data}")
  (func (export "only") (param $ret i32) (param $at i32) (param $length i32)
    (local $i i32)
    (if (i32.ne (local.get $length) (i32.const {expected_length})) (then unreachable))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $length)) (then
        (if (i32.ne (i32.load8_u (i32.add (local.get $at) (local.get $i)))
                    (i32.load8_u (i32.add (i32.const 1024) (local.get $i)))) (then unreachable))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
    (call $return (local.get $ret) (i32.const 8192) (i32.const {answer_length})))"#
        ),
    )
}

/// A module whose `state` returns the second argument of the program, which is the state for functions of 2020.
pub(crate) fn state() -> Vec<u8> {
    module(
        r#"(import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))"#,
        r#"
  (func (export "state") (param $ret i32) (param i32 i32)
    (local $buffer i32)
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (local.set $buffer (call $malloc (i32.load (i32.const 20))))
    (drop (call $get (i32.const 1024) (local.get $buffer)))
    ;; The first is the function's name; the last byte is the zero after the second.
    (call $return (local.get $ret) (i32.load (i32.const 1028))
      (i32.sub (i32.sub (i32.add (local.get $buffer) (i32.load (i32.const 20))) (i32.load (i32.const 1028)))
        (i32.const 1))))"#,
    )
}

/// A module whose `version` returns this number as a text of six digits; `slow` does so after that many milliseconds.
pub(crate) fn version(number: u32, milliseconds: u32) -> Vec<u8> {
    let nanoseconds = u64::from(milliseconds) * 1_000_000;
    module(
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#,
        &format!(
            r#"(data (i32.const 1024) "{number:06}")
  (func (export "version") (param $ret i32) (param i32 i32)
    (call $return (local.get $ret) (i32.const 1024) (i32.const 6)))
  (func (export "slow") (param $ret i32) (param i32 i32)
    ;; One subscription: the monotonic clock, relative.
    (i32.store offset=16 (i32.const 64) (i32.const 1))
    (i64.store offset=24 (i32.const 64) (i64.const {nanoseconds}))
    (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 192)))
    (call $return (local.get $ret) (i32.const 1024) (i32.const 6)))"#
        ),
    )
}

/// The original's `wasm_sha256`: over the text of the bytes in decimal.
pub(crate) fn legacy_sha256(module: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(decimal(module).as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{hex}")
}

/// A module in the form in which the original stored it: `0,97,115,109`.
pub(crate) fn decimal(module: &[u8]) -> String {
    let numbers: Vec<String> = module.iter().map(u8::to_string).collect();
    numbers.join(",")
}

/// A multi-part body: `(name, file name, bytes)`, as curl's `--form` writes them.
pub(crate) fn form(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "------------------------d74496d66958873e";
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        body.extend(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").bytes(),
        );
        if let Some(file) = file {
            body.extend(
                format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream").bytes(),
            );
        }
        body.extend(b"\r\n\r\n");
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
