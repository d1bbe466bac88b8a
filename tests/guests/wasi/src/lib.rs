//! Operations that a WASI preview 1 guest may do or try: one export each, all of the shape text in, text out.

// The same module as the examples have, so that the tests run what users write.
#[path = "../../../../examples/hello/src/bindgen.rs"]
mod bindgen;

use std::{
    fs, hint, io, thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

// Names that the C library also has (`write`, `exit`, `sleep`) would replace the library's own.
macro_rules! export {
    ($($(#[$doc:meta])* fn $name:ident($argument:ident) $body:block)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// The contract of `bindgen::text`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
            fn run($argument: &str) -> String $body
            // SAFETY: the host keeps the contract.
            unsafe { bindgen::text(run, ret, ptr, len) }
        }
    )*};
}

export! {
    /// Prints the argument on both streams.
    fn print_both(text) {
        println!("out: {text}");
        eprintln!("err: {text}");
        String::new()
    }

    /// Prints lines of 1,000 bytes, as many as the argument says.
    fn print_lines(lines) {
        let line = "x".repeat(999);
        let lines: u64 = number(lines);
        for _ in 0..lines {
            println!("{line}");
        }
        lines.to_string()
    }

    /// All arguments, one a line.
    fn show_args(_unused) {
        std::env::args().collect::<Vec<_>>().join("\n")
    }

    /// One variable of the environment, or all of them as sorted `name=value` lines.
    fn show_env(name) {
        if !name.is_empty() {
            return std::env::var(name).unwrap_or_else(|e| format!("error: {e}"));
        }
        let mut all: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        all.sort();
        all.join("\n")
    }

    /// Writes a file: the path is the first line, the rest is the content.
    fn write_file(path_and_content) {
        let (path, content) = path_and_content.split_once('\n').unwrap_or((path_and_content, ""));
        answer(fs::write(path, content).map(|()| String::from("written")))
    }

    /// Reads a file.
    fn read_file(path) {
        answer(fs::read_to_string(path))
    }

    /// The names in a directory, sorted, one a line.
    fn list_dir(path) {
        answer(fs::read_dir(path).and_then(|entries| {
            let mut names = entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names.join("\n"))
        }))
    }

    /// Fills the file `/big` with as many MiB as the argument says.
    fn fill_disk(mebibytes) {
        use io::Write;
        let block = vec![7; 1 << 20];
        answer(fs::File::create("/big").and_then(|mut file| {
            for _ in 0..number::<u64>(mebibytes) {
                file.write_all(&block)?;
            }
            Ok(String::from("filled"))
        }))
    }

    /// Sleeps for as many milliseconds as the argument says, and answers how long it took.
    fn sleep_ms(milliseconds) {
        let start = Instant::now();
        thread::sleep(Duration::from_millis(number(milliseconds)));
        start.elapsed().as_millis().to_string()
    }

    /// Never ends, and never leaves the guest.
    fn spin(_unused) {
        let mut n = 0u64;
        loop {
            n = hint::black_box(n.wrapping_add(1));
        }
    }

    /// Computes for about as many million rounds as the argument says.
    fn compute(rounds) {
        let mut n = 1u64;
        for i in 0..number::<u64>(rounds) * 1_000_000 {
            n = hint::black_box(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i));
        }
        n.to_string()
    }

    /// Takes memory, MiB by MiB, up to what the argument says or without an end; every page is touched.
    fn eat_memory(mebibytes) {
        let most = if mebibytes.is_empty() { usize::MAX } else { number(mebibytes) };
        let mut eaten = Vec::new();
        while eaten.len() < most {
            eaten.push(hint::black_box(vec![1u8; 1 << 20]));
        }
        eaten.len().to_string()
    }

    /// Calls itself without an end.
    fn recurse(text) {
        #[expect(unconditional_recursion, reason = "this is what it is for")]
        fn deeper(n: u64) -> u64 {
            let frame = hint::black_box([n; 64]);
            deeper(n + 1).wrapping_add(frame[(n % 64) as usize])
        }
        deeper(text.len() as u64).to_string()
    }

    /// A result of as many MiB as the argument says.
    fn huge_answer(mebibytes) {
        "h".repeat(number::<usize>(mebibytes) << 20)
    }

    /// Panics, with the argument as its words.
    fn panics(text) {
        panic!("{text}")
    }

    /// Exits with the status in the argument.
    fn exit_with(status) {
        std::process::exit(number(status))
    }

    /// Seconds since 1970.
    fn tell_clock(_unused) {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_secs().to_string(),
            Err(e) => format!("error: {e}"),
        }
    }

    /// Sixteen random bytes as hexadecimal digits.
    fn random_bytes(_unused) {
        let mut bytes = [0u8; 16];
        // SAFETY: the buffer is valid for a write of its own length.
        let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
        if errno != 0 {
            return format!("error: errno {errno}");
        }
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The number of calls of this instance: 1 where every call has a fresh one.
    fn count_calls(_unused) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static CALLS: AtomicU32 = AtomicU32::new(0);
        (CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string()
    }
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(buffer: *mut u8, length: usize) -> u16;
}

fn number<N: std::str::FromStr>(text: &str) -> N {
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn answer(result: io::Result<String>) -> String {
    result.unwrap_or_else(|e| format!("error: {e}"))
}
