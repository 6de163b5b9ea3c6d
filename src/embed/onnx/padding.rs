//! Reads the padding of convolutions and `Pad` nodes.

use fruitvec_kernels::Padding;
use tract_onnx::pb::NodeProto;

use super::constants::Constants;
use super::node::{Unsupported, attribute, ints, optional_input};

pub(super) const NO_PADDING: Padding = Padding { top: 0, left: 0, bottom: 0, right: 0 };

/// Returns the padding of a convolution: that of the node, or that of a `Pad` before it.
pub(super) fn of_convolution(node: &NodeProto, before: Padding) -> Result<Padding, Unsupported> {
    let automatic = attribute(node, "auto_pad").map_or(&b""[..], |it| &it.s);
    let pads = ints(node, "pads");
    let own = match (automatic, &pads[..]) {
        (b"" | b"NOTSET", []) | (b"VALID", _) => NO_PADDING,
        (b"" | b"NOTSET", &[top, left, bottom, right]) => sides([top, left, bottom, right])?,
        _ => return Err(format!("pads of {pads:?}, {:?}", String::from_utf8_lossy(automatic))),
    };
    match (own, before) {
        (own, NO_PADDING) => Ok(own),
        (NO_PADDING, before) => Ok(before),
        _ => Err("it is padded twice".into()),
    }
}

/// Returns the padding of a `Pad` node, which may add zeros around rows and columns only.
pub(super) fn of_pad(node: &NodeProto, constants: &Constants) -> Result<Padding, Unsupported> {
    if !matches!(attribute(node, "mode").map(|mode| &mode.s[..]), None | Some(b"constant")) {
        return Err("it does not pad with a constant".into());
    }
    // Before opset 11, the pads and the value were attributes.
    let value = match optional_input(node, 2) {
        Some(name) => constants.floats(name)?.first().copied().unwrap_or(0.0),
        None => attribute(node, "value").map_or(0.0, |value| value.f),
    };
    if optional_input(node, 3).is_some() {
        return Err("it pads only some axes".into());
    }
    let pads = match node.input.get(1) {
        Some(name) => constants.integers(name)?,
        None => ints(node, "pads"),
    };
    let &[0, 0, top, left, 0, 0, bottom, right] = &pads[..] else {
        return Err(format!("pads of {pads:?}"));
    };
    if value != 0.0 {
        return Err(format!("it pads with {value}"));
    }
    sides([top, left, bottom, right])
}

fn sides(pads: [i64; 4]) -> Result<Padding, Unsupported> {
    // The kernels support at most one pixel on each side.
    if pads.iter().any(|pixels| !(0..=1).contains(pixels)) {
        return Err(format!("pads of {pads:?}"));
    }
    let [top, left, bottom, right] = pads.map(|pixels| pixels as usize);
    Ok(Padding { top, left, bottom, right })
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::AttributeProto;

    use super::*;

    fn convolution(pads: &[i64], auto_pad: &str) -> NodeProto {
        let pads = AttributeProto { name: "pads".into(), ints: pads.to_vec(), ..AttributeProto::default() };
        let auto_pad =
            AttributeProto { name: "auto_pad".into(), s: auto_pad.into(), ..AttributeProto::default() };
        NodeProto { attribute: vec![pads, auto_pad], ..NodeProto::default() }
    }

    #[test]
    fn a_convolution_has_its_own_padding_or_that_of_the_node_before_it() {
        let own = Padding { top: 0, left: 1, bottom: 1, right: 0 };
        let before = Padding::BOTTOM_RIGHT;
        assert_eq!(of_convolution(&convolution(&[0, 1, 1, 0], ""), NO_PADDING), Ok(own));
        assert_eq!(of_convolution(&convolution(&[], "NOTSET"), before), Ok(before));
        assert_eq!(of_convolution(&convolution(&[0; 4], ""), before), Ok(before));
        assert_eq!(of_convolution(&convolution(&[1; 4], "VALID"), NO_PADDING), Ok(NO_PADDING));
        assert!(of_convolution(&convolution(&[0, 1, 1, 0], ""), before).is_err());
    }

    #[test]
    fn unsupported_padding_is_refused() {
        for (pads, auto_pad) in
            [(&[2, 0, 0, 0][..], ""), (&[-1, 0, 0, 0], ""), (&[1, 1], ""), (&[], "SAME_UPPER")]
        {
            of_convolution(&convolution(pads, auto_pad), NO_PADDING).unwrap_err();
        }
    }
}
