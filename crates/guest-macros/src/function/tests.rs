//! Functions that are refused, and the messages; accepted ones are tested from outside, in `iof-guest`.

use quote::quote;

use super::expand;

fn refused(item: &str) -> String {
    let item = item.parse().unwrap();
    expand(quote!(), item)
        .expect_err("it is refused")
        .to_string()
}

macro_rules! refuse {
    ($($name:ident: $item:literal => $words:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(refused($item), $words);
        }
    )*};
}

refuse! {
    async_functions: "async fn f() {}" =>
        "a call has one thread, and its commands block: remove `async`";
    unsafe_functions: "unsafe fn f() {}" =>
        "callers cannot keep the contract of an unsafe function: remove `unsafe`";
    foreign_functions: "extern \"C\" fn f() {}" =>
        "the attribute generates the export that the server calls: remove `extern`";
    generics: "fn f<T>(a: T) {}" =>
        "a call needs to know the types: write them in place of generics, and references without lifetimes";
    lifetimes: "fn f<'a>(a: &'a str) -> &'a str { a }" =>
        "a call needs to know the types: write them in place of generics, and references without lifetimes";
    where_clauses: "fn f() where (): Send {}" =>
        "a call needs to know the types: remove the `where` clause";
    methods: "fn f(&self) {}" =>
        "a call has no `self`: make it a function outside of `impl`";
    patterns: "fn f((a, b): (u8, u8)) {}" =>
        "callers see the names of parameters: write a name here, and take the value apart in the function";
    nameless: "fn f(_: u8) {}" =>
        "callers see the names of parameters: write a name here, and take the value apart in the function";
    mutable_references: "fn f(a: &mut Vec<u8>) {}" =>
        "a parameter returns nothing to the caller: take it by value, and return the changed value";
    static_references: "fn f(a: &'static str) {}" =>
        "an argument lives as long as its call: write the reference without a lifetime";
    borrowed_json: "fn f(a: Option<&str>) {}" =>
        "JSON contains nothing to borrow from: write the owned type, such as `Option<String>`";
    borrowed_cows: "fn f(a: Cow<'_, str>) {}" =>
        "JSON contains nothing to borrow from: write the owned type, such as `Option<String>`";
    traits_in: "fn f(a: impl Into<String>) {}" =>
        "a call needs to know the type: write its name instead of a trait";
    trait_objects: "fn f(a: &dyn Display) {}" =>
        "a call needs to know the type: write its name instead of a trait";
    traits_out: "fn f() -> impl Display { 1 }" =>
        "a call needs to know the type: write its name instead of a trait";
    function_pointers: "fn f(a: fn()) {}" =>
        "only data crosses: write a type that serde reads and writes";
    raw_pointers: "fn f(a: *const u8) {}" =>
        "only data crosses: write a type that serde reads and writes";
    machine_words: "fn f(a: usize) {}" =>
        "`usize` is not the same on every machine: write `u32` or `u64`";
    machine_words_out: "fn f() -> Result<isize, String> { Ok(1) }" =>
        "`isize` is not the same on every machine: write `i32` or `i64`";
    endless: "fn f() -> ! { loop {} }" =>
        "a call has to end: return `()`, or a `Result` to end it with an error";
    bare_results: "fn f() -> fmt::Result { Ok(()) }" =>
        "this `Result` does not state its types: write them, such as `Result<(), String>`";
    names_of_the_c_library: "fn write(a: &str) {}" =>
        "`write` is a function of the C library, whose callers would find yours instead: give it a longer name, such as `write_it`";
    types: "struct A;" =>
        "`#[iof::function]` is for functions with a body: use `#[iof::data]` for a type";
    declarations: "fn f();" =>
        "`#[iof::function]` is for functions with a body: use `#[iof::data]` for a type";
    unfinished_bodies: "fn f() { let x = ; }" =>
        "expected an expression";
}

#[test]
fn options_in_brackets() {
    const WORDS: &str = "`#[iof::function(…)]` takes only `raw` and the methods `get`, `post`, `put`, `patch`, `delete`";
    const BODY: &str = "`raw` passes the unchanged body: take it as the only parameter, as `&str`, `&[u8]` or JSON";
    let plain = "fn f(a: &str) {}";
    for (brackets, item, words) in [
        ("name = \"other\"", plain, WORDS),
        ("head", plain, WORDS),
        ("GET", plain, WORDS),
        ("get post", plain, WORDS),
        ("get(1)", plain, WORDS),
        ("get, raw, get", plain, "`get` is repeated: remove one"),
        ("raw, raw", plain, "`raw` is repeated: remove one"),
        ("raw", "fn f() {}", BODY),
        ("raw", "fn f(a: u8) {}", BODY),
        ("raw", "fn f(a: &str, b: &str) {}", BODY),
    ] {
        let error = expand(brackets.parse().unwrap(), item.parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), words, "{brackets} {item}");
    }
    for brackets in [
        "",
        "raw",
        "get",
        "get, raw,",
        "delete, put, patch, post, get",
    ] {
        assert!(expand(brackets.parse().unwrap(), plain.parse().unwrap()).is_ok());
    }
}

#[test]
fn the_function_itself_stays_as_it_was() {
    let item = quote! {
        /// Adds.
        #[inline]
        pub(crate) const fn add(mut a: i32, b: &i32) -> i32 { a += *b; a }
    };
    let expanded = expand(quote!(), item.clone()).unwrap().to_string();
    assert!(expanded.starts_with(&item.to_string()), "{expanded}");
}
