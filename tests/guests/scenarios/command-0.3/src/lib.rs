//! The scenarios as a program of WASI 0.3: its first argument is the name.

use scenario_component_imports_0_3::{Component, write_stdout};
use wasip3::cli::environment::get_arguments;

struct Program;

wasip3::cli::command::export!(Program);

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let mut words = get_arguments().into_iter().skip(1);
        let name = words.next().expect("the name of a scenario");
        let words: Vec<_> = words.collect();
        let text = scenarios::run(&Component, &name, &words).await;
        write_stdout(text).await;
        Ok(())
    }
}
