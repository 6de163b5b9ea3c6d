//! Value noise and the curves that shape it.

use crate::geometry::Vector;

/// Rises smoothly from 0 at `low` to 1 at `high`. If `low` is the larger, it falls instead.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Rises smoothly from 0 to 1 and back, with period 1.
pub(crate) fn wave(x: f32) -> f32 {
    let t = (2.0 * (x - x.floor()) - 1.0).abs();
    t * t * (3.0 - 2.0 * t)
}

/// Returns value noise from 0 to 1: random values on an integer lattice, smoothly interpolated.
///
/// Coordinates must not be negative, since cells are numbered from 0.
pub(crate) fn noise(point: Vector, seed: u32) -> f32 {
    let cell = point.map(f32::floor);
    let [x, y, z] = [0, 1, 2].map(|i| smoothstep(0.0, 1.0, point[i] - cell[i]));
    let cell = cell.map(|part| part as u32);
    let corner = |dx, dy, dz| hash([cell[0] + dx, cell[1] + dy, cell[2] + dz], seed);
    let edge = |dy, dz| corner(0, dy, dz) + (corner(1, dy, dz) - corner(0, dy, dz)) * x;
    let face = |dz| edge(0, dz) + (edge(1, dz) - edge(0, dz)) * y;
    face(0) + (face(1) - face(0)) * z
}

/// Returns a number from 0 to 1 for a lattice cell. Most of the painting time goes here.
pub(crate) fn hash([x, y, z]: [u32; 3], seed: u32) -> f32 {
    let mixed = |bits: u32, part: u32| {
        let bits = (bits ^ part).wrapping_mul(0x9E37_79B1);
        bits ^ (bits >> 15)
    };
    // The multipliers are those of Fibonacci hashing and `MurmurHash3`. Both mix all bits well.
    let bits = mixed(mixed(mixed(seed, x), y), z);
    (bits.wrapping_mul(0x85EB_CA6B) >> 8) as f32 / (1 << 24) as f32
}
