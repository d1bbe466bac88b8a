//! The scenarios as an exported asynchronous function of a component.

wit_bindgen::generate!({
    inline: "package test:typed-scenarios;

        world scenarios {
            export scenario: async func(name: string, arguments: list<string>) -> string;
        }",
});

struct Scenarios;

export!(Scenarios);

impl Guest for Scenarios {
    async fn scenario(name: String, arguments: Vec<String>) -> String {
        let component = scenario_component_imports_0_3::Component;
        scenarios::run(&component, &name, &arguments).await
    }
}
