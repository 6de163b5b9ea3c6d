//! The scatter plot: each photo as a dot on components 1 and 2.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::page::{
    Area, SOFT_INK, chart, format_percent, heading, legend_entry, percent, plot_error, shorten, style, svg,
    text, write,
};
use crate::error::Result;

/// The maximum number of dots. From more points, evenly spaced ones are drawn.
const MAX_DOTS: usize = 5_000;
/// The maximum number of labels in the legend.
const MAX_LEGEND_LABELS: usize = 24;
/// The maximum length of a label in the legend.
const LABEL_CHARACTERS: usize = 24;
/// Pixels between the lines of the legend.
const LEGEND_LINE: i32 = 22;

const UNLABELLED: RGBColor = RGBColor(0xA9, 0xB1, 0xBC);

/// Colours that colour-blind readers can distinguish: those of Okabe and Ito (2008), with a darker
/// yellow that is visible on white, and more in between.
const PALETTE: [RGBColor; 12] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x6A, 0x3D, 0x9A),
    RGBColor(0xC2, 0xB2, 0x10),
    RGBColor(0x8C, 0x2D, 0x2D),
    RGBColor(0x84, 0xC4, 0x4C),
    RGBColor(0x33, 0x41, 0x55),
    RGBColor(0xF2, 0x92, 0x92),
];

/// A photo's position on the first two components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    /// The score of the first component.
    pub x: f32,
    /// The score of the second component.
    pub y: f32,
    /// The photo's label, if it has one.
    pub label: Option<&'a str>,
}

/// Draws photos on components 1 and 2, coloured by label, and returns the SVG.
///
/// `ratios` are the two components' shares of the variance, from 0 to 1, for the axes. At most
/// 5,000 points are drawn, evenly spaced in the given order. Points without a label are grey. The
/// legend counts all points, and names the 24 most frequent labels. Points that are not finite are
/// left out.
///
/// # Errors
/// [`Error::Internal`](crate::error::Error::Internal) when the plotting library fails.
pub fn scatter(points: &[Point<'_>], ratios: (f64, f64), title: &str) -> Result<String> {
    let is_finite = |point: &&Point<'_>| point.x.is_finite() && point.y.is_finite();
    let points: Vec<Point<'_>> = points.iter().filter(is_finite).copied().collect();
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for point in &points {
        *counts.entry(point.label).or_default() += 1;
    }
    // Colours follow the alphabetical order, so a label keeps its colour as its count changes.
    let labels = counts.keys().flatten().count();
    let colours: BTreeMap<&str, RGBColor> =
        counts.keys().flatten().enumerate().map(|(index, label)| (*label, colour(index, labels))).collect();
    svg((1000, 680), |area| {
        heading(area, title, &subtitle(points.len()))?;
        draw_dots(area, &points, ratios, &colours)?;
        draw_legend(area, &counts, &colours)
    })
}

fn subtitle(points: usize) -> String {
    let plural = if points == 1 { "" } else { "s" };
    let drawn =
        if points > MAX_DOTS { format!(", {} of them drawn", format_count(MAX_DOTS)) } else { String::new() };
    format!("{} photo{plural}{drawn}", format_count(points))
}

fn draw_dots(
    area: &Area<'_>,
    points: &[Point<'_>],
    ratios: (f64, f64),
    colours: &BTreeMap<&str, RGBColor>,
) -> Result<()> {
    let (xs, ys) = (range(points.iter().map(|point| point.x)), range(points.iter().map(|point| point.y)));
    let (width, height) = (xs.end - xs.start, ys.end - ys.start);
    let mut chart = chart(area, 240, xs, ys)?;
    style(&mut chart.configure_mesh())
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&|x| format_tick(*x, width))
        .y_label_formatter(&|y| format_tick(*y, height))
        .x_desc(format!("component 1 ({} % of the variance)", format_percent(percent(ratios.0))))
        .y_desc(format!("component 2 ({} % of the variance)", format_percent(percent(ratios.1))))
        .draw()
        .map_err(plot_error)?;
    let count = points.len().min(MAX_DOTS);
    let radius = match count {
        0..500 => 4,
        500..2_000 => 3,
        _ => 2,
    };
    let evenly_spaced = (0..count).map(|index| points[index * points.len() / count]);
    let dots = evenly_spaced.map(|point| {
        let colour = point.label.and_then(|label| colours.get(label)).unwrap_or(&UNLABELLED);
        Circle::new((f64::from(point.x), f64::from(point.y)), radius, colour.mix(0.75).filled())
    });
    chart.draw_series(dots).map_err(plot_error)?;
    Ok(())
}

/// Lists the most frequent labels in alphabetical order, the number of other labels, and the photos
/// without a label.
fn draw_legend(
    area: &Area<'_>,
    counts: &BTreeMap<Option<&str>, usize>,
    colours: &BTreeMap<&str, RGBColor>,
) -> Result<()> {
    let mut labels: Vec<(&str, usize)> =
        counts.iter().filter_map(|(label, count)| Some(((*label)?, *count))).collect();
    labels.sort_by_key(|(label, count)| (Reverse(*count), *label));
    let (others, unlabelled) = (labels.len().saturating_sub(MAX_LEGEND_LABELS), counts.get(&None));
    labels.truncate(MAX_LEGEND_LABELS);
    labels.sort_unstable();
    let mut lines = (0..).map(|line| (778, 84 + LEGEND_LINE * line));
    for ((label, count), position) in labels.into_iter().zip(&mut lines) {
        let colour = colours.get(label).unwrap_or(&UNLABELLED);
        legend_entry(area, position, *colour, &shorten(label, LABEL_CHARACTERS), &format_count(count))?;
    }
    if others > 0
        && let Some((x, y)) = lines.next()
    {
        write(area, (x + 12, y), &format!("+ {others} more"), text(12.5, SOFT_INK, HPos::Left))?;
    }
    if let (Some(count), Some(position)) = (unlabelled, lines.next()) {
        legend_entry(area, position, UNLABELLED, "without a label", &format_count(*count))?;
    }
    Ok(())
}

/// Returns the range of an axis: the range of the values, and a margin.
///
/// The range is never empty, and never too narrow for distinct ticks.
fn range(values: impl Iterator<Item = f32>) -> std::ops::Range<f64> {
    let bounds =
        values.map(f64::from).map(|value| (value, value)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (low, high) = bounds.unwrap_or((0.0, 0.0));
    // Far from zero, a narrow range would have ticks that differ by less than a float can
    // represent.
    let min_margin = if low == high && low == 0.0 { 1.0 } else { 1e-4 * low.abs().max(high.abs()) };
    let margin = (0.04 * (high - low)).max(min_margin);
    low - margin..high + margin
}

/// Formats the number of a tick, with enough digits for an axis of this length.
fn format_tick(value: f64, length: f64) -> String {
    let digits = (1.0 - length.log10()).ceil();
    // Rounding errors of the tick at zero would otherwise show as -0.0.
    let rounded = if value.abs() < 1e-9 * length { 0.0 } else { value };
    match digits {
        6.0.. | ..-6.0 => format!("{value:.2e}"),
        _ => format!("{rounded:.*}", digits.max(0.0) as usize),
    }
}

/// Returns the colour of the label at an index: from the palette, or evenly spaced hues if there
/// are more labels than colours.
fn colour(index: usize, labels: usize) -> RGBColor {
    if labels <= PALETTE.len() {
        return PALETTE[index % PALETTE.len()];
    }
    // Neighbouring hues differ in lightness.
    let lightness = [0.42, 0.56, 0.30][index % 3];
    let (red, green, blue) = HSLColor(index as f64 / labels as f64, 0.7, lightness).rgb();
    RGBColor(red, green, blue)
}

/// Formats a count with separators: 12345 as `12,345`.
fn format_count(count: usize) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::pca::plot::page::tests::tags;

    fn points_with_labels(labels: &[String], per_label: usize) -> Vec<Point<'_>> {
        let point = |index: usize| Point {
            x: (index % 97) as f32,
            y: (index % 89) as f32 - 40.0,
            label: Some(labels[index % labels.len()].as_str()),
        };
        (0..labels.len() * per_label).map(point).collect()
    }

    #[test]
    fn a_scatter_plot_has_a_dot_for_each_photo_and_each_legend_entry() {
        let labels = ["Apple Red", "Kiwi"].map(str::to_owned);
        let mut points = points_with_labels(&labels, 10);
        points.push(Point { x: 0.0, y: 0.0, label: None });
        let svg = scatter(&points, (0.4, 0.2), "fit 7").unwrap();
        assert_eq!(tags(&svg, "circle"), 21 + 3);
        for text in
            ["Apple Red", "Kiwi", "without a label", "component 1 (40.0 % of the variance)", "21 photos\n"]
        {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, scatter(&points, (0.4, 0.2), "fit 7").unwrap());
    }

    #[test]
    fn at_most_5000_points_and_24_labels_are_drawn() {
        let labels: Vec<String> = (0..95).map(|number| format!("Fruit {number}")).collect();
        let svg = scatter(&points_with_labels(&labels, 100), (0.4, 0.2), "").unwrap();
        assert_eq!(tags(&svg, "circle"), 5_000 + 24);
        assert!(svg.contains("+ 71 more") && svg.contains("9,500 photos, 5,000 of them drawn"));
    }

    #[test]
    fn a_label_is_drawn_as_text_and_never_as_markup() {
        let labels =
            ["<script>&\"'", "🍎 été", "a\u{1}b\u{FFFF}", "a name far too long for the legend's column"];
        let labels = labels.map(str::to_owned);
        let svg = scatter(&points_with_labels(&labels, 3), (0.4, 0.2), "]]> & <svg>").unwrap();
        assert_eq!((tags(&svg, "script"), tags(&svg, "svg")), (0, 1));
        for text in
            ["&lt;script&gt;&amp;&quot;&apos;", "🍎 été", "a\u{FFFD}b\u{FFFD}", "a name far too long for…"]
        {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn extreme_coincident_or_infinite_points_give_a_valid_plot() {
        let at = |x, y| Point { x, y, label: None };
        let cases: [(&[Point<'_>], usize); 6] = [
            (&[], 0),
            (&[at(0.0, 0.0)], 2),
            (&[at(1e8, -1e-8); 3], 4),
            (&[at(f32::NAN, 0.0), at(0.0, f32::INFINITY)], 0),
            (&[at(f32::MAX, f32::MIN_POSITIVE), at(f32::MIN, 1e-45)], 3),
            (&[at(1e8, 0.0), at(1e8 + 8.0, 1e-30)], 3),
        ];
        for (points, circles) in cases {
            let svg = scatter(points, (f64::NAN, 0.000_1), "").unwrap();
            assert_eq!(tags(&svg, "circle"), circles, "{points:?}");
        }
    }

    #[test]
    fn no_two_labels_have_the_same_colour() {
        for labels in [1, 12, 13, 95] {
            let colours: std::collections::BTreeSet<_> =
                (0..labels).map(|index| colour(index, labels).rgb()).collect();
            assert_eq!(colours.len(), labels);
        }
    }
}
