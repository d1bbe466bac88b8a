//! What new users ran into in their first hour: each finding, from outside.

mod at_the_command_line;
mod calling;
mod doctor;
mod found_by_a_stranger;
mod grants;
mod json;
mod keys_kept;
mod refused_calls;
mod settings;
mod variables;

use iof_tests::guests::wat;
use iof_tests::user::User;
use std::fs;

/// A module that is called `hello`, whose `which` answers a number.
fn module(user: &User, number: u32) {
    let module = wat(&format!(
        "(module (func (export \"which\") (result i32) (i32.const {number})))"
    ));
    fs::write(user.folder().join("hello.wasm"), module).unwrap();
}
