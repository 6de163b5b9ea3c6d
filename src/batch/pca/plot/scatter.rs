//! Where the photos lie on components 1 and 2.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    Area, SOFT_INK, chart, heading, internal, key, number, percent, shortened, style, svg, text, write,
};
use crate::error::Result;

/// The most points that are drawn; of more, evenly spaced ones.
const POINTS: usize = 5_000;
/// The most labels that the legend names.
const LEGEND: usize = 24;
/// The most characters of a label in the legend.
const LEGEND_CHARACTERS: usize = 24;

const UNLABELLED: RGBColor = RGBColor(0xA9, 0xB1, 0xBC);

/// Colours that colour-blind readers tell apart: Okabe and Ito's (2008), their yellow darker to be seen on white, and
/// more between them.
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

/// One photo's place on the first two components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    /// On the first component.
    pub x: f32,
    /// On the second component.
    pub y: f32,
    /// What the photo shows, if that is known.
    pub label: Option<&'a str>,
}

/// The photos on components 1 and 2 as SVG, coloured by label. `ratios` are the two components' shares of the
/// variance, 0 to 1, written on the axes. At most 5,000 points are drawn, evenly spaced in the order given, those
/// without a label in grey; the legend counts all of them and names the 24 most frequent labels. Points that are not
/// finite are left out.
///
/// # Errors
///
/// [`Error::Internal`](crate::error::Error::Internal) if the plotting library fails.
pub fn scatter(points: &[Point<'_>], ratios: (f64, f64), title: &str) -> Result<String> {
    let points: Vec<Point<'_>> =
        points.iter().filter(|point| point.x.is_finite() && point.y.is_finite()).copied().collect();
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for point in &points {
        *counts.entry(point.label).or_default() += 1;
    }
    let labels = counts.keys().flatten().count();
    let colours: BTreeMap<&str, RGBColor> =
        counts.keys().flatten().enumerate().map(|(place, label)| (*label, colour(place, labels))).collect();
    svg((1000, 680), |area| {
        let drawn = points.len().min(POINTS);
        let rest = if drawn < points.len() {
            format!(", {} of them drawn", thousands(drawn))
        } else {
            String::new()
        };
        let plural = if points.len() == 1 { "" } else { "s" };
        heading(area, title, &format!("{} photo{plural}{rest}", thousands(points.len())))?;
        draw_scatter(area, &points, ratios, &colours)?;
        legend(area, &counts, &colours)
    })
}

fn draw_scatter(
    area: &Area<'_>,
    points: &[Point<'_>],
    ratios: (f64, f64),
    colours: &BTreeMap<&str, RGBColor>,
) -> Result<()> {
    let (across, up) = (range(points.iter().map(|point| point.x)), range(points.iter().map(|point| point.y)));
    let (wide, high) = (across.end - across.start, up.end - up.start);
    let mut chart = chart(area, 240, across, up)?;
    style(&mut chart.configure_mesh())
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&|x| tick(*x, wide))
        .y_label_formatter(&|y| tick(*y, high))
        .x_desc(format!("component 1 ({} % of the variance)", number(percent(ratios.0))))
        .y_desc(format!("component 2 ({} % of the variance)", number(percent(ratios.1))))
        .draw()
        .map_err(internal)?;
    let drawn = points.len().min(POINTS);
    let radius = match drawn {
        0..500 => 4,
        500..2_000 => 3,
        _ => 2,
    };
    let chosen = (0..drawn).map(|place| points[place * points.len() / drawn]);
    let dots = chosen.map(|point| {
        let colour = point.label.and_then(|label| colours.get(label)).unwrap_or(&UNLABELLED);
        Circle::new((f64::from(point.x), f64::from(point.y)), radius, colour.mix(0.75).filled())
    });
    chart.draw_series(dots).map_err(internal)?;
    Ok(())
}

/// The most frequent labels in alphabetical order, how many more there are, and the photos without.
fn legend(
    area: &Area<'_>,
    counts: &BTreeMap<Option<&str>, usize>,
    colours: &BTreeMap<&str, RGBColor>,
) -> Result<()> {
    let mut labels: Vec<(&str, usize)> =
        counts.iter().filter_map(|(label, count)| Some(((*label)?, *count))).collect();
    labels.sort_by_key(|(label, count)| (Reverse(*count), *label));
    let (more, unlabelled) = (labels.len().saturating_sub(LEGEND), counts.get(&None));
    labels.truncate(LEGEND);
    labels.sort_unstable();
    let mut rows = (0..).map(|row| (778, 84 + 22 * row));
    for ((label, count), place) in labels.into_iter().zip(&mut rows) {
        let colour = colours.get(label).unwrap_or(&UNLABELLED);
        key(area, place, *colour, &shortened(label, LEGEND_CHARACTERS), &thousands(count))?;
    }
    if more > 0
        && let Some((x, y)) = rows.next()
    {
        write(area, (x + 12, y), &format!("+ {more} more"), text(12.5, SOFT_INK, HPos::Left))?;
    }
    if let (Some(count), Some(place)) = (unlabelled, rows.next()) {
        key(area, place, UNLABELLED, "without a label", &thousands(*count))?;
    }
    Ok(())
}

/// The range of these values and a margin; never empty, and never so narrow that a tick would not move a float.
fn range(values: impl Iterator<Item = f32>) -> std::ops::Range<f64> {
    let bounds =
        values.map(f64::from).map(|value| (value, value)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (low, high) = bounds.unwrap_or((0.0, 0.0));
    let least = if low == high && low == 0.0 { 1.0 } else { 1e-4 * low.abs().max(high.abs()) };
    let margin = (0.04 * (high - low)).max(least);
    low - margin..high + margin
}

/// A tick's number, with as many digits as an axis of this length calls for.
fn tick(value: f64, length: f64) -> String {
    let digits = (1.0 - length.log10()).ceil();
    match digits {
        6.0.. | ..-6.0 => format!("{value:.2e}"),
        _ => {
            format!("{:.*}", digits.max(0.0) as usize, if value.abs() < 1e-9 * length { 0.0 } else { value })
        }
    }
}

/// The colour of the label at this place among so many: the palette's, or hues all around.
fn colour(place: usize, labels: usize) -> RGBColor {
    if labels <= PALETTE.len() {
        return PALETTE[place % PALETTE.len()];
    }
    // Neighbours in hue differ in lightness.
    let lightness = [0.42, 0.56, 0.30][place % 3];
    let (red, green, blue) = HSLColor(place as f64 / labels as f64, 0.7, lightness).rgb();
    RGBColor(red, green, blue)
}

/// `12345` as `12,345`.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::tests::tags;
    use super::*;

    fn many<'a>(labels: &'a [String], each: usize) -> Vec<Point<'a>> {
        let point = |place: usize| Point {
            x: (place % 97) as f32,
            y: (place % 89) as f32 - 40.0,
            label: Some(labels[place % labels.len()].as_str()),
        };
        (0..labels.len() * each).map(point).collect()
    }

    #[test]
    fn a_scatter_plot_has_a_dot_for_each_photo_and_each_label() {
        let labels = ["Apple Red", "Kiwi"].map(str::to_owned);
        let mut points = many(&labels, 10);
        points.push(Point { x: 0.0, y: 0.0, label: None });
        let svg = scatter(&points, (0.4, 0.2), "fit 7").unwrap();
        assert_eq!(tags(&svg, "circle"), 21 + 3);
        for words in
            ["Apple Red", "Kiwi", "without a label", "component 1 (40.0 % of the variance)", "21 photos\n"]
        {
            assert!(svg.contains(words), "{words}");
        }
        assert_eq!(svg, scatter(&points, (0.4, 0.2), "fit 7").unwrap());
    }

    #[test]
    fn no_more_than_5000_points_and_24_labels_are_drawn() {
        let labels: Vec<String> = (0..95).map(|place| format!("Fruit {place}")).collect();
        let svg = scatter(&many(&labels, 100), (0.4, 0.2), "").unwrap();
        assert_eq!(tags(&svg, "circle"), 5_000 + 24);
        assert!(svg.contains("+ 71 more") && svg.contains("9,500 photos, 5,000 of them drawn"));
    }

    #[test]
    fn what_folders_are_called_is_text_and_never_markup() {
        let labels =
            ["<script>&\"'", "🍎 été", "a\u{1}b\u{FFFF}", "a name far too long for the legend's column"];
        let labels = labels.map(str::to_owned);
        let svg = scatter(&many(&labels, 3), (0.4, 0.2), "]]> & <svg>").unwrap();
        assert_eq!((tags(&svg, "script"), tags(&svg, "svg")), (0, 1));
        for words in
            ["&lt;script&gt;&amp;&quot;&apos;", "🍎 été", "a\u{FFFD}b\u{FFFD}", "a name far too long for…"]
        {
            assert!(svg.contains(words), "{words}");
        }
    }

    #[test]
    fn points_that_lie_nowhere_or_all_in_one_place_do_no_harm() {
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
    fn every_label_has_a_colour_of_its_own() {
        for labels in [1, 12, 13, 95] {
            let colours: std::collections::BTreeSet<_> =
                (0..labels).map(|place| colour(place, labels).rgb()).collect();
            assert_eq!(colours.len(), labels);
        }
    }
}
