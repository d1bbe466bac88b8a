//! The modules that `cargo xtask guests` built, and modules written as text.

use std::path::{Path, PathBuf};
use wasi_preview1_component_adapter_provider as adapter;

/// The bytes of a built guest, such as `send_email` or `wasi`.
///
/// # Panics
/// If it is not built, with the command that builds it.
pub fn guest(name: &str) -> Vec<u8> {
    let path = path(name);
    let read = std::fs::File::open(&path).and_then(|mut file| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(bytes)
    });
    read.unwrap_or_else(|e| {
        panic!(
            "{}: {e}. Run `cargo xtask guests`, which builds it",
            path.display()
        )
    })
}

/// A built library as a component, wrapped as the tools of its language do: a handler of HTTP requests, or exported functions.
///
/// # Panics
/// If it is not built, or not a library.
pub fn handler_component(name: &str) -> Vec<u8> {
    component(name, adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
}

/// A built guest with a `main` as a component, wrapped as the tools of its language do.
///
/// # Panics
/// If it is not built, or not a program.
pub fn program_component(name: &str) -> Vec<u8> {
    component(name, adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
}

fn component(name: &str, bytes: &[u8]) -> Vec<u8> {
    wrapped(&guest(name), bytes)
}

/// A core module with a `main` as a component, wrapped as the tools of its language do.
///
/// # Panics
/// If it is not a program of WASI preview 1.
pub fn program_as_component(module: &[u8]) -> Vec<u8> {
    wrapped(module, adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
}

fn wrapped(module: &[u8], bytes: &[u8]) -> Vec<u8> {
    let encoder = wit_component::ComponentEncoder::default();
    encoder
        .module(module)
        .and_then(|encoder| encoder.adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, bytes))
        .and_then(|mut encoder| encoder.encode())
        .expect("a module of the kind that the adapter is for")
}

/// A component in front of another one, whose exports it imports, as `wasm-tools compose` and `wac plug` put them together.
///
/// # Panics
/// If they do not fit.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else runs in a test while its guests are made"
)]
pub fn composed(front: &[u8], behind: &[u8]) -> Vec<u8> {
    use wasm_compose::{composer::ComponentComposer, config::Config};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (
        folder.path().join("front.wasm"),
        folder.path().join("behind.wasm"),
    );
    std::fs::write(&first, front).expect("a file");
    std::fs::write(&second, behind).expect("a file");
    let config = Config {
        definitions: vec![second],
        ..Config::default()
    };
    let composer = ComponentComposer::new(&first, &config);
    composer.compose().expect("components that fit")
}

/// The path at which `cargo xtask guests` puts a guest.
pub fn path(name: &str) -> PathBuf {
    target_dir()
        .join("guests/wasm")
        .join(name)
        .with_extension("wasm")
}

/// The path of a file that a chore of `cargo xtask` put into the target directory.
pub fn built(place: &str) -> PathBuf {
    target_dir().join(place)
}

/// A module or component written as text.
///
/// # Panics
/// If the text is neither.
pub fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("WebAssembly in the text format")
}

/// The folder that this program was built into, which Cargo marks with a `CACHEDIR.TAG`.
pub(crate) fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(|| root().join("target"), Path::to_path_buf)
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is inside the repository")
        .into()
}
