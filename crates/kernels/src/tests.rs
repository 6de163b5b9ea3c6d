//! Whole networks, checked against the reference.

use proptest::prelude::*;

use crate::isa::Isa;
use crate::layer::{Clamp, Filter, Layer, Padding, Pointwise};
use crate::network::Network;
use crate::plan::{Input, MIDDLE_BYTES};
use crate::reference::{embedding, random_numbers, supported_isas};

const MEAN: [f32; 3] = [127.5; 3];
const STD: [f32; 3] = [127.5; 3];

/// A block: channels after its expand (`None` for a MobileNetV1 block), outputs, stride, and
/// whether stride 2 pads only at the bottom and on the right.
type Shape = (Option<usize>, usize, usize, bool);

/// Returns the layers of a network of these blocks. Each block adds its input if the shapes allow
/// it.
fn layers(stem: usize, shapes: &[Shape], last: Option<usize>) -> Vec<Layer> {
    let padding = |bottom_right: bool| if bottom_right { Padding::BOTTOM_RIGHT } else { Padding::ALL_SIDES };
    let mut layers = vec![Layer::Stem(Filter::random(stem, 3, 2, Padding::ALL_SIDES, 1))];
    let mut channels = stem;
    for (number, &(expansion, outputs, stride, bottom_right)) in shapes.iter().enumerate() {
        let (seed, input) = (10 * number as u64, layers.len() - 1);
        let wide = expansion.unwrap_or(channels);
        if expansion.is_some() {
            layers.push(Layer::Pointwise(Pointwise::random(channels, wide, Clamp::RELU6, seed)));
        }
        let padding = padding(bottom_right && stride == 2);
        layers.push(Layer::Depthwise(Filter::random(wide, 1, stride, padding, seed + 2)));
        let adds = (number > 0 || expansion.is_some()) && stride == 1 && outputs == channels;
        let clamp = if adds || expansion.is_some() { Clamp::NONE } else { Clamp::RELU6 };
        layers.push(Layer::Pointwise(Pointwise::random(wide, outputs, clamp, seed + 4)));
        if adds {
            layers.push(Layer::Add(input));
        }
        channels = outputs;
    }
    let last = last.map(|outputs| Layer::Pointwise(Pointwise::random(channels, outputs, Clamp::RELU6, 99)));
    layers.extend(last);
    layers
}

fn picture(side: usize) -> Vec<u8> {
    random_numbers(3 * side * side, 128.0, 5).iter().map(|number| (number + 128.0) as u8).collect()
}

fn assert_matches_reference(layers: &[Layer], side: usize, middle_bytes: usize) {
    let picture = picture(side);
    let expected = embedding(layers, &picture, side, MEAN, STD);
    for isa in supported_isas() {
        let input = Input { side, mean: MEAN, std: STD };
        let network = Network::compile_within(layers, input, isa, middle_bytes).unwrap();
        let mut scratch = network.scratch();
        // Another picture runs first, so that the scratch holds its numbers.
        network.embed(&vec![255; picture.len()], &mut scratch);
        let found = network.embed(&picture, &mut scratch);
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let near = (found - expected).abs() <= 1e-3 * (1.0 + expected.abs());
            assert!(near, "{isa}: number {at} is {found}, expected {expected}");
        }
    }
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let outputs = prop::sample::select(vec![3usize, 8, 16, 20, 24, 33]);
    prop::collection::vec((prop::option::of(1usize..70), outputs, 1usize..=2, any::<bool>()), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// Covers bands from one row to the whole map.
    #[test]
    fn any_network_matches_the_reference(
        stem in prop::sample::select(vec![3usize, 8, 16, 24, 32]),
        shapes in shapes(),
        last in prop::option::of(1usize..50),
        side in 9usize..60,
        middle_bytes in prop::sample::select(vec![0, 4 << 10, 16 << 10, MIDDLE_BYTES]),
    ) {
        let layers = layers(stem, &shapes, last);
        prop_assume!(Network::compile(&layers, side, MEAN, STD, Isa::Portable).is_ok());
        assert_matches_reference(&layers, side, middle_bytes);
    }
}

/// Checks the stem alone: the depthwise and the project after it each pass one tap and one channel
/// through.
fn assert_stem_matches_reference(outputs: usize, side: usize, padding: Padding, seed: u64) {
    let mut stem = Filter::random(outputs, 3, 2, padding, seed);
    stem.clamp = Clamp::RELU;
    let mut depthwise = Filter::random(outputs, 1, 1, Padding::ALL_SIDES, seed);
    let is_centre = |at: usize| f32::from(at % 9 == 4);
    depthwise.weights.iter_mut().enumerate().for_each(|(at, weight)| *weight = is_centre(at));
    let mut project = Pointwise::random(outputs, outputs, Clamp::NONE, seed);
    let is_diagonal = |at: usize| f32::from(at.is_multiple_of(outputs + 1));
    project.weights.iter_mut().enumerate().for_each(|(at, weight)| *weight = is_diagonal(at));
    let layers = [Layer::Stem(stem), Layer::Depthwise(depthwise), Layer::Pointwise(project)];
    let picture: Vec<u8> =
        random_numbers(3 * side * side, 128.0, seed).iter().map(|x| (x + 128.0) as u8).collect();
    let (mean, std) = ([100.0, 127.5, 3.25], [50.0, 127.5, 63.0]);
    for isa in supported_isas() {
        let Ok(network) = Network::compile(&layers, side, mean, std, isa) else { continue };
        let found = network.embed(&picture, &mut network.scratch());
        let expected = embedding(&layers, &picture, side, mean, std);
        for (found, expected) in found.iter().zip(&expected) {
            let near = (found - expected).abs() <= 1e-4 * (1.0 + expected.abs());
            assert!(near, "{isa}: found {found}, expected {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_stem_matches_the_reference(
        outputs in 1usize..50,
        side in 1usize..70,
        bottom_right: bool,
        seed: u64,
    ) {
        let padding = if bottom_right { Padding::BOTTOM_RIGHT } else { Padding::ALL_SIDES };
        assert_stem_matches_reference(outputs, side, padding, seed);
    }
}

#[test]
fn a_picture_that_shrinks_to_one_pixel_matches_the_reference() {
    let shapes =
        [(None, 8, 2, true), (Some(30), 8, 2, false), (Some(30), 8, 2, true), (Some(20), 8, 1, false)];
    assert_matches_reference(&layers(8, &shapes, Some(40)), 16, MIDDLE_BYTES);
}

#[test]
fn an_add_of_another_map_than_the_blocks_input_is_unsupported() {
    let mut layers =
        layers(16, &[(None, 16, 1, false), (Some(32), 16, 1, false), (Some(32), 16, 1, false)], None);
    Network::compile(&layers, 32, MEAN, STD, Isa::Portable).unwrap();
    let last = layers.len() - 1;
    layers[last] = Layer::Add(2);
    let error = Network::compile(&layers, 32, MEAN, STD, Isa::Portable).unwrap_err();
    assert!(error.to_string().contains("must add the input of its block"), "{error}");
}

#[test]
fn layers_in_an_unknown_order_are_unsupported() {
    let stem = Layer::Stem(Filter::random(8, 3, 2, Padding::ALL_SIDES, 1));
    let pointwise = Layer::Pointwise(Pointwise::random(8, 8, Clamp::NONE, 2));
    let add = Layer::Add(0);
    for layers in [vec![], vec![pointwise], vec![stem.clone(), stem.clone()], vec![stem, add]] {
        assert!(Network::compile(&layers, 32, MEAN, STD, Isa::Portable).is_err(), "{layers:?}");
    }
}

#[test]
fn a_wrong_number_of_weights_is_unsupported() {
    let mut layers = layers(8, &[(None, 16, 1, false), (Some(32), 16, 1, false)], None);
    let Layer::Pointwise(expand) = &mut layers[3] else { unreachable!() };
    expand.weights.pop();
    let error = Network::compile(&layers, 32, MEAN, STD, Isa::Portable).unwrap_err();
    assert!(error.to_string().contains("found 511 weights, expected [32, 16]"), "{error}");
}

#[test]
#[should_panic(expected = "wrong number of bytes in a picture")]
fn a_picture_of_the_wrong_size_panics() {
    let network =
        Network::compile(&layers(8, &[(None, 8, 1, false)], None), 32, MEAN, STD, Isa::Portable).unwrap();
    network.embed(&[0; 10], &mut network.scratch());
}
