//! The plot of `cargo xtask bench tenants`: the ratio to one function, by the number of functions.

use std::fmt::Write as _;

/// A point: functions, and requests a second as a ratio to those of one function.
pub(super) type Point = (u64, f64);

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for the words beside the axes.
const MARGIN: f64 = 44.0;

/// An SVG image of lines, each with its name and colour, over a logarithmic axis from 1 to 10,000.
pub(super) fn svg(lines: &[(&str, &str, &[Point])]) -> String {
    let x =
        |functions: u64| MARGIN + (functions.max(1) as f64).log10() / 4.0 * (WIDTH - 2.0 * MARGIN);
    let y = |ratio: f64| HEIGHT - MARGIN - ratio.min(1.2) / 1.2 * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Requests a second beside those of one function, by the functions that take turns</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    for tenths in (0..=12).step_by(2) {
        let ratio = f64::from(tenths) / 10.0;
        let (left, right, at) = (MARGIN, WIDTH - MARGIN, y(ratio));
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{ratio:.1}</text>",
            left - 6.0,
            at + 4.0
        );
    }
    for functions in [1, 10, 100, 1_000, 10_000] {
        let (at, below) = (x(functions), HEIGHT - MARGIN + 18.0);
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{functions}</text>"
        );
    }
    for (number, (name, colour, points)) in lines.iter().enumerate() {
        let path: Vec<_> = points
            .iter()
            .map(|(functions, ratio)| format!("{:.1} {:.1}", x(*functions), y(*ratio)))
            .collect();
        let at = 20.0 + 18.0 * number as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.1}\" y=\"{at}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
            path.join("L"),
            WIDTH - MARGIN
        );
        for (functions, ratio) in *points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*functions),
                y(*ratio)
            );
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_is_drawn_at_its_coordinates() {
        let svg = svg(&[("evenly", "#07c", &[(1, 1.0), (10_000, 0.5)])]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("cx=\"44.0\""), "{svg}");
        assert!(svg.contains("cx=\"596.0\""), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
