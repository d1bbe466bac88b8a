//! Scenarios that hold for every kind of module: each is written once, and run for each kind that can express it.
//!
//! The guests are `tests/guests/scenarios`: one library has all scenarios by name, and a module of each kind runs them. A
//! new kind is a case of [`iof_tests::kinds::Kind`], a line of [`scenario`], and a guest.
//!
//! | what | why a kind is not in it |
//! |---|---|
//! | `egress` | a core function and a component that answers HTTP requests by 0.2 go through the whole list of `egress/attacks` |
//! | `limits` | what an answer is, and so `limits.output`, is a kind's own |
//! | `replay` | a component that answers HTTP requests is not recorded, which is refused at its deploy |

mod commands;
mod egress;
mod limits;
mod logs;
mod replay;
mod secrets;
mod storage;

/// Makes a test for each kind out of `async fn name(kind: Kind)`, with the kind in its name: of all kinds, or of those named.
macro_rules! scenario {
    ($name:ident) => {
        $crate::scenarios::scenario!(
            $name:
            core_function = CoreFunction,
            core_program = CoreProgram,
            typed_component = TypedComponent,
            program_component = ProgramComponent,
            http_component = HttpComponent,
            async_typed_component = AsyncTypedComponent,
            async_program_component = AsyncProgramComponent,
            async_http_component = AsyncHttpComponent,
        );
    };
    ($name:ident: $($kind:ident = $case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $kind() {
                    super::$name(iof_tests::kinds::Kind::$case).await;
                }
            )+
        }
    };
}
pub(crate) use scenario;
