//! No work of its own: build dependencies are those of a build script.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
