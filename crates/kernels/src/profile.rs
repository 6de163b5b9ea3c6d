//! Profiling: the time that each stage of a network takes.

use std::time::{Duration, Instant};

use crate::kernel::pack::{STEM_INPUTS, TAPS};
use crate::network::Network;
use crate::observer::{Observer, Stage};
use crate::scratch::Scratch;
use crate::step::{DepthwiseSource, PlanStep};

/// The time of one stage of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageTime {
    /// The step, from 0: a block, or a convolution outside a block.
    pub step: usize,
    /// The stage of the step.
    pub stage: Stage,
    /// Multiply-adds of the stage. Surplus channels and pixels do not count.
    pub multiply_adds: u64,
    /// The elapsed time, over all bands and channel groups.
    pub time: Duration,
}

struct StageTimer {
    times: Vec<StageTime>,
    step: usize,
    since: Instant,
}

impl Observer for StageTimer {
    fn step_started(&mut self, step: usize) {
        self.step = step;
        self.since = Instant::now();
    }

    fn stage_ended(&mut self, stage: Stage) {
        let now = Instant::now();
        let elapsed = now - self.since;
        self.since = now;
        let step = self.step;
        // A block repeats its stages for each band and group, and their times add up.
        if let Some(entry) = self.times.iter_mut().find(|entry| entry.step == step && entry.stage == stage) {
            entry.time += elapsed;
        }
    }
}

impl Network {
    /// Embeds a picture, and returns the time of each stage.
    ///
    /// # Panics
    /// As [`Network::embed`] does.
    pub fn profile(&self, picture: &[u8], scratch: &mut Scratch) -> Vec<StageTime> {
        let mut times = Vec::new();
        for (step, plan) in self.steps.iter().enumerate() {
            times.extend(stages(plan).into_iter().map(|(stage, multiply_adds)| StageTime {
                step,
                stage,
                multiply_adds: multiply_adds as u64,
                time: Duration::ZERO,
            }));
        }
        // The pool has no step. It counts as a stage of the last one.
        times.push(StageTime {
            step: self.steps.len() - 1,
            stage: Stage::Pool,
            multiply_adds: 0,
            time: Duration::ZERO,
        });
        let mut timer = StageTimer { times, step: 0, since: Instant::now() };
        self.run(picture, scratch, &mut vec![0.0; self.dimension()], &mut timer);
        timer.times
    }
}

/// Returns the stages of a step, and the multiply-adds of each.
fn stages(step: &PlanStep) -> Vec<(Stage, usize)> {
    match step {
        PlanStep::Pointwise(matrix, size) => {
            vec![(Stage::Pointwise, size.pixels() * matrix.inputs * matrix.outputs)]
        }
        PlanStep::Stem(stem, size) => {
            vec![(Stage::Stem, size.pixels() * STEM_INPUTS * stem.matrix.outputs)]
        }
        PlanStep::Block(block) => {
            let (input, output) = (block.input_size.pixels(), block.output_size.pixels());
            let source = match &block.source {
                DepthwiseSource::Stem(stem) => Some((Stage::Stem, input * STEM_INPUTS * stem.matrix.outputs)),
                DepthwiseSource::Expand(expand) => {
                    Some((Stage::Expand, input * expand.inputs * expand.outputs))
                }
                DepthwiseSource::BlockInput => None,
            };
            let project = &block.project;
            let rest = [
                (Stage::Depthwise, output * project.inputs * TAPS),
                (Stage::Project, output * project.inputs * project.outputs),
            ];
            source.into_iter().chain(rest).collect()
        }
    }
}
