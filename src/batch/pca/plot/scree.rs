//! How much each component explains.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, Chart, chart, heading, internal, key, number, percent, style, svg, text, write};
use crate::error::Result;

/// The most components whose numbers are written, lest they touch.
const NUMBERS: usize = 24;

const EACH: RGBColor = RGBColor(0x3B, 0x7D, 0xC4);
const TOGETHER: RGBColor = RGBColor(0xC6, 0x53, 0x00);

/// The scree plot as SVG: a bar for the share of the variance that each component explains, and a line for the share
/// that it and those before it explain together. `ratios` are those shares, 0 to 1; what is not finite counts as 0.
///
/// # Errors
///
/// [`Error::Internal`](crate::error::Error::Internal) if the plotting library fails.
pub fn scree(ratios: &[f64], title: &str) -> Result<String> {
    let percents: Vec<f64> = ratios.iter().map(|ratio| percent(*ratio)).collect();
    svg((900, 520), |area| {
        let (count, all) =
            (percents.len(), percents.iter().fold(0.0, |sum, percent| f64::min(sum + percent, 100.0)));
        let plural = if count == 1 { "" } else { "s" };
        heading(area, title, &format!("{count} component{plural}: {all:.1} % of the variance"))?;
        key(area, (600, 30), EACH, "each component", "")?;
        key(area, (740, 30), TOGETHER, "it and those before", "")?;
        draw_scree(area, &percents)
    })
}

fn draw_scree(area: &Area<'_>, percents: &[f64]) -> Result<()> {
    let last = percents.len().max(1) as f64;
    // Above 100 there is room for the number of a point that lies there.
    let mut chart = chart(area, 24, 0.5..last + 0.5, 0.0..109.0)?;
    let whole = |x: &f64| if x.fract() == 0.0 { format!("{x:.0}") } else { String::new() };
    style(&mut chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(percents.len().clamp(1, NUMBERS) + 1)
        .x_label_formatter(&whole)
        .y_label_formatter(&|y| format!("{y:.0} %"))
        .x_desc("component")
        .y_desc("explained variance")
        .draw()
        .map_err(internal)?;
    let places = || (1..).map(f64::from).zip(percents);
    let half = if last < 4.0 { 0.2 } else { 0.36 };
    let bar = |(place, percent): (f64, &f64)| {
        Rectangle::new([(place - half, 0.0), (place + half, *percent)], EACH.filled())
    };
    chart.draw_series(places().map(bar)).map_err(internal)?;
    let mut sum = 0.0;
    let sums: Vec<(f64, f64)> = places()
        .map(|(place, percent)| {
            sum += percent;
            (place, f64::min(sum, 100.0))
        })
        .collect();
    chart.draw_series(LineSeries::new(sums.clone(), TOGETHER.stroke_width(2))).map_err(internal)?;
    chart
        .draw_series(sums.iter().map(|point| Circle::new(*point, 4, TOGETHER.filled())))
        .map_err(internal)?;
    let every = percents.len().div_ceil(NUMBERS).max(1);
    for ((place, percent), point) in places().zip(sums).step_by(every) {
        // To the left, away from the line, which rises to the right.
        let (x, y) = above(&chart, point, 9);
        write(area, (x + 6, y), &number(point.1), text(11.0, TOGETHER, HPos::Right))?;
        // The first bar ends where the line begins: one number serves both.
        if place > 1.0 {
            write(
                area,
                above(&chart, (place, *percent), 4),
                &number(*percent),
                text(11.0, EACH, HPos::Center),
            )?;
        }
    }
    Ok(())
}

/// The pixel so far above this point.
fn above(chart: &Chart<'_, '_>, point: (f64, f64), pixels: i32) -> (i32, i32) {
    let (x, y) = chart.backend_coord(&point);
    (x, y - pixels - 4)
}

#[cfg(test)]
mod tests {
    use super::super::tests::tags;
    use super::*;

    #[test]
    fn a_scree_plot_has_a_bar_and_a_dot_for_each_component() {
        let svg = scree(&[0.5, 0.25, 0.125], "fit 7").unwrap();
        // The page itself is a rectangle; two dots explain the colours.
        assert_eq!((tags(&svg, "rect"), tags(&svg, "circle")), (1 + 3, 2 + 3));
        assert_eq!(svg.matches("stroke=\"#C65300\" stroke-width=\"2\"").count(), 1);
        for words in ["fit 7", "50.0", "75.0", "87.5", "25.0", "12.5", "3 components: 87.5 % of the variance"]
        {
            assert!(svg.contains(words), "{words}");
        }
    }

    #[test]
    fn a_scree_plot_takes_any_number_of_components_and_any_ratio() {
        for count in [0, 1, 20, 1_280] {
            let svg = scree(&vec![1.0 / 1_280.0; count], "").unwrap();
            assert_eq!(tags(&svg, "circle"), 2 + count);
        }
        tags(&scree(&[f64::NAN, f64::INFINITY, -0.1, 2.0], "").unwrap(), "svg");
    }
}
