//! The README shows a component in three languages, with lines that were run.

use iof_tests::guests::root;
use std::fs;

/// `cargo xtask capture` runs the lines of the guide, and writes what they print.
#[test]
fn the_tour_of_components_has_lines_of_the_guide() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (readme, guide) = (read("README.md"), read("docs/guide/components-tour.md"));
    let tour = readme.split("**In any language.**").nth(1).unwrap();
    let tour = tour.split("```").nth(1).unwrap();
    let captured = guide.split("<!-- capture").nth(1).unwrap();
    let captured = captured.split("<!-- end of capture -->").next().unwrap();
    let mut made = 0;
    for line in tour.lines().skip(1).filter(|line| !line.is_empty()) {
        let run = captured.lines().any(|captured| captured == line);
        assert!(run, "the guide does not have {line}");
        made += usize::from(line.contains("iof new "));
    }
    assert_eq!(made, 3);
}
