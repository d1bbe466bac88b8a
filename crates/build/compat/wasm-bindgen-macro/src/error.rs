//! An error that the compiler shows at the place that is wrong.

use crate::proc_macro::{Span, TokenStream};
use crate::template::{literal, template_at};

#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) span: Span,
    pub(crate) message: String,
}

impl Error {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
        }
    }

    /// `compile_error!("…")`, which the compiler reports at the span of its tokens.
    pub(crate) fn into_tokens(self) -> TokenStream {
        template_at(
            self.span,
            "::core::compile_error! { MESSAGE }",
            &[("MESSAGE", literal(&self.message))],
        )
    }
}
