#![no_main]

// The parser of debug sections may panic, which the worker catches. The fuzzer's own hook would end the process before
// that; a panic that nothing catches still ends it.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| {})),
    |data: &[u8]| iof_engine::fuzzing::line_table(data)
);
