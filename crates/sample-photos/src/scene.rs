//! Scenes: the bodies that make up each kind of fruit.

use crate::body::Body;
use crate::geometry::direction;
use crate::kind::Kind;
use crate::rng::Rng;
use crate::skin::Skin;

/// Returns the bodies of a picture, front to back.
pub(crate) fn bodies(kind: Kind, rng: &mut Rng) -> Vec<Body> {
    let ripe = rng.between(0.0, 1.0);
    let upright = |rng: &mut Rng| direction(rng.between(-0.35, 0.35), 1.0);
    match kind {
        Kind::AppleRed => {
            let apple = Body::new(Skin::Apple, 0.66, [1.07, 0.1, -0.04, 0.0], rng)
                .along(upright(rng))
                .tilted(rng.between(0.45, 0.75))
                .ripe(ripe);
            with_stem(apple, 0.2, rng.chance(0.6), rng)
        }
        Kind::Apricot => {
            let apricot = Body::new(Skin::Apricot, 0.6, [1.0, 0.0, 0.03, -0.05], rng)
                .along(rng.heading())
                .tilted(rng.between(0.3, 0.7))
                .spun(rng.between(-0.5, 0.5))
                .ripe(ripe);
            vec![apricot]
        }
        Kind::Banana => banana(ripe, rng),
        Kind::Grape => grapes(ripe, rng),
        Kind::Kiwi => kiwi(ripe, rng),
        Kind::Lemon => {
            let lemon = Body::new(Skin::Lemon, 0.76, [0.74, 0.0, 0.06, -0.42], rng);
            vec![lemon.along(rng.heading()).ripe(ripe)]
        }
        Kind::Lime => {
            let lime = Body::new(Skin::Lime, 0.6, [0.87, 0.0, 0.04, -0.3], rng);
            vec![lime.along(rng.heading()).tilted(rng.between(0.0, 0.4)).ripe(ripe)]
        }
        Kind::Orange => {
            let orange = Body::new(Skin::Orange, 0.68, [1.03, 0.0, 0.0, 0.0], rng);
            vec![orange.along(rng.heading()).tilted(rng.between(0.3, 1.4)).ripe(ripe)]
        }
        Kind::Pear => {
            let pear =
                Body::new(Skin::Pear, 0.8, [0.6, -0.36, 0.1, 0.16], rng).along(upright(rng)).ripe(ripe);
            with_stem(pear, 0.18, rng.chance(0.4), rng)
        }
        Kind::Plum => {
            let plum = Body::new(Skin::Plum, 0.62, [0.84, 0.02, 0.04, 0.0], rng)
                .along(rng.heading())
                .tilted(rng.between(0.1, 0.5))
                .spun(rng.between(-0.6, 0.6))
                .ripe(ripe);
            with_stem(plum, 0.12, false, rng)
        }
        Kind::Strawberry => strawberry(ripe, rng),
        Kind::Watermelon => {
            let along = direction(1.0, rng.between(-0.35, 0.35));
            let melon = Body::new(Skin::Watermelon, 0.86, [0.76, 0.0, 0.04, 0.0], rng);
            vec![melon.along(along).tilted(rng.between(0.0, 0.5)).ripe(ripe)]
        }
    }
}

/// Adds a stem at the visible pole of a fruit, and optionally a leaf next to it.
fn with_stem(fruit: Body, length: f32, leaf: bool, rng: &mut Rng) -> Vec<Body> {
    let (foot, up) = (fruit.at(fruit.pole() * 0.97, 0.0), fruit.axis);
    let lean = rng.between(-0.4, 0.4);
    let along = direction(up[0] - up[1] * lean, up[1] + up[0] * lean);
    let stem = Body::new(Skin::Wood, length * 0.6, [0.17, 0.07, 0.0, 0.0], rng);
    let mut bodies = vec![
        stem.placed([foot[0] + along[0] * length * 0.5, foot[1] + along[1] * length * 0.5])
            .along(along)
            .bent(lean),
    ];
    if leaf {
        let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let along = direction(up[0] * 0.5 + up[1] * side, up[1] * 0.5 - up[0] * side);
        let leaf = Body::new(Skin::Leaf, 0.24, [0.46, -0.16, -0.16, 0.0], rng);
        bodies.push(
            leaf.placed([foot[0] + along[0] * 0.26, foot[1] + along[1] * 0.26 + 0.06])
                .along(along)
                .bent(0.25 * side),
        );
    }
    bodies.push(fruit);
    bodies
}

fn banana(ripe: f32, rng: &mut Rng) -> Vec<Body> {
    let bend = rng.between(0.34, 0.48);
    let fruit =
        Body::new(Skin::Banana, 0.84, [0.2, 0.0, 0.11, -0.1], rng).along(rng.heading()).bent(bend).ripe(ripe);
    let [right, up] = fruit.axis;
    // The bend moves the fruit to one side, and this moves it back to the centre.
    let fruit = fruit.placed([up * bend * 0.3, -right * bend * 0.3]);
    // The stem continues in the direction of the bent fruit's end.
    let (u, v) = fruit.axis.into();
    let along = direction(u - v * 1.7 * bend, v + u * 1.7 * bend);
    let foot = fruit.at(0.97, 0.0);
    let stem = Body::new(Skin::Stalk, 0.15, [0.34, 0.06, 0.0, 0.0], rng)
        .placed([foot[0] + along[0] * 0.08, foot[1] + along[1] * 0.08])
        .along(along);
    vec![fruit, stem]
}

/// Returns a bunch: rows of berries, fewer towards the tip. The front layer is lighter.
fn grapes(ripe: f32, rng: &mut Rng) -> Vec<Body> {
    let mut berries = Vec::new();
    let (lean, size) = (rng.between(-0.12, 0.12), rng.between(0.185, 0.205));
    // The back layer is darker and shifted, so that its berries show between those in front.
    for (layer, shade, shift) in [(0, 1.0, 0.0), (1, 0.62, 0.5)] {
        for row in 0..4_u8 {
            let (count, y) = (4 - row - u8::from(layer == 1 && row < 3), 0.42 - 0.26 * f32::from(row));
            for place in 0..count {
                let x = (f32::from(place) - f32::from(count - 1) / 2.0) * 0.33 + lean * (y - shift * 0.2);
                let centre = [x + rng.between(-0.03, 0.03), y + shift * 0.16 + rng.between(-0.03, 0.03)];
                let berry = Body::new(Skin::Grape, size, [0.95, 0.0, 0.0, 0.0], rng).placed(centre);
                berries
                    .push(berry.along(rng.heading()).tilted(rng.between(0.0, 0.5)).ripe(ripe).shaded(shade));
            }
        }
    }
    let stem = Body::new(Skin::Stalk, 0.24, [0.13, 0.03, 0.0, 0.0], rng);
    berries.push(stem.placed([lean * 0.7, 0.72]).along(direction(lean, 1.0)).bent(lean * 3.0));
    berries
}

/// Returns half a kiwi, cut side to the viewer, in front of a whole one.
fn kiwi(ripe: f32, rng: &mut Rng) -> Vec<Body> {
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    let (x, lean) = (0.3 * side, rng.between(-0.3, 0.3));
    let round = [0.92, 0.0, 0.0, 0.0];
    let face =
        Body::new(Skin::KiwiCut, 0.47, round, rng).placed([x, -0.2]).along(direction(lean, 1.0)).ripe(ripe);
    // Slightly larger than the face, so that the skin shows as a rim.
    let half = Body::new(Skin::Kiwi, 0.475, round, rng)
        .placed([x - 0.05 * side, -0.185])
        .along(direction(lean, 1.0));
    let whole = Body::new(Skin::Kiwi, 0.62, [0.76, 0.0, 0.06, 0.0], rng)
        .placed([-0.22 * side, -0.04])
        .along(direction(1.0, rng.between(-0.5, 0.5)))
        .ripe(ripe)
        .shaded(0.92);
    vec![face, half.shaded(0.8), whole]
}

fn strawberry(ripe: f32, rng: &mut Rng) -> Vec<Body> {
    let up = direction(rng.between(-0.6, 0.6), 1.0);
    let fruit =
        Body::new(Skin::Strawberry, 0.7, [0.78, 0.3, -0.02, -0.1], rng).along(up).tilted(0.2).ripe(ripe);
    let crown = fruit.at(0.84, 0.0);
    let stem = Body::new(Skin::Stalk, 0.14, [0.16, 0.04, 0.0, 0.0], rng)
        .placed([crown[0] + up[0] * 0.16, crown[1] + up[1] * 0.16])
        .along(up)
        .bent(rng.between(-0.4, 0.4));
    let mut bodies = vec![stem];
    // The middle sepals come first, so they cover the outer ones.
    for across in [0.15, -0.5, 0.55, -1.1, 1.15, -1.9, 1.9] {
        let across = across + rng.between(-0.15, 0.15);
        let along = direction(-up[0] * 0.75 - up[1] * across, -up[1] * 0.75 + up[0] * across);
        let sepal = Body::new(Skin::Leaf, rng.between(0.19, 0.23), [0.34, -0.12, -0.1, 0.0], rng);
        bodies.push(sepal.placed([crown[0] + along[0] * 0.17, crown[1] + along[1] * 0.17]).along(along));
    }
    bodies.push(fruit);
    bodies
}
