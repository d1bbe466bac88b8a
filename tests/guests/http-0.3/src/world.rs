//! Imports beside HTTP: printing, files, and what a hostile guest would make.

use wasip3::clocks::monotonic_clock::wait_for as wait;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::http::types::Fields;
use wasip3::{cli, wit_future, wit_stream};

pub async fn print(text: &str) {
    let (mut stream, read) = wit_stream::new();
    let printed = cli::stdout::write_via_stream(read);
    stream.write_all(text.as_bytes().to_vec()).await;
    drop(stream);
    let _ = printed.await;
}

pub async fn print_error(text: &str) {
    let (mut stream, read) = wit_stream::new();
    let printed = cli::stderr::write_via_stream(read);
    stream.write_all(text.as_bytes().to_vec()).await;
    drop(stream);
    let _ = printed.await;
}

/// Writes a file and reads it.
pub async fn file(path: &str, text: &str) -> Result<String, ErrorCode> {
    let directories = get_directories();
    let (root, _) = directories.first().ok_or(ErrorCode::NoEntry)?;
    let path = path.trim_start_matches('/').to_owned();
    let created = root
        .open_at(
            PathFlags::empty(),
            path.clone(),
            OpenFlags::CREATE,
            DescriptorFlags::READ | DescriptorFlags::WRITE,
        )
        .await?;
    let (mut stream, read) = wit_stream::new();
    let written = created.write_via_stream(read, 0);
    stream.write_all(text.as_bytes().to_vec()).await;
    drop(stream);
    written.await?;
    let (stream, read) = created.read_via_stream(0);
    let bytes = stream.collect().await;
    read.await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Streams of which the guest keeps both ends.
pub fn streams(count: u64) -> String {
    for _ in 0..count {
        std::mem::forget(wit_stream::new::<u8>());
    }
    format!("{count} streams")
}

/// Futures of which the guest keeps both ends.
pub fn futures(count: u64) -> String {
    for _ in 0..count {
        std::mem::forget(wit_future::new::<Result<(), cli::types::ErrorCode>>(|| {
            Ok(())
        }));
    }
    format!("{count} futures")
}

/// Streams that the host holds, and their futures.
pub fn printed_streams(count: u64) -> String {
    for _ in 0..count {
        let (stream, read) = wit_stream::new();
        std::mem::forget((stream, cli::stdout::write_via_stream(read)));
    }
    format!("{count} streams")
}

#[link(wasm_import_module = "wasi:clocks/monotonic-clock@0.3.2")]
unsafe extern "C" {
    /// The function itself, without the bindings' own tasks.
    #[link_name = "[async-lower]wait-for"]
    fn wait_for(nanoseconds: u64) -> u32;
}

/// Calls of the host that go on for long, at once.
pub async fn tasks(count: u64) -> String {
    // By the bindings, too, so that the import has a type.
    wait(0).await;
    for _ in 0..count {
        // SAFETY: it takes a number, and reads no memory.
        unsafe { wait_for(3_600_000_000_000) };
    }
    format!("{count} tasks")
}

pub fn fields(count: u64) -> String {
    for _ in 0..count {
        std::mem::forget(Fields::new());
    }
    format!("{count} fields")
}
