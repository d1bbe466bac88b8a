//! Asks the linker to keep one copy of functions whose code is the same.
//!
//! Each type that a generic function is used with has a copy of it, and many are the same to the byte. rustc guarantees
//! no address to a function, so that the linker may merge all of them.

fn main() {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    // Only rustc's own linker, the default on this target, has the option.
    let lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
