//! A drawing as SVG: lines, dots and texts.

use std::fmt::Write as _;

/// Light and dark follow the viewer's; the ground is drawn too, so that either is readable anywhere.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}.soft{fill:#59636e}\
.ground{fill:#fff}.grid{stroke:#d1d9e0}.hollow{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.soft{fill:#9198a1}.ground,.hollow{fill:#0d1117}.grid{stroke:#3d444d}}";

/// Colours that differ for colour-blind people too and are seen on white and on black (Okabe and Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"];

/// How a series of values is drawn: a colour, and dashes when the colours are used up.
#[derive(Debug, Clone, Copy)]
pub struct Pen(pub usize);

impl Pen {
    fn colour(self) -> &'static str {
        COLOURS[self.0 % COLOURS.len()]
    }

    fn dashes(self) -> &'static str {
        ["", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 3\""][self.0 / COLOURS.len() % 3]
    }
}

/// Where a text is by its point.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in the making; places are in pixels from the upper left corner.
#[derive(Debug, Default)]
pub struct Svg {
    elements: String,
}

impl Svg {
    /// A line of the grid.
    pub fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!("<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
    }

    /// A line through `points`, and a dot if it is only one.
    pub fn series(&mut self, points: &[(f64, f64)], pen: Pen) {
        if let [point] = points {
            return self.dot(*point, pen, true);
        }
        let places: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (colour, dashes, places) = (pen.colour(), pen.dashes(), places.join(" "));
        self.add(format_args!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dashes} points=\"{places}\"/>"
        ));
    }

    /// A dot, full or hollow.
    pub fn dot(&mut self, (x, y): (f64, f64), pen: Pen, is_full: bool) {
        let colour = pen.colour();
        let fill = if is_full { format!("fill=\"{colour}\"") } else { "class=\"hollow\"".to_owned() };
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" {fill} stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
    }

    /// A text; `class` is empty, `title` or `soft`.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.elements, "{element}");
    }

    /// The file.
    pub fn finish(self, width: f64, height: f64, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n{}</svg>\n",
            escaped(title),
            self.elements
        )
    }
}

/// Text as XML can hold it: markup is escaped, and control characters, which it cannot hold, are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        let mut svg = Svg::default();
        svg.text((1.0, 2.0), Anchor::End, "soft", "a<b> & \u{1}c");
        let text = svg.finish(10.0, 20.0, "<&>");
        assert!(text.contains("text-anchor=\"end\">a&lt;b&gt; &amp;  c</text>"), "{text}");
        assert!(text.contains("<title>&lt;&amp;&gt;</title>") && text.ends_with("</svg>\n"), "{text}");
    }

    #[test]
    fn one_point_is_a_dot_and_more_are_a_line() {
        let mut svg = Svg::default();
        svg.series(&[(1.0, 2.0)], Pen(0));
        svg.series(&[(1.0, 2.0), (3.0, 4.0)], Pen(8));
        assert!(svg.elements.contains("<circle cx=\"1.0\" cy=\"2.0\" r=\"4\" fill=\"#0072b2\""), "{}", svg.elements);
        assert!(
            svg.elements.contains(
                "stroke=\"#d55e00\" stroke-width=\"1.5\" stroke-dasharray=\"6 3\" points=\"1.0,2.0 3.0,4.0\""
            )
        );
    }
}
