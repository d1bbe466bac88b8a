//! `sqlx::migrate!` embeds the files that exist when it expands; cargo has to be told that a new one matters.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
