//! A network, its card, and images for it.

use tract_onnx::pb::ModelProto;

use super::graph::{Graph, IMAGE, SIDE, int, ints};
use crate::contract::model_card::{DEFAULT_MODEL, Layout, ModelCard};
use crate::image::InputImage;

/// Returns a card for a network of this layout and dimension.
pub(super) fn card(layout: Layout, dimension: usize) -> ModelCard {
    let mut card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    card.dimension = dimension;
    card.input.layout = layout;
    card.input.side = SIDE;
    card.input.mean = [123.0, 116.0, 103.0];
    card.input.std = [58.0, 57.0, 57.5];
    card
}

/// Returns a network of dimension 70 that uses every feature of the family.
///
/// It has batch norms, `Pad` nodes (with NHWC also for the image), bounds from constants, a
/// residual, and a mean in place of a pool.
pub(super) fn mobilenet(layout: Layout) -> ModelProto {
    let mut g = Graph::default();
    let stride_2 = || ints("strides", &[2, 2]);
    let x = match layout {
        Layout::Nchw => g.conv(IMAGE, [20, 3, 3, 3], false, vec![stride_2(), ints("pads", &[1, 1, 1, 1])]),
        Layout::Nhwc => {
            let transposed = g.add("Transpose", &[IMAGE], vec![ints("perm", &[0, 3, 1, 2])]);
            let pads = g.integers(&[0, 0, 1, 1, 0, 0, 1, 1]);
            let padded = g.add("Pad", &[&transposed, &pads], vec![]);
            g.conv(&padded, [20, 3, 3, 3], false, vec![stride_2()])
        }
    };
    let x = g.norm(&x, 20);
    let stem = g.relu6(&x);
    let x = g.conv(&stem, [50, 20, 1, 1], false, vec![]);
    let x = g.norm(&x, 50);
    let x = g.relu6(&x);
    let x = g.conv(&x, [50, 1, 3, 3], false, vec![int("group", 50), ints("pads", &[1, 1, 1, 1])]);
    let x = g.norm(&x, 50);
    let x = g.relu6(&x);
    let x = g.conv(&x, [20, 50, 1, 1], false, vec![]);
    let x = g.norm(&x, 20);
    let x = g.add("Add", &[&stem, &x], vec![]);
    let pads = g.integers(&[0, 0, 0, 0, 0, 0, 1, 1]);
    let x = g.conv(&x, [40, 20, 1, 1], true, vec![]);
    let x = g.add("Relu", &[&x], vec![]);
    let x = g.add("Pad", &[&x, &pads], vec![]);
    let x = g.conv(&x, [40, 1, 3, 3], true, vec![int("group", 40), stride_2()]);
    let x = g.relu6(&x);
    let x = g.conv(&x, [24, 40, 1, 1], true, vec![]);
    let x = g.conv(&x, [70, 24, 1, 1], true, vec![]);
    let x = g.relu6(&x);
    let x = g.add("ReduceMean", &[&x], vec![ints("axes", &[2, 3]), int("keepdims", 1)]);
    g.add("Flatten", &[&x], vec![]);
    g.model(layout)
}

/// Returns an image of noise and a white one.
pub(super) fn images() -> [InputImage; 2] {
    let bytes = 3 * SIDE as usize * SIDE as usize;
    let noise = (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
    [noise, vec![255; bytes]].map(|rgb| InputImage::new(SIDE, rgb).unwrap())
}
