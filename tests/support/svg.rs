//! Draws what a terminal shows as an SVG picture.

use std::fmt::Write;

/// The width of a character and the height of a line, in pixels.
const CELL: (f32, f32) = (8.4, 19.0);
const MARGIN: f32 = 16.0;
/// The width of the terminal in characters. The terminal breaks longer lines.
const COLUMNS: usize = 96;

/// A piece of a line: its style and its text.
type Piece<'a> = (&'a str, &'a str);

/// Draws these lines, which may contain the program's escape sequences for colours.
pub fn picture(title: &str, screen: &str) -> String {
    let rows: Vec<Vec<Piece<'_>>> = screen.lines().flat_map(rows).collect();
    let width = COLUMNS as f32 * CELL.0 + 2.0 * MARGIN;
    let height = rows.len() as f32 * CELL.1 + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" font-size=\"14\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n",
        escaped(title)
    );
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
        let y = MARGIN + CELL.1 * (number as f32 + 0.8);
        // `textLength` keeps the columns aligned in every font.
        let columns: usize = row.iter().map(|(_, text)| text.chars().count()).sum();
        let length = columns as f32 * CELL.0;
        let _ = write!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\" \
             fill=\"#d8dee9\">"
        );
        for (style, text) in row {
            let text = escaped(text);
            let _ = match style_of(style) {
                "" => write!(svg, "{text}"),
                style => write!(svg, "<tspan {style}>{text}</tspan>"),
            };
        }
        svg += "</text>\n";
    }
    svg + "</svg>\n"
}

/// Returns the words of a picture.
pub fn words(svg: &str) -> Vec<&str> {
    let texts = svg.split('>').filter_map(|part| part.split('<').next());
    texts.flat_map(str::split_whitespace).collect()
}

/// Splits a line into the rows that a terminal shows.
fn rows(line: &str) -> Vec<Vec<Piece<'_>>> {
    let mut rows = vec![Vec::new()];
    let mut free = COLUMNS;
    for (style, mut text) in pieces(line) {
        while let Some((at, _)) = text.char_indices().nth(free) {
            let (here, rest) = text.split_at(at);
            rows.last_mut().expect("a row").push((style, here));
            rows.push(Vec::new());
            (text, free) = (rest, COLUMNS);
        }
        free -= text.chars().count();
        rows.last_mut().expect("a row").push((style, text));
    }
    rows
}

/// Returns the pieces of a line, each with its style: the numbers of an escape sequence (ECMA-48,
/// SGR).
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = line.split("\x1b[");
    let first = ("", pieces.next().unwrap_or_default());
    let rest = pieces.filter_map(|piece| piece.split_once('m'));
    let all = [first].into_iter().chain(rest);
    all.filter(|(_, text)| !text.is_empty()).collect()
}

fn style_of(numbers: &str) -> &'static str {
    match numbers {
        "1" => "font-weight=\"bold\" fill=\"#ffffff\"",
        "1;31" => "font-weight=\"bold\" fill=\"#ff6b6b\"",
        "1;32" => "font-weight=\"bold\" fill=\"#7ee787\"",
        "31" => "fill=\"#ff8f8f\"",
        "32" => "fill=\"#7ee787\"",
        "33" => "fill=\"#ffd479\"",
        _ => "",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
