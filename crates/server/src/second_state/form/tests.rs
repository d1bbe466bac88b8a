//! The original parser's results for forms, and the bounds of ours.

use super::*;

const LIMITS: FormLimits = FormLimits {
    fields: 1000,
    depth: 1000,
};

fn form(text: &str) -> String {
    read(text, LIMITS, &mut Budget::default()).unwrap()
}

/// Each pair is output of the original parser.
#[test]
fn fields_nest_as_in_the_original() {
    for (sent, read) in [
        ("text=hi&x=1", r#"{"text":"hi","x":"1"}"#),
        ("a=1&a=2", r#"{"a":["1","2"]}"#),
        ("a=1&a=2&a=3", r#"{"a":["1","2","3"]}"#),
        (
            "a[b]=1&a[c]=2&d[]=x&d[]=y",
            r#"{"a":{"b":"1","c":"2"},"d":["x","y"]}"#,
        ),
        (
            "text=hello+world%21&x=%C3%A4",
            r#"{"text":"hello world!","x":"ä"}"#,
        ),
        ("text=100%&x=%zz", r#"{"text":"100%","x":"%zz"}"#),
        ("text=%ff", r#"{"text":"%ff"}"#),
        ("a&b=", r#"{"a":"","b":""}"#),
        ("=x", r#"{}"#),
        ("__proto__[x]=1&a=1", r#"{"a":"1"}"#),
        ("a[__proto__]=1", r#"{"a":{}}"#),
        ("a[__proto__][b]=1&a[c]=2", r#"{"a":{"c":"2"}}"#),
        ("__proto__=1&a=1", r#"{"a":"1"}"#),
        ("a[100]=x", r#"{"a":["x"]}"#),
        ("a[101]=x", r#"{"a":{"101":"x"}}"#),
        ("a[1]=y&a[0]=x", r#"{"a":["x","y"]}"#),
        ("a[0]=x&a[0]=y", r#"{"a":[["x","y"]]}"#),
        ("a[b]=1&a=2", r#"{"a":{"2":true,"b":"1"}}"#),
        ("a=2&a[b]=1", r#"{"a":["2",{"b":"1"}]}"#),
        ("a=&a[b]=1", r#"{"a":["",{"b":"1"}]}"#),
        ("a[b]=1&a=", r#"{"a":{"b":"1"}}"#),
        ("a[]=1&a[b]=2", r#"{"a":{"0":"1","b":"2"}}"#),
        ("a[b]=2&a[]=1", r#"{"a":{"0":"1","b":"2"}}"#),
        ("a[0]=1&a[b]=2", r#"{"a":{"0":"1","b":"2"}}"#),
        ("a[5]=1&a[]=2", r#"{"a":["2","1"]}"#),
        ("a[][b]=1&a[][b]=2", r#"{"a":[{"b":["1","2"]}]}"#),
        ("a[][b]=1&a[][c]=2", r#"{"a":[{"b":"1","c":"2"}]}"#),
        ("a[0][b]=1&a[0][c]=2", r#"{"a":[{"b":"1","c":"2"}]}"#),
        ("[a]=1", r#"{"a":"1"}"#),
        ("[]=1&[]=2", r#"{"0":"1","1":"2"}"#),
        ("[0]=1&x=2", r#"{"0":"1","x":"2"}"#),
        ("a[b]c[d]=1", r#"{"a":{"b":{"d":"1"}}}"#),
        ("a[[x]=1", r#"{"a[":{"x":"1"}}"#),
        ("a[x]]=1", r#"{"a":{"x":"1"}}"#),
        ("a]=1", r#"{"a]":"1"}"#),
        ("a[=1", r#"{"a[":"1"}"#),
        ("a[b=1", r#"{"a[b":"1"}"#),
        ("a[b]=1=2", r#"{"a":{"b":"1=2"}}"#),
        ("a=b=c", r#"{"a":"b=c"}"#),
        ("1[x]=b&1=a", r#"{"1":["a",{"x":"b"}]}"#),
        ("b=1&10=2&9=3", r#"{"9":"3","10":"2","b":"1"}"#),
        (
            "toString=1&a[hasOwnProperty]=2",
            r#"{"toString":"1","a":{"hasOwnProperty":"2"}}"#,
        ),
        ("a.b=1", r#"{"a.b":"1"}"#),
        ("a[01]=x&a[-1]=y", r#"{"a":{"01":"x","-1":"y"}}"#),
        ("a[ 1]=x", r#"{"a":{" 1":"x"}}"#),
        ("&&a=1&&", r#"{"a":"1"}"#),
        ("a%5Bb%5D=1", r#"{"a":{"b":"1"}}"#),
        ("a%5Bb%5D%5B%5D=1&a[b][]=2", r#"{"a":{"b":["1","2"]}}"#),
        (
            "a[b][c][d][e][f][g][h]=1",
            r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":"1"}}}}}}}}"#,
        ),
        ("a[1]=1&a[1]=2&a[2]=3", r#"{"a":[["1","2"],"3"]}"#),
        ("a[0]=1&a=2&a[0]=3", r#"{"a":[["1","3"],"2"]}"#),
        ("a[b]=true&a[b][c]=1", r#"{"a":{"b":["true",{"c":"1"}]}}"#),
        ("a=1&a=2&a[b]=3", r#"{"a":{"0":"1","1":"2","b":"3"}}"#),
        ("a=1&a=2&a[]=3", r#"{"a":["1","2","3"]}"#),
        ("a[]=1&a=2", r#"{"a":["1","2"]}"#),
        ("a[]=&a[]=x", r#"{"a":["","x"]}"#),
        ("a[2]=x&a=y", r#"{"a":["x","y"]}"#),
        ("b[toString]=1&b=x", r#"{"b":{"toString":"1","x":true}}"#),
        ("a=%E2%82", r#"{"a":"%E2%82"}"#),
        ("a=%F0%9F%98%80", r#"{"a":"😀"}"#),
        ("utf8=%E2%9C%93&a=1", r#"{"utf8":"✓","a":"1"}"#),
        ("a=1;b=2", r#"{"a":"1;b=2"}"#),
        ("a[]", r#"{"a":[""]}"#),
        ("a[b]", r#"{"a":{"b":""}}"#),
        ("a[][]=1&a[][]=2", r#"{"a":["1","2"]}"#),
        ("a[0][]=1&a[0][]=2", r#"{"a":[["1","2"]]}"#),
        ("a[b]=1&a[b]=2", r#"{"a":{"b":["1","2"]}}"#),
        (
            "a[b]=1&a[b]=2&a[b][c]=3",
            r#"{"a":{"b":{"0":"1","1":"2","c":"3"}}}"#,
        ),
        ("[]=a&b=2", r#"{"0":"a","b":"2"}"#),
        ("[=1&]=2", r#"{"[":"1","]":"2"}"#),
    ] {
        assert_eq!(form(sent), read, "{sent}");
    }
}

#[test]
fn fields_and_depth_are_bounded() {
    let fields = |count: usize| vec!["a=1"; count].join("&");
    assert!(form(&fields(1000)).starts_with(r#"{"a":["1","1""#));
    let read = |text: &str| read(text, LIMITS, &mut Budget::default());
    assert_eq!(read(&fields(1001)).unwrap_err().code(), "form-fields");
    assert_eq!(read(&"&".repeat(1000)).unwrap_err().code(), "form-fields");
    let deep = |depth: usize| format!("a{}=1", "[b]".repeat(depth - 1));
    assert!(read(&deep(1000)).is_ok());
    assert_eq!(read(&deep(1001)).unwrap_err().code(), "json-depth");
    // A form of a hundred kilobytes cannot make an array of a hundred million elements.
    let sparse: Vec<_> = (0..999).map(|at| format!("a[{at}][998]=x")).collect();
    assert!(form(&sparse.join("&")).len() < 20_000);
}

/// No part of a form uses the stack for its depth, whether it is merged, overwritten or left out.
#[test]
fn a_form_may_be_as_deep_as_its_limit() {
    let limits = FormLimits {
        depth: 200_000,
        ..LIMITS
    };
    let path = "[b]".repeat(100_000);
    for text in [
        format!("a{path}=1&a{path}=2&a{path}[c]=3"),
        format!("a[]{path}=1&a[0]{path}=2"),
        format!("a[b]{path}=1&a=b"),
        format!("a[__proto__]{path}=1"),
    ] {
        assert!(read(&text, limits, &mut Budget::default()).is_ok());
    }
}

proptest::proptest! {
    /// Any text can be read safely.
    #[test]
    fn any_text_is_a_form(text in "[a-c0-2\\[\\]=&%+_]{0,60}") {
        let json = form(&text);
        proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
