//! What lies in a picture: each kind of fruit as bodies and their skins.

use super::body::Body;
use super::skin::Skin;
use super::{Dice, Kind, direction};

/// What lies on the white ground, the foremost first.
pub(super) fn bodies(kind: Kind, dice: &mut Dice) -> Vec<Body> {
    let ripe = dice.between(0.0, 1.0);
    let upright = |dice: &mut Dice| direction(dice.between(-0.35, 0.35), 1.0);
    match kind {
        Kind::AppleRed => {
            let apple = Body::new(Skin::Apple, 0.66, [1.07, 0.1, -0.04, 0.0], dice)
                .along(upright(dice))
                .tilted(dice.between(0.45, 0.75))
                .ripe(ripe);
            with_stem(apple, 0.2, dice.chance(0.6), dice)
        }
        Kind::Apricot => {
            let apricot = Body::new(Skin::Apricot, 0.6, [1.0, 0.0, 0.03, -0.05], dice)
                .along(dice.heading())
                .tilted(dice.between(0.3, 0.7))
                .spun(dice.between(-0.5, 0.5))
                .ripe(ripe);
            vec![apricot]
        }
        Kind::Banana => banana(ripe, dice),
        Kind::Grape => grapes(ripe, dice),
        Kind::Kiwi => kiwi(ripe, dice),
        Kind::Lemon => {
            let lemon = Body::new(Skin::Lemon, 0.76, [0.74, 0.0, 0.06, -0.42], dice);
            vec![lemon.along(dice.heading()).ripe(ripe)]
        }
        Kind::Lime => {
            let lime = Body::new(Skin::Lime, 0.6, [0.87, 0.0, 0.04, -0.3], dice);
            vec![lime.along(dice.heading()).tilted(dice.between(0.0, 0.4)).ripe(ripe)]
        }
        Kind::Orange => {
            let orange = Body::new(Skin::Orange, 0.68, [1.03, 0.0, 0.0, 0.0], dice);
            vec![orange.along(dice.heading()).tilted(dice.between(0.3, 1.4)).ripe(ripe)]
        }
        Kind::Pear => {
            let pear =
                Body::new(Skin::Pear, 0.8, [0.6, -0.36, 0.1, 0.16], dice).along(upright(dice)).ripe(ripe);
            with_stem(pear, 0.18, dice.chance(0.4), dice)
        }
        Kind::Plum => {
            let plum = Body::new(Skin::Plum, 0.62, [0.84, 0.02, 0.04, 0.0], dice)
                .along(dice.heading())
                .tilted(dice.between(0.1, 0.5))
                .spun(dice.between(-0.6, 0.6))
                .ripe(ripe);
            with_stem(plum, 0.12, false, dice)
        }
        Kind::Strawberry => strawberry(ripe, dice),
        Kind::Watermelon => {
            let along = direction(1.0, dice.between(-0.35, 0.35));
            let melon = Body::new(Skin::Watermelon, 0.86, [0.76, 0.0, 0.04, 0.0], dice);
            vec![melon.along(along).tilted(dice.between(0.0, 0.5)).ripe(ripe)]
        }
    }
}

/// A fruit with its stem where the pole is seen, and perhaps a leaf beside that.
fn with_stem(fruit: Body, length: f32, leaf: bool, dice: &mut Dice) -> Vec<Body> {
    let (foot, up) = (fruit.at(fruit.pole() * 0.97, 0.0), fruit.axis);
    let lean = dice.between(-0.4, 0.4);
    let along = direction(up[0] - up[1] * lean, up[1] + up[0] * lean);
    let stem = Body::new(Skin::Wood, length * 0.6, [0.17, 0.07, 0.0, 0.0], dice);
    let mut bodies = vec![
        stem.placed([foot[0] + along[0] * length * 0.5, foot[1] + along[1] * length * 0.5])
            .along(along)
            .bent(lean),
    ];
    if leaf {
        let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
        let along = direction(up[0] * 0.5 + up[1] * side, up[1] * 0.5 - up[0] * side);
        let leaf = Body::new(Skin::Leaf, 0.24, [0.46, -0.16, -0.16, 0.0], dice);
        bodies.push(
            leaf.placed([foot[0] + along[0] * 0.26, foot[1] + along[1] * 0.26 + 0.06])
                .along(along)
                .bent(0.25 * side),
        );
    }
    bodies.push(fruit);
    bodies
}

fn banana(ripe: f32, dice: &mut Dice) -> Vec<Body> {
    let bend = dice.between(0.34, 0.48);
    let fruit = Body::new(Skin::Banana, 0.84, [0.2, 0.0, 0.11, -0.1], dice)
        .along(dice.heading())
        .bent(bend)
        .ripe(ripe);
    let [right, up] = fruit.axis;
    let fruit = fruit.placed([up * bend * 0.3, -right * bend * 0.3]);
    // The stem goes on in the direction in which the bent fruit ends.
    let (u, v) = fruit.axis.into();
    let along = direction(u - v * 1.7 * bend, v + u * 1.7 * bend);
    let foot = fruit.at(0.97, 0.0);
    let stem = Body::new(Skin::Stalk, 0.15, [0.34, 0.06, 0.0, 0.0], dice)
        .placed([foot[0] + along[0] * 0.08, foot[1] + along[1] * 0.08])
        .along(along);
    vec![fruit, stem]
}

/// A bunch: rows of berries, fewer to the tip, the nearer ones in front and lighter.
fn grapes(ripe: f32, dice: &mut Dice) -> Vec<Body> {
    let mut berries = Vec::new();
    let (lean, size) = (dice.between(-0.12, 0.12), dice.between(0.185, 0.205));
    for (layer, shade, shift) in [(0, 1.0, 0.0), (1, 0.62, 0.5)] {
        for row in 0..4_u8 {
            let (count, y) = (4 - row - u8::from(layer == 1 && row < 3), 0.42 - 0.26 * f32::from(row));
            for place in 0..count {
                let x = (f32::from(place) - f32::from(count - 1) / 2.0) * 0.33 + lean * (y - shift * 0.2);
                let centre = [x + dice.between(-0.03, 0.03), y + shift * 0.16 + dice.between(-0.03, 0.03)];
                let berry = Body::new(Skin::Grape, size, [0.95, 0.0, 0.0, 0.0], dice).placed(centre);
                berries.push(
                    berry.along(dice.heading()).tilted(dice.between(0.0, 0.5)).ripe(ripe).shaded(shade),
                );
            }
        }
    }
    let stem = Body::new(Skin::Stalk, 0.24, [0.13, 0.03, 0.0, 0.0], dice);
    berries.push(stem.placed([lean * 0.7, 0.72]).along(direction(lean, 1.0)).bent(lean * 3.0));
    berries
}

/// Half of one, cut side to the viewer, before a whole one.
fn kiwi(ripe: f32, dice: &mut Dice) -> Vec<Body> {
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let (x, lean) = (0.3 * side, dice.between(-0.3, 0.3));
    let round = [0.92, 0.0, 0.0, 0.0];
    let face =
        Body::new(Skin::KiwiCut, 0.47, round, dice).placed([x, -0.2]).along(direction(lean, 1.0)).ripe(ripe);
    let half = Body::new(Skin::Kiwi, 0.475, round, dice)
        .placed([x - 0.05 * side, -0.185])
        .along(direction(lean, 1.0));
    let whole = Body::new(Skin::Kiwi, 0.62, [0.76, 0.0, 0.06, 0.0], dice)
        .placed([-0.22 * side, -0.04])
        .along(direction(1.0, dice.between(-0.5, 0.5)))
        .ripe(ripe)
        .shaded(0.92);
    vec![face, half.shaded(0.8), whole]
}

fn strawberry(ripe: f32, dice: &mut Dice) -> Vec<Body> {
    let up = direction(dice.between(-0.6, 0.6), 1.0);
    let fruit =
        Body::new(Skin::Strawberry, 0.7, [0.78, 0.3, -0.02, -0.1], dice).along(up).tilted(0.2).ripe(ripe);
    let crown = fruit.at(0.84, 0.0);
    let stem = Body::new(Skin::Stalk, 0.14, [0.16, 0.04, 0.0, 0.0], dice)
        .placed([crown[0] + up[0] * 0.16, crown[1] + up[1] * 0.16])
        .along(up)
        .bent(dice.between(-0.4, 0.4));
    let mut bodies = vec![stem];
    for across in [0.15, -0.5, 0.55, -1.1, 1.15, -1.9, 1.9] {
        let across = across + dice.between(-0.15, 0.15);
        let along = direction(-up[0] * 0.75 - up[1] * across, -up[1] * 0.75 + up[0] * across);
        let sepal = Body::new(Skin::Leaf, dice.between(0.19, 0.23), [0.34, -0.12, -0.1, 0.0], dice);
        bodies.push(sepal.placed([crown[0] + along[0] * 0.17, crown[1] + along[1] * 0.17]).along(along));
    }
    bodies.push(fruit);
    bodies
}
