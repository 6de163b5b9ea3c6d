//! The frame of a JPEG: its size, its components, and how many blocks they have.

use super::rejections::corrupt;
use crate::format;
use fruitvec_core::rejection::Rejection;

/// Width and height of a block of coefficients.
pub(super) const BLOCK: u64 = 8;

/// How a JPEG's coefficients are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) progressive: bool,
    pub(super) arithmetic: bool,
}

/// A start-of-frame segment.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) coding: Coding,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) components: Vec<Component>,
}

/// A component: its place in the frame, its identifier, and its horizontal and vertical sampling
/// factors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub(super) index: usize,
    /// Not unique in some files.
    pub(super) id: u8,
    across: u64,
    down: u64,
}

impl Frame {
    pub(super) fn parse(marker: u8, payload: &[u8]) -> Result<Self, Rejection> {
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = payload else {
            return Err(corrupt("its frame header is too short"));
        };
        let coding = match marker {
            0xC0..=0xC2 | 0xC9 | 0xCA if precision == 8 => {
                Coding { progressive: matches!(marker, 0xC2 | 0xCA), arithmetic: marker > 0xC8 }
            }
            0xC0..=0xC2 | 0xC9 | 0xCA => {
                return Err(format::unsupported(&format!("JPEG with {precision} bits per sample")));
            }
            0xC3 | 0xCB => return Err(format::unsupported("lossless JPEG")),
            _ => return Err(format::unsupported("hierarchical JPEG")),
        };
        let components: Vec<_> = components.chunks_exact(3).take(usize::from(count)).collect();
        let components: Vec<_> = components.into_iter().enumerate().filter_map(Component::parse).collect();
        if !matches!(components.len(), 1 | 3 | 4) || components.len() != usize::from(count) {
            return Err(corrupt("its frame header declares invalid components"));
        }
        let number = |high, low| u64::from(u16::from_be_bytes([high, low]));
        Ok(Self { coding, width: number(w1, w0), height: number(h1, h0), components })
    }

    /// Returns the largest sampling factors across and down.
    pub(super) fn largest_factors(&self) -> (u64, u64) {
        let across = self.components.iter().map(|component| component.across).max();
        let down = self.components.iter().map(|component| component.down).max();
        (across.unwrap_or(1), down.unwrap_or(1))
    }

    /// Returns the number of units across and down. A unit has the blocks of all components that
    /// cover the same pixels.
    pub(super) fn units(&self) -> (u64, u64) {
        let (across, down) = self.largest_factors();
        (self.width.div_ceil(BLOCK * across), self.height.div_ceil(BLOCK * down))
    }

    /// Returns the number of blocks that are kept, which fill whole units.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks_in_units(&self.components)
    }

    /// Returns the number of blocks that a scan of some components visits.
    pub(super) fn blocks_in_scan(&self, components: &[Component]) -> u64 {
        let [component] = components else { return self.blocks_in_units(components) };
        // The units of a scan of one component are its blocks, without those beyond the edges.
        let (max_across, max_down) = self.largest_factors();
        let blocks = |pixels: u64, factor: u64, max: u64| (pixels * factor).div_ceil(max).div_ceil(BLOCK);
        blocks(self.width, component.across, max_across) * blocks(self.height, component.down, max_down)
    }

    /// Returns the number of units in a scan of some components. A restart interval counts units.
    pub(super) fn units_in_scan(&self, components: &[Component]) -> u64 {
        let (across, down) = self.units();
        if components.len() == 1 { self.blocks_in_scan(components) } else { across * down }
    }

    fn blocks_in_units(&self, components: &[Component]) -> u64 {
        let (across, down) = self.units();
        across * down * components.iter().map(|component| component.across * component.down).sum::<u64>()
    }
}

impl Component {
    fn parse((index, bytes): (usize, &[u8])) -> Option<Self> {
        let &[id, factors, _] = bytes else { return None };
        let (across, down) = (u64::from(factors >> 4), u64::from(factors & 15));
        ((1..=4).contains(&across) && (1..=4).contains(&down)).then_some(Self { index, id, across, down })
    }
}
