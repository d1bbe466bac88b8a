//! Types of the prelude that need JavaScript: they exist so that the compiler says why they cannot work.

use std::marker::PhantomData;

/// A Rust closure in the hands of JavaScript: there is none.
pub struct Closure<T: ?Sized>(PhantomData<T>);

/// Never true.
#[diagnostic::on_unimplemented(
    message = "a `Closure` is for JavaScript to call, and iof runs functions without JavaScript",
    label = "this needs JavaScript",
    note = "call the function directly, or export it with `#[wasm_bindgen]`"
)]
pub trait JavaScript {}

impl<T: ?Sized> Closure<T> {
    /// Cannot be called.
    pub fn new<F: JavaScript>(_: F) -> Self {
        Self(PhantomData)
    }

    /// Cannot be called.
    pub fn wrap(_: Box<T>) -> Self
    where
        T: JavaScript,
    {
        Self(PhantomData)
    }

    /// Cannot be called.
    pub fn once<F: JavaScript>(_: F) -> Self {
        Self(PhantomData)
    }
}
