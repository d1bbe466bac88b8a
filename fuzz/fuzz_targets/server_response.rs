#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iof_server::fuzzing::response(data));
