//! Colours in linear light.

/// Linear red, green, blue. White is 1.
pub(crate) type Colour = [f32; 3];

/// Converts sRGB digits to linear light. Squaring approximates the sRGB curve.
pub(crate) const fn hex(digits: u32) -> Colour {
    let [_, red, green, blue] = digits.to_be_bytes();
    let (red, green, blue) = (red as f32 / 255.0, green as f32 / 255.0, blue as f32 / 255.0);
    [red * red, green * green, blue * blue]
}

/// Interpolates from `a` (share 0) to `b` (share 1). Clamps the share to that range.
pub(crate) fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}
