//! Whole networks, held against the plain loops.

use proptest::prelude::*;

use crate::layer::{Clamp, Filter, Layer, Padding, Pointwise};
use crate::network::Network;
use crate::path::Path;
use crate::plan::MIDDLE_BYTES;
use crate::reference::{embedding, numbers, paths};

const MEAN: [f32; 3] = [127.5; 3];
const STD: [f32; 3] = [127.5; 3];

/// A block: expansion (none for a block of MobileNetV1), outputs, stride, and where the zeros are.
type Shape = (Option<usize>, usize, usize, bool);

/// The layers of a network of such blocks; each adds its input where it can.
fn layers(stem: usize, shapes: &[Shape], last: Option<usize>) -> Vec<Layer> {
    let padding = |behind: bool| if behind { Padding::BEHIND } else { Padding::AROUND };
    let mut layers = vec![Layer::Stem(Filter::made_up(stem, 3, 2, Padding::AROUND, 1))];
    let mut channels = stem;
    for (number, &(expansion, outputs, stride, behind)) in shapes.iter().enumerate() {
        let (seed, input) = (10 * number as u64, layers.len() - 1);
        let wide = expansion.unwrap_or(channels);
        if expansion.is_some() {
            layers.push(Layer::Pointwise(Pointwise::made_up(channels, wide, Clamp::RELU6, seed)));
        }
        let padding = padding(behind && stride == 2);
        layers.push(Layer::Depthwise(Filter::made_up(wide, 1, stride, padding, seed + 2)));
        let adds = (number > 0 || expansion.is_some()) && stride == 1 && outputs == channels;
        let clamp = if adds || expansion.is_some() { Clamp::NONE } else { Clamp::RELU6 };
        layers.push(Layer::Pointwise(Pointwise::made_up(wide, outputs, clamp, seed + 4)));
        if adds {
            layers.push(Layer::Add(input));
        }
        channels = outputs;
    }
    let last = last.map(|outputs| Layer::Pointwise(Pointwise::made_up(channels, outputs, Clamp::RELU6, 99)));
    layers.extend(last);
    layers
}

fn picture(side: usize) -> Vec<u8> {
    numbers(3 * side * side, 128.0, 5).iter().map(|number| (number + 128.0) as u8).collect()
}

fn assert_right(layers: &[Layer], side: usize, middle: usize) {
    let picture = picture(side);
    let expected = embedding(layers, &picture, side, MEAN, STD);
    for path in paths() {
        let network = Network::compile_within(layers, side, MEAN, STD, path, middle).unwrap();
        let mut scratch = network.scratch();
        // Twice, on the same scratch: what one photo leaves there is nothing to the next.
        network.embed(&vec![255; picture.len()], &mut scratch);
        let found = network.embed(&picture, &mut scratch);
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let near = (found - expected).abs() <= 1e-3 * (1.0 + expected.abs());
            assert!(near, "{path}: number {at} is {found}, not {expected}");
        }
    }
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let outputs = prop::sample::select(vec![3usize, 8, 16, 20, 24, 33]);
    prop::collection::vec((prop::option::of(1usize..70), outputs, 1usize..=2, any::<bool>()), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// Bands from one row to the whole map.
    #[test]
    fn any_network_is_the_plain_loops(
        stem in prop::sample::select(vec![3usize, 8, 16, 24, 32]),
        shapes in shapes(),
        last in prop::option::of(1usize..50),
        side in 9usize..60,
        middle in prop::sample::select(vec![0, 4 << 10, 16 << 10, MIDDLE_BYTES]),
    ) {
        let layers = layers(stem, &shapes, last);
        prop_assume!(Network::compile(&layers, side, MEAN, STD, Path::Portable).is_ok());
        assert_right(&layers, side, middle);
    }
}

#[test]
fn a_picture_that_shrinks_to_one_pixel_is_right() {
    let shapes =
        [(None, 8, 2, true), (Some(30), 8, 2, false), (Some(30), 8, 2, true), (Some(20), 8, 1, false)];
    assert_right(&layers(8, &shapes, Some(40)), 16, MIDDLE_BYTES);
}

#[test]
fn what_is_added_must_be_the_blocks_input() {
    let mut layers =
        layers(16, &[(None, 16, 1, false), (Some(32), 16, 1, false), (Some(32), 16, 1, false)], None);
    Network::compile(&layers, 32, MEAN, STD, Path::Portable).unwrap();
    let last = layers.len() - 1;
    layers[last] = Layer::Add(2);
    let error = Network::compile(&layers, 32, MEAN, STD, Path::Portable).unwrap_err();
    assert!(error.to_string().contains("something is added that is not a block's input"), "{error}");
}

#[test]
fn layers_in_another_order_are_unsupported() {
    let stem = Layer::Stem(Filter::made_up(8, 3, 2, Padding::AROUND, 1));
    let pointwise = Layer::Pointwise(Pointwise::made_up(8, 8, Clamp::NONE, 2));
    let of = Layer::Add(0);
    for layers in [vec![], vec![pointwise], vec![stem.clone(), stem.clone()], vec![stem, of]] {
        assert!(Network::compile(&layers, 32, MEAN, STD, Path::Portable).is_err(), "{layers:?}");
    }
}

#[test]
fn weights_that_do_not_fit_are_unsupported() {
    let mut layers = layers(8, &[(None, 16, 1, false), (Some(32), 16, 1, false)], None);
    let Layer::Pointwise(expand) = &mut layers[3] else { unreachable!() };
    expand.weights.pop();
    let error = Network::compile(&layers, 32, MEAN, STD, Path::Portable).unwrap_err();
    assert!(error.to_string().contains("511 weights where [32, 16] are expected"), "{error}");
}

#[test]
#[should_panic(expected = "the bytes of a picture")]
fn a_picture_of_another_size_is_refused() {
    let network =
        Network::compile(&layers(8, &[(None, 8, 1, false)], None), 32, MEAN, STD, Path::Portable).unwrap();
    network.embed(&[0; 10], &mut network.scratch());
}
