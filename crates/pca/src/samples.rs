//! Rows for tests.

use proptest::prelude::*;

/// Returns pseudo-random numbers in −1..1 around `centre`.
pub(crate) fn random_numbers(count: usize, centre: f32) -> Vec<f32> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    let states = std::iter::successors(Some(count as u64), next).skip(1).take(count);
    states.map(|state| (state >> 40) as f32 / f32::from_bits(0x4b00_0000) - 1.0 + centre).collect()
}

/// Returns `count` rows of 64 numbers: noise and eight strong directions, each half as strong as
/// the last.
pub(crate) fn low_rank_and_noise(count: usize) -> Vec<f32> {
    let directions = random_numbers(8 * 64, 0.0);
    let strengths = random_numbers(8 * count + 1, 0.0);
    let noise = random_numbers(64 * count + 2, 0.0);
    let mut rows: Vec<f32> = noise[..64 * count].iter().map(|number| 3.0 + 0.001 * number).collect();
    for (row, strengths) in rows.chunks_mut(64).zip(strengths.chunks(8)) {
        for (rank, (direction, strength)) in directions.chunks(64).zip(strengths).enumerate() {
            let strength = strength * 0.5_f32.powi(rank as i32);
            row.iter_mut().zip(direction).for_each(|(number, loading)| *number += strength * loading);
        }
    }
    rows
}

/// Generates a dimension and rows, each row with the number of one of four parts.
pub(crate) fn rows_in_parts() -> impl Strategy<Value = (usize, Vec<(u8, Vec<f32>)>)> {
    (1_usize..6).prop_flat_map(|dimension| {
        let row = (0_u8..4, prop::collection::vec(-100_f32..100.0, dimension));
        (Just(dimension), prop::collection::vec(row, 1..60))
    })
}

/// Returns the rows of one part.
pub(crate) fn part(rows: &[(u8, Vec<f32>)], number: u8) -> Vec<f32> {
    rows.iter().filter(|(part, _)| *part == number).flat_map(|(_, row)| row.clone()).collect()
}

pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
