//! The two pictures of a fit, as SVG: how much each component explains, and where the photos lie on the first two.

use std::fmt::Display;

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

mod scatter;
mod scree;

pub use scatter::{Point, scatter};
pub use scree::scree;

/// The most characters of a title.
const TITLE_CHARACTERS: usize = 90;
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
const INK: RGBColor = RGBColor(0x22, 0x2B, 0x38);
const SOFT_INK: RGBColor = RGBColor(0x5B, 0x67, 0x78);
const GRID: RGBColor = RGBColor(0xE6, 0xEA, 0xF0);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Mesh<'a, 'm, 'b> = MeshStyle<'a, 'm, RangedCoordf64, RangedCoordf64, SVGBackend<'b>>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A dot of this colour, what it stands for, and how many there are.
fn key(area: &Area<'_>, (x, y): (i32, i32), colour: RGBColor, label: &str, count: &str) -> Result<()> {
    area.draw(&Circle::new((x, y), 5, colour.filled())).map_err(internal)?;
    write(area, (x + 12, y), label, text(12.5, INK, HPos::Left))?;
    if count.is_empty() {
        return Ok(());
    }
    write(area, (982, y), count, text(11.5, SOFT_INK, HPos::Right))
}

/// A white page of this size in pixels, and what is drawn on it.
fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut page = String::new();
    let area = SVGBackend::with_string(&mut page, size).into_drawing_area();
    area.fill(&WHITE).map_err(internal)?;
    draw(&area)?;
    area.present().map_err(internal)?;
    drop(area);
    Ok(page)
}

fn heading(area: &Area<'_>, title: &str, rest: &str) -> Result<()> {
    let bold =
        (FONT, 17.0 * 1.24, FontStyle::Bold).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    write(area, (24, 28), &shortened(title, TITLE_CHARACTERS), bold)?;
    write(area, (24, 51), rest, text(13.0, SOFT_INK, HPos::Left))
}

/// Axes over these ranges, below the heading, with this margin to the right.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    right: u32,
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
) -> Result<Chart<'a, 'b>> {
    ChartBuilder::on(area)
        .margin_top(72)
        .margin_right(right)
        .margin_bottom(14)
        .margin_left(14)
        .x_label_area_size(50)
        .y_label_area_size(66)
        .build_cartesian_2d(x, y)
        .map_err(internal)
}

/// The look of all axes: pale lines, quiet numbers.
fn style<'c, 'a, 'm, 'b>(mesh: &'c mut Mesh<'a, 'm, 'b>) -> &'c mut Mesh<'a, 'm, 'b> {
    mesh.bold_line_style(GRID)
        .max_light_lines(0)
        .axis_style(SOFT_INK.mix(0.5))
        .set_all_tick_mark_size(4)
        .label_style((FONT, 12.0 * 1.24).into_font().color(&SOFT_INK))
        .axis_desc_style((FONT, 13.0 * 1.24).into_font().color(&INK))
}

/// Text of this size in pixels, centred vertically on its place.
fn text(size: f64, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    // The backend divides by 1.24.
    (FONT, size * 1.24).into_font().color(&colour).pos(Pos::new(side, VPos::Center))
}

fn write(area: &Area<'_>, place: (i32, i32), words: &str, style: TextStyle<'_>) -> Result<()> {
    area.draw(&Text::new(words, place, style)).map_err(internal)
}

/// A share of 0 to 1 as a percentage; 0 if it is not finite.
fn percent(ratio: f64) -> f64 {
    if ratio.is_finite() { 100.0 * ratio.clamp(0.0, 1.0) } else { 0.0 }
}

fn number(percent: f64) -> String {
    match percent {
        0.0 => "0".to_owned(),
        ..0.05 => "<0.1".to_owned(),
        _ => format!("{percent:.1}"),
    }
}

/// At most so many characters, none of them one that XML forbids; the backend escapes the rest.
fn shortened(label: &str, most: usize) -> String {
    let allowed =
        |c: char| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { '\u{FFFD}' } else { c };
    let mut kept: String = label.chars().take(most).map(allowed).collect();
    if label.chars().nth(most).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

fn internal(cause: impl Display) -> Error {
    Error::Internal(format!("plot: {cause}"))
}

#[cfg(test)]
mod tests {
    /// How many tags of this name there are, after a check that all tags are closed in order and that no text is
    /// left that XML would take for markup.
    pub(super) fn tags(svg: &str, name: &str) -> usize {
        let mut open = Vec::new();
        let mut count = 0;
        for piece in svg.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').expect("a tag ends");
            assert!(!text.contains('>'), "{piece}");
            for entity in piece.split('&').skip(1) {
                assert!(
                    ["lt;", "gt;", "amp;", "quot;", "apos;"].iter().any(|known| entity.starts_with(known)),
                    "{piece}"
                );
            }
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed));
                continue;
            }
            let own = tag.split_whitespace().next().expect("a tag has a name");
            count += usize::from(own == name);
            if !tag.ends_with('/') {
                open.push(own);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("-0.0"), "{svg}");
        assert!(svg.chars().all(|c| c == '\n' || !c.is_control()), "{svg}");
        count
    }
}
