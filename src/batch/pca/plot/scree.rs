//! The scree plot: the variance that each component explains.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::page::{
    Area, Chart, chart, format_percent, heading, legend_entry, percent, plot_error, style, svg, text, write,
};
use crate::error::Result;

/// The maximum number of components that are labelled with numbers. More numbers would overlap.
const MAX_NUMBERS: usize = 24;

const BAR: RGBColor = RGBColor(0x3B, 0x7D, 0xC4);
const CUMULATIVE: RGBColor = RGBColor(0xC6, 0x53, 0x00);

/// Draws a bar for the share of the variance that each component explains, and a line for the
/// cumulative share. Returns the SVG.
///
/// `ratios` are the components' shares, from 0 to 1. A ratio that is not finite counts as 0.
///
/// # Errors
/// [`Error::Internal`](crate::error::Error::Internal) when the plotting library fails.
pub fn scree(ratios: &[f64], title: &str) -> Result<String> {
    let percents: Vec<f64> = ratios.iter().map(|ratio| percent(*ratio)).collect();
    svg((900, 520), |area| {
        let (count, total) = (percents.len(), cumulative(&percents).last().copied().unwrap_or_default());
        let plural = if count == 1 { "" } else { "s" };
        heading(area, title, &format!("{count} component{plural}: {total:.1} % of the variance"))?;
        legend_entry(area, (600, 30), BAR, "each component", "")?;
        legend_entry(area, (740, 30), CUMULATIVE, "cumulative", "")?;
        draw_scree(area, &percents)
    })
}

/// Returns the sum of each percentage and all before it, at most 100.
fn cumulative(percents: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |percent: &f64| {
        sum += percent;
        // Rounding errors may add up to more.
        f64::min(sum, 100.0)
    };
    percents.iter().map(add).collect()
}

fn draw_scree(area: &Area<'_>, percents: &[f64]) -> Result<()> {
    let last = percents.len().max(1) as f64;
    // The range ends above 100, so that the number of a point at 100 has room.
    let mut chart = chart(area, 24, 0.5..last + 0.5, 0.0..109.0)?;
    let whole = |x: &f64| if x.fract() == 0.0 { format!("{x:.0}") } else { String::new() };
    style(&mut chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(percents.len().clamp(1, MAX_NUMBERS) + 1)
        .x_label_formatter(&whole)
        .y_label_formatter(&|y| format!("{y:.0} %"))
        .x_desc("component")
        .y_desc("explained variance")
        .draw()
        .map_err(plot_error)?;
    let components = || (1..).map(f64::from);
    let half_width = if last < 4.0 { 0.2 } else { 0.36 };
    let bars = components().zip(percents).map(|(x, percent)| {
        Rectangle::new([(x - half_width, 0.0), (x + half_width, *percent)], BAR.filled())
    });
    chart.draw_series(bars).map_err(plot_error)?;
    let line: Vec<(f64, f64)> = components().zip(cumulative(percents)).collect();
    chart.draw_series(LineSeries::new(line.clone(), CUMULATIVE.stroke_width(2))).map_err(plot_error)?;
    let dots = line.iter().map(|point| Circle::new(*point, 4, CUMULATIVE.filled()));
    chart.draw_series(dots).map_err(plot_error)?;
    write_numbers(area, &chart, percents, &line)
}

/// Writes the percentages above the points of the line and above the bars.
fn write_numbers(
    area: &Area<'_>,
    chart: &Chart<'_, '_>,
    percents: &[f64],
    line: &[(f64, f64)],
) -> Result<()> {
    let step = percents.len().div_ceil(MAX_NUMBERS).max(1);
    for (percent, point) in percents.iter().zip(line).step_by(step) {
        // To the left of the point, because the line rises to the right.
        let (x, y) = pixel_above(chart, *point, 9);
        write(area, (x + 6, y), &format_percent(point.1), text(11.0, CUMULATIVE, HPos::Right))?;
        // The first bar ends where the line starts, so one number serves both.
        if point.0 > 1.0 {
            let position = pixel_above(chart, (point.0, *percent), 4);
            write(area, position, &format_percent(*percent), text(11.0, BAR, HPos::Center))?;
        }
    }
    Ok(())
}

/// Returns the pixel at a distance above a point.
fn pixel_above(chart: &Chart<'_, '_>, point: (f64, f64), distance: i32) -> (i32, i32) {
    let (x, y) = chart.backend_coord(&point);
    (x, y - distance - 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::pca::plot::page::tests::tags;

    #[test]
    fn a_scree_plot_has_a_bar_and_a_dot_for_each_component() {
        let svg = scree(&[0.5, 0.25, 0.125], "fit 7").unwrap();
        // The page itself is a rectangle, and the legend has two dots.
        assert_eq!((tags(&svg, "rect"), tags(&svg, "circle")), (1 + 3, 2 + 3));
        assert_eq!(svg.matches("stroke=\"#C65300\" stroke-width=\"2\"").count(), 1);
        for text in ["fit 7", "50.0", "75.0", "87.5", "25.0", "12.5", "3 components: 87.5 % of the variance"]
        {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn any_number_of_components_and_any_ratio_give_a_valid_plot() {
        for count in [0, 1, 20, 1_280] {
            let svg = scree(&vec![1.0 / 1_280.0; count], "").unwrap();
            assert_eq!(tags(&svg, "circle"), 2 + count);
        }
        tags(&scree(&[f64::NAN, f64::INFINITY, -0.1, 2.0], "").unwrap(), "svg");
    }
}
