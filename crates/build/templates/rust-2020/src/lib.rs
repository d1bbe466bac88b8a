use wasm_bindgen::prelude::*;

#[wasm_bindgen]
pub fn say(s: &str) -> String {
    let r = String::from("hello ");
    return r + s;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_hello() {
        assert_eq!(say("Ada"), "hello Ada");
    }
}
