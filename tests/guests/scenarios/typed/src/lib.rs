//! The scenarios as an exported function of a component.

wit_bindgen::generate!({
    inline: "package test:typed-scenarios;

        world scenarios {
            export scenario: func(name: string, arguments: list<string>) -> string;
        }",
});

struct Scenarios;

export!(Scenarios);

impl Guest for Scenarios {
    fn scenario(name: String, arguments: Vec<String>) -> String {
        scenarios::run_blocking(&scenario_component_imports::Component, &name, &arguments)
    }
}
