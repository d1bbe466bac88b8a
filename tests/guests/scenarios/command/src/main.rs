//! The scenarios as a program of WASI 0.2: its first argument is the name.

fn main() {
    let mut words = std::env::args().skip(1);
    let name = words.next().expect("the name of a scenario");
    print!(
        "{}",
        scenarios::run_blocking(
            &scenario_component_imports::Component,
            &name,
            &words.collect::<Vec<_>>()
        )
    );
}
