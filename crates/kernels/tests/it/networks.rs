//! Networks of any shape, for tests that don't depend on the weights.

use fruitvec_kernels::{Clamp, Filter, Layer, Padding, Pointwise};

/// Returns layers that cover every kind of step, a residual, and both kinds of padding.
pub(crate) fn layers(stem: usize, wide: usize, outputs: usize, last: usize) -> Vec<Layer> {
    vec![
        Layer::Stem(filter(stem, 27, 2, Padding::BOTTOM_RIGHT)),
        Layer::Depthwise(filter(stem, 9, 1, Padding::ALL_SIDES)),
        Layer::Pointwise(pointwise(stem, outputs)),
        Layer::Pointwise(pointwise(outputs, wide)),
        Layer::Depthwise(filter(wide, 9, 1, Padding::ALL_SIDES)),
        Layer::Pointwise(pointwise(wide, outputs)),
        Layer::Add(2),
        Layer::Pointwise(pointwise(outputs, wide)),
        Layer::Depthwise(filter(wide, 9, 2, Padding::ALL_SIDES)),
        Layer::Pointwise(pointwise(wide, outputs)),
        Layer::Depthwise(filter(outputs, 9, 1, Padding::ALL_SIDES)),
        Layer::Pointwise(pointwise(outputs, last)),
        Layer::Pointwise(pointwise(last, last)),
    ]
}

fn filter(outputs: usize, inputs: usize, stride: usize, padding: Padding) -> Filter {
    let (weights, bias) = (vec![0.1; outputs * inputs], vec![0.2; outputs]);
    Filter { weights, bias, clamp: Clamp::RELU6, stride, padding }
}

fn pointwise(inputs: usize, outputs: usize) -> Pointwise {
    Pointwise { weights: vec![0.1; inputs * outputs], bias: vec![-0.1; outputs], clamp: Clamp::NONE }
}
