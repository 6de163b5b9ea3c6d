//! Graphs that the native kernels must leave to tract.

use super::graph::{Graph, IMAGE, int, ints};
use super::networks::card;
use crate::contract::model_card::Layout;
use crate::embed::engine::{Engine, load_graph};
use crate::embed::onnx;

/// Adds an unsupported node after this value, and returns the name of its output.
type AddUnsupported = fn(&mut Graph, &str) -> String;

const NOT_A_LAYER: &str = "it adds a value that is not the output of a layer";

/// Each graph differs from the family by a single node.
#[test]
fn any_other_graph_runs_on_tract() {
    let cases: [(&str, AddUnsupported); 8] = [
        ("Sigmoid", |g, x| g.add("Sigmoid", &[x], vec![])),
        ("MaxPool", |g, x| g.add("MaxPool", &[x], vec![ints("kernel_shape", &[2, 2])])),
        ("3, 3] in 1 groups", |g, x| g.conv(x, [8, 8, 3, 3], true, vec![ints("pads", &[1; 4])])),
        ("dilated", |g, x| g.conv(x, [8, 1, 3, 3], true, vec![int("group", 8), ints("dilations", &[2, 2])])),
        (NOT_A_LAYER, |g, x| {
            let constant = g.random(&[1, 8, 1, 1], 0.0, 1.0);
            g.add("Add", &[x, &constant], vec![])
        }),
        // The norm becomes part of the convolution, whose former output then no longer exists.
        (NOT_A_LAYER, |g, x| {
            let convolved = g.depthwise(x);
            let normed = g.norm(&convolved, 8);
            g.add("Add", &[&normed, &convolved], vec![])
        }),
        // The former output does not exist under another name, either.
        (NOT_A_LAYER, |g, x| {
            let convolved = g.depthwise(x);
            let same = g.add("Identity", &[&convolved], vec![]);
            let positive = g.add("Relu", &[&same], vec![]);
            g.add("Add", &[&positive, &convolved], vec![])
        }),
        ("its input is not the output of the node before it", |g, x| {
            let (first, second) = (g.depthwise(x), g.depthwise(x));
            g.add("Add", &[&first, &second], vec![])
        }),
    ];
    for (words, add_unsupported) in cases {
        let mut g = Graph::default();
        let x = g.conv(IMAGE, [8, 3, 3, 3], true, vec![ints("strides", &[2, 2]), ints("pads", &[1; 4])]);
        let x = add_unsupported(&mut g, &x);
        let x = g.depthwise(&x);
        let x = g.conv(&x, [30, 8, 1, 1], true, vec![]);
        g.add("GlobalAveragePool", &[&x], vec![]);
        let (card, proto) = (card(Layout::Nchw, 30), g.model(Layout::Nchw));
        assert_eq!(load_graph(&card, proto.clone(), None).unwrap().engine(), "tract 0.23");
        let error = load_graph(&card, proto.clone(), Some(Engine::Native(None))).err().unwrap().to_string();
        assert!(error.contains("the native kernels can't run it") && error.contains(words), "{error}");
    }
}

/// Only the conversion is tested. tract may refuse these graphs, too.
#[test]
fn a_graph_that_is_misunderstood_easily_is_not_converted() {
    let cases: [(&str, AddUnsupported); 4] = [
        ("weights of [8, 0, 1, 1]", |g, x| g.conv(x, [8, 0, 1, 1], true, vec![])),
        ("does not match its 0 numbers", |g, x| {
            let weights = g.constant(&[1 << 32, 1 << 32, 1, 1], std::iter::empty());
            g.add("Conv", &[x, &weights], vec![])
        }),
        ("it pads only some axes", |g, x| {
            let (pads, axes) = (g.integers(&[0, 0, 1, 0, 0, 0, 0, 0]), g.integers(&[0, 1, 3, 2]));
            g.add("Pad", &[x, &pads, "", &axes], vec![])
        }),
        ("no such node at this position", |g, x| {
            let pooled = g.add("GlobalAveragePool", &[x], vec![]);
            g.conv(&pooled, [8, 8, 1, 1], true, vec![])
        }),
    ];
    for (words, add_unsupported) in cases {
        let mut g = Graph::default();
        let x = g.conv(IMAGE, [8, 3, 3, 3], true, vec![]);
        let x = add_unsupported(&mut g, &x);
        let embedding = g.add("GlobalAveragePool", &[&x], vec![]);
        let graph = g.model(Layout::Nchw).graph.unwrap();
        let error = onnx::layers(&graph, Layout::Nchw, &embedding).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
