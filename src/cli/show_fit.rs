//! Prints a fit: its variance table, and where its pictures are.

use fruitvec::batch::pca::FitResult;

/// Prints the result of a fit. `locate` turns a key of the results bucket into a path or URL.
pub(crate) fn show_fit(fit: &FitResult, locate: impl Fn(&str) -> String) {
    let record = &fit.record;
    let took = if fit.already {
        "as before: nothing has changed".into()
    } else {
        format!("in {:.1} s", record.seconds)
    };
    say!("PCA of {} photos × {} numbers, {took}\n", record.rows, record.dimension);
    show_variance(&record.explained_variance_ratio);
    for key in fit.files.iter().filter(|key| key.ends_with(".svg")) {
        say!("picture     {}", locate(key));
    }
}

/// Prints the explained variance per component, in per cent, with a bar.
fn show_variance(ratios: &[f64]) {
    const BAR_WIDTH: f64 = 40.0;
    say!("component  variance %  cumulative %");
    let mut cumulative = 0.0;
    for (component, ratio) in (1..).zip(ratios) {
        cumulative += ratio;
        let bar = "▇".repeat((ratio / ratios[0].max(f64::MIN_POSITIVE) * BAR_WIDTH).round() as usize);
        say!("{component:>9}  {:>10.2}  {:>12.2}  {bar}", 100.0 * ratio, 100.0 * cumulative);
    }
    say!();
}
