//! An error that the compiler shows at the place that is wrong.

use crate::proc_macro::{Span, TokenStream, TokenTree};
use crate::template::{literal, template};

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
        let call = template(
            "::core::compile_error! { MESSAGE }",
            &[("MESSAGE", literal(&self.message))],
        );
        call.into_iter()
            .map(|mut token| {
                token.set_span(self.span);
                if let TokenTree::Group(group) = &token {
                    let mut inner = crate::proc_macro::Group::new(
                        group.delimiter(),
                        group
                            .stream()
                            .into_iter()
                            .map(|mut token| {
                                token.set_span(self.span);
                                token
                            })
                            .collect(),
                    );
                    inner.set_span(self.span);
                    return TokenTree::Group(inner);
                }
                token
            })
            .collect()
    }
}
