//! Fits of embeddings of photos, whose mean is far from zero and whose spectrum decays quickly.

use fruitvec::batch::pca::COMPONENTS;
use fruitvec::moments::Moments;
use fruitvec::pca::Fit;

use crate::support::sample_table::{embedder, photos};

const DIMENSION: usize = 1280;
const TOLERANCE: f64 = 1e-9;

fn moments(rows: &[f32]) -> Moments {
    let mut moments = Moments::empty(DIMENSION);
    moments.add_rows(rows).unwrap();
    moments
}

fn merged(parts: impl Iterator<Item = Moments>) -> Moments {
    let mut total = Moments::empty(DIMENSION);
    parts.for_each(|part| total.merge(&part).unwrap());
    total
}

fn max_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Returns the largest difference between two fits, over ratios, means and components.
///
/// Components with nearly equal variances are skipped, because they are defined only up to a
/// rotation of each other.
fn distance(a: &Fit, b: &Fit) -> f64 {
    let gap = |i: usize| {
        let next = a.explained_variance.get(i + 1).copied();
        next.is_some_and(|next| 1.0 - next / a.explained_variance[i] > 1e-3)
    };
    let components = a.components.chunks(DIMENSION).zip(b.components.chunks(DIMENSION)).enumerate();
    let differences = components
        .filter(|(i, _)| gap(*i) && (*i == 0 || gap(i - 1)))
        .map(|(_, (a, b))| max_difference(a, b))
        .collect::<Vec<_>>();
    assert!(differences.len() > COMPONENTS / 2, "too few components are distinct from their neighbours");
    let ratios = max_difference(&a.explained_variance_ratio, &b.explained_variance_ratio);
    differences.into_iter().fold(ratios.max(max_difference(&a.mean, &b.mean)), f64::max)
}

#[test]
fn any_split_of_the_rows_into_parts_gives_the_same_fit() {
    let embedder = embedder();
    let rows: Vec<f32> = photos().iter().flat_map(|photo| photo.embedded(&*embedder).2).collect();
    let whole = Fit::of(&moments(&rows), COMPONENTS).unwrap();
    // Lazily, one part after the other: a thousand moments in memory would take 13 GB.
    let parts = |rows_each: usize| rows.chunks(rows_each * DIMENSION).map(moments);

    let splits = [
        ("two halves", merged(parts(rows.len() / DIMENSION / 2))),
        ("parts of ten, last first", merged(parts(10).rev())),
        (
            "parts of seven, merged as a tree",
            merged(rows.chunks(28 * DIMENSION).map(|rows| merged(rows.chunks(7 * DIMENSION).map(moments)))),
        ),
        ("single rows", merged(parts(1))),
        ("extra rows that are subtracted again", {
            let extra: Vec<f32> = rows.iter().take(40 * DIMENSION).map(|number| 1.1 * number + 0.1).collect();
            let mut total = merged(parts(50));
            total.merge(&moments(&extra)).unwrap();
            total.subtract(&moments(&extra)).unwrap();
            total
        }),
    ];
    for (split, moments) in splits {
        let distance = distance(&whole, &Fit::of(&moments, COMPONENTS).unwrap());
        println!("{split}: {distance:e}");
        assert!(distance <= TOLERANCE, "{split}: {distance:e}");
    }
}
