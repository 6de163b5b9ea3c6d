//! The memory that a network works in.

use crate::lanes::Lanes;
use crate::step::PlanStep;

/// Working memory for one picture at a time. Each thread needs its own.
///
/// The network determines its size. Embedding allocates nothing else but the embedding.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// Three rows of the normalised picture.
    pub(crate) picture: Vec<f32>,
    /// Input rows of a depthwise.
    pub(crate) ring: Vec<Lanes>,
    /// Output rows of a depthwise.
    pub(crate) depthwise: Vec<Lanes>,
    /// One row of zeros, for the rows above and below a map.
    pub(crate) zeros: Vec<Lanes>,
    /// The input and the output of a step.
    pub(crate) maps: [Vec<Lanes>; 2],
}

impl Scratch {
    /// Allocates memory that is large enough for each of the steps.
    pub(crate) fn new(steps: &[PlanStep]) -> Self {
        // Steps run one after the other, so each buffer has the size that the largest step needs.
        let largest =
            |lanes: fn(&PlanStep) -> usize| vec![Lanes::ZERO; steps.iter().map(lanes).max().unwrap_or(0)];
        let numbers = steps.iter().map(PlanStep::picture_numbers).max().unwrap_or(0);
        Self {
            picture: vec![0.0; numbers],
            ring: largest(PlanStep::ring_lanes),
            depthwise: largest(PlanStep::depthwise_lanes),
            zeros: largest(PlanStep::depthwise_row_lanes),
            maps: [largest(PlanStep::output_lanes), largest(PlanStep::output_lanes)],
        }
    }
}
