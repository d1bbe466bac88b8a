#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iof_engine::fuzzing::line_table(data));
