//! Vectors and angles.
//!
//! Nothing here calls `sin`, `cos` or `atan2`, whose results differ between machines.

/// To the right, up, towards the viewer. The picture spans −1 to 1.
pub(crate) type Vector = [f32; 3];

/// Returns the unit vector that points from the origin to (x, y).
pub(crate) fn direction(x: f32, y: f32) -> [f32; 2] {
    let length = (x * x + y * y).sqrt();
    [x / length, y / length]
}

pub(crate) fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Scales a vector to length 1. A zero vector stays zero.
pub(crate) fn unit(vector: Vector) -> Vector {
    let length = dot(vector, vector).sqrt().max(1e-6);
    vector.map(|part| part / length)
}

/// Returns the angle of a point as a fraction of a full turn, accurate to about a thousandth.
pub(crate) fn angle_in_turns(x: f32, y: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let t = ax.min(ay) / ax.max(ay).max(1e-6);
    // A quadratic approximation of the arctangent. The symmetries below extend it to a full turn.
    let eighth = t * (0.125 + 0.0434 * (1.0 - t));
    let quarter = if ay > ax { 0.25 - eighth } else { eighth };
    let half = if x < 0.0 { 0.5 - quarter } else { quarter };
    if y < 0.0 { 1.0 - half } else { half }
}
