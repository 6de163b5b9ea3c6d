//! Drawing code that both plots share: the page, axes and text.

use std::fmt::Display;

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

/// The maximum length of a title.
const TITLE_CHARACTERS: usize = 90;
/// Fonts in the order of preference. The viewer chooses, since an SVG does not embed a font.
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
/// The SVG backend divides font sizes by this factor.
const FONT_SCALE: f64 = 1.24;

const INK: RGBColor = RGBColor(0x22, 0x2B, 0x38);
pub(super) const SOFT_INK: RGBColor = RGBColor(0x5B, 0x67, 0x78);
const GRID: RGBColor = RGBColor(0xE6, 0xEA, 0xF0);

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Mesh<'a, 'm, 'b> = MeshStyle<'a, 'm, RangedCoordf64, RangedCoordf64, SVGBackend<'b>>;

/// Draws on a white page, with its size in pixels, and returns the SVG.
pub(super) fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut page = String::new();
    let area = SVGBackend::with_string(&mut page, size).into_drawing_area();
    area.fill(&WHITE).map_err(plot_error)?;
    draw(&area)?;
    area.present().map_err(plot_error)?;
    drop(area);
    Ok(page)
}

/// Writes a bold title and a line below it.
pub(super) fn heading(area: &Area<'_>, title: &str, subtitle: &str) -> Result<()> {
    let font = (FONT, 17.0 * FONT_SCALE, FontStyle::Bold).into_font();
    let bold = font.color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    write(area, (24, 28), &shorten(title, TITLE_CHARACTERS), bold)?;
    write(area, (24, 51), subtitle, text(13.0, SOFT_INK, HPos::Left))
}

/// Draws a legend entry: a dot of the colour, its label, and a count at the right edge.
pub(super) fn legend_entry(
    area: &Area<'_>,
    (x, y): (i32, i32),
    colour: RGBColor,
    label: &str,
    count: &str,
) -> Result<()> {
    area.draw(&Circle::new((x, y), 5, colour.filled())).map_err(plot_error)?;
    write(area, (x + 12, y), label, text(12.5, INK, HPos::Left))?;
    if count.is_empty() {
        return Ok(());
    }
    write(area, (982, y), count, text(11.5, SOFT_INK, HPos::Right))
}

/// Creates axes with these ranges below the heading, with a right margin in pixels.
pub(super) fn chart<'a, 'b>(
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
        .map_err(plot_error)
}

/// Styles axes with pale grid lines and small numbers.
pub(super) fn style<'c, 'a, 'm, 'b>(mesh: &'c mut Mesh<'a, 'm, 'b>) -> &'c mut Mesh<'a, 'm, 'b> {
    mesh.bold_line_style(GRID)
        .max_light_lines(0)
        .axis_style(SOFT_INK.mix(0.5))
        .set_all_tick_mark_size(4)
        .label_style((FONT, 12.0 * FONT_SCALE).into_font().color(&SOFT_INK))
        .axis_desc_style((FONT, 13.0 * FONT_SCALE).into_font().color(&INK))
}

/// Returns the style of text with a size in pixels, centred vertically on its position.
pub(super) fn text(size: f64, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    (FONT, size * FONT_SCALE).into_font().color(&colour).pos(Pos::new(side, VPos::Center))
}

pub(super) fn write(
    area: &Area<'_>,
    position: (i32, i32),
    content: &str,
    style: TextStyle<'_>,
) -> Result<()> {
    area.draw(&Text::new(content, position, style)).map_err(plot_error)
}

/// Converts a ratio from 0 to 1 to a percentage. A ratio that is not finite gives 0.
pub(super) fn percent(ratio: f64) -> f64 {
    if ratio.is_finite() { 100.0 * ratio.clamp(0.0, 1.0) } else { 0.0 }
}

/// Formats a percentage with one decimal. A positive value that would round to 0 becomes `<0.1`.
pub(super) fn format_percent(percent: f64) -> String {
    match percent {
        0.0 => "0".to_owned(),
        ..0.05 => "<0.1".to_owned(),
        _ => format!("{percent:.1}"),
    }
}

/// Shortens a label to `max` characters, and replaces characters that XML forbids. The backend
/// escapes all others.
pub(super) fn shorten(label: &str, max: usize) -> String {
    let allowed =
        |c: char| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { '\u{FFFD}' } else { c };
    let mut short: String = label.chars().take(max).map(allowed).collect();
    if label.chars().nth(max).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

pub(super) fn plot_error(cause: impl Display) -> Error {
    Error::Internal(format!("plot: {cause}"))
}

#[cfg(test)]
pub(super) mod tests {
    /// Counts the tags with a name. Checks that the tags are balanced, and that no text contains
    /// unescaped markup.
    pub(in crate::batch::pca::plot) fn tags(svg: &str, name: &str) -> usize {
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
            let tag_name = tag.split_whitespace().next().expect("a tag has a name");
            count += usize::from(tag_name == name);
            if !tag.ends_with('/') {
                open.push(tag_name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("-0.0"), "{svg}");
        assert!(svg.chars().all(|c| c == '\n' || !c.is_control()), "{svg}");
        count
    }
}
