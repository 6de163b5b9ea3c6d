//! The scans of a JPEG, each of which brings some coefficients of some components.

use super::frame::{Coding, Component, Frame};
use super::rejections::corrupt;
use fruitvec_core::rejection::Rejection;

/// The coefficients of a block.
const COEFFICIENTS: usize = 64;

/// A start-of-scan segment.
pub(super) struct Scan {
    pub(super) components: Vec<Component>,
    /// The first and the last coefficient.
    band: (u8, u8),
    /// The lowest bit of these coefficients that an earlier scan brought (0: none did), and the one
    /// that this scan brings.
    bits: (u8, u8),
}

impl Scan {
    pub(super) fn parse(payload: &[u8], frame: &Frame) -> Result<Self, Rejection> {
        let invalid = || corrupt("a scan header is invalid");
        let (&count, rest) = payload.split_first().ok_or_else(invalid)?;
        let (ids, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(invalid)?;
        let ids = ids.chunks_exact(2).map(|id| id[0]);
        let components = components(ids, frame).ok_or_else(invalid)?;
        let &[first, last, bits, ..] = rest else { return Err(invalid()) };
        let (band, bits) = if frame.coding.progressive {
            ((first, last), (bits >> 4, bits & 15))
        } else {
            // Decoders ignore these numbers if the coding is sequential.
            ((0, COEFFICIENTS as u8 - 1), (0, 0))
        };
        Ok(Self { components, band, bits })
    }

    /// Returns whether the scan has fewer bits than blocks, although it brings a bit for each.
    ///
    /// No Huffman codes are in such a scan, so the decoder would not stumble over its padding.
    pub(super) fn is_shorter_than_its_bits(&self, frame: &Frame, data_bytes: usize) -> bool {
        let Coding { arithmetic, .. } = frame.coding;
        let refines = self.band.0 == 0 && self.bits.0 > 0;
        refines && !arithmetic && 8 * (data_bytes as u64) < frame.blocks_in_scan(&self.components)
    }
}

/// Returns the components of a frame that have these identifiers, in the order of the frame.
///
/// Several components can have the same identifier. Like libjpeg, it takes the next one each time.
fn components(ids: impl Iterator<Item = u8>, frame: &Frame) -> Option<Vec<Component>> {
    let mut components = Vec::new();
    for (place, id) in ids.enumerate() {
        let component = *frame.components.iter().skip(place).find(|component| component.id == id)?;
        if components.iter().any(|earlier: &Component| earlier.index == component.index) {
            return None;
        }
        components.push(component);
    }
    (!components.is_empty()).then_some(components)
}

/// The lowest bit of each coefficient that the scans so far have brought, by component.
#[derive(Default)]
pub(super) struct Progress(Vec<(usize, [Option<u8>; COEFFICIENTS])>);

impl Progress {
    pub(super) fn add(&mut self, scan: &Scan) {
        for component in &scan.components {
            let known = self.0.iter().position(|(index, _)| *index == component.index);
            let index = known.unwrap_or_else(|| {
                self.0.push((component.index, [None; COEFFICIENTS]));
                self.0.len() - 1
            });
            let (first, last) = (usize::from(scan.band.0), usize::from(scan.band.1));
            for bit in self.0[index].1.iter_mut().take(last + 1).skip(first) {
                if scan.bits.0 == 0 || *bit == Some(scan.bits.0) {
                    *bit = Some(scan.bits.1);
                }
            }
        }
    }

    /// Returns whether the scans have brought every bit of every coefficient.
    pub(super) fn is_complete(&self, frame: &Frame) -> bool {
        let is_complete = |bits: &[Option<u8>; COEFFICIENTS]| bits.iter().all(|bit| *bit == Some(0));
        let known = |index| self.0.iter().find(|(known, _)| *known == index);
        frame
            .components
            .iter()
            .all(|component| known(component.index).is_some_and(|(_, bits)| is_complete(bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_with_the_same_identifier_take_turns() {
        let frame = [8, 0, 24, 0, 24, 3, 1, 0x11, 0, 1, 0x33, 0, 2, 0x11, 0];
        let frame = Frame::parse(0xC0, &frame).unwrap();
        let blocks = |ids: &[u8]| {
            let ids: Vec<u8> =
                [ids.len() as u8].into_iter().chain(ids.iter().flat_map(|id| [*id, 0])).collect();
            let scan = Scan::parse(&[&ids[..], &[0, 63, 0]].concat(), &frame).ok()?;
            Some(frame.blocks_in_scan(&scan.components))
        };
        assert_eq!(blocks(&[1, 1]), Some(10));
        assert_eq!([&[1, 1, 2][..], &[1, 2], &[2, 1]].map(blocks), [Some(11), Some(2), Some(10)]);
        for ids in [&[1, 1, 1][..], &[2, 1, 1], &[2, 2], &[3]] {
            assert_eq!(blocks(ids), None, "{ids:?}");
        }
    }
}
