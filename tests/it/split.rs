//! Any split of the work gives the same fit: on embeddings of photos, whose mean is far from zero and whose spectrum falls fast.

use fruitvec::moments::Moments;
use fruitvec::pca::Fit;
use fruitvec::refit::COMPONENTS;

use crate::painted::{embedder, photos};

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

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// How far two fits are apart: of the ratios and the mean, and of the components whose neighbours are not as strong as they.
fn distance(a: &Fit, b: &Fit) -> f64 {
    let gap = |i: usize| {
        let next = a.explained_variance.get(i + 1).copied();
        next.is_some_and(|next| 1.0 - next / a.explained_variance[i] > 1e-3)
    };
    let components = a.components.chunks(DIMENSION).zip(b.components.chunks(DIMENSION)).enumerate();
    let apart = components
        .filter(|(i, _)| gap(*i) && (*i == 0 || gap(i - 1)))
        .map(|(_, (a, b))| furthest(a, b))
        .collect::<Vec<_>>();
    assert!(apart.len() > COMPONENTS / 2, "hardly a component can be told from its neighbours");
    let ratios = furthest(&a.explained_variance_ratio, &b.explained_variance_ratio);
    apart.into_iter().fold(ratios.max(furthest(&a.mean, &b.mean)), f64::max)
}

#[test]
fn any_split_of_the_rows_into_parts_gives_the_same_fit() {
    let embedder = embedder();
    let rows: Vec<f32> = photos().iter().flat_map(|photo| photo.embedded(&*embedder).2).collect();
    let whole = Fit::of(&moments(&rows), COMPONENTS).unwrap();
    // One after the other: a thousand moments at once would take 13 GB.
    let parts = |rows_each: usize| rows.chunks(rows_each * DIMENSION).map(moments);

    let splits = [
        ("in two", merged(parts(rows.len() / DIMENSION / 2))),
        ("in tens, last first", merged(parts(10).rev())),
        (
            "in sevens, a tree",
            merged(rows.chunks(28 * DIMENSION).map(|rows| merged(rows.chunks(7 * DIMENSION).map(moments)))),
        ),
        ("row by row", merged(parts(1))),
        ("too many, some taken out again", {
            let extra: Vec<f32> = rows.iter().take(40 * DIMENSION).map(|number| 1.1 * number + 0.1).collect();
            let mut total = merged(parts(50));
            total.merge(&moments(&extra)).unwrap();
            total.subtract(&moments(&extra)).unwrap();
            total
        }),
    ];
    for (split, moments) in splits {
        let apart = distance(&whole, &Fit::of(&moments, COMPONENTS).unwrap());
        println!("{split}: {apart:e}");
        assert!(apart <= TOLERANCE, "{split}: {apart:e}");
    }
}
