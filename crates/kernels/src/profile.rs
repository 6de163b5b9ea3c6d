//! Where the time of a network goes.

use std::time::{Duration, Instant};

use crate::network::{Network, Scratch};
use crate::pack::{STEM_INPUTS, TAPS};
use crate::plan::{Source, Step};

/// One kind of work in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The 3 × 3 convolution of the picture.
    Stem,
    /// The 1 × 1 convolution before a depthwise.
    Expand,
    /// The 3 × 3 convolution of each channel.
    Depthwise,
    /// The 1 × 1 convolution after a depthwise.
    Project,
    /// A 1 × 1 convolution without a depthwise.
    Pointwise,
    /// The mean over the last map.
    Pool,
}

/// What one stage of one step took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The step, from 0: a block, or a convolution that is in none.
    pub step: usize,
    /// The kind of work.
    pub stage: Stage,
    /// Numbers that are multiplied and added.
    pub multiply_adds: u64,
    /// By the clock.
    pub time: Duration,
}

/// Is told when a stage has ended.
pub(crate) trait Watch {
    fn step(&mut self, step: usize);
    fn stage(&mut self, stage: Stage);
}

/// Nobody watches.
impl Watch for () {
    fn step(&mut self, _: usize) {}
    fn stage(&mut self, _: Stage) {}
}

struct Clock {
    spent: Vec<Spent>,
    step: usize,
    since: Instant,
}

impl Watch for Clock {
    fn step(&mut self, step: usize) {
        self.step = step;
        self.since = Instant::now();
    }

    fn stage(&mut self, stage: Stage) {
        let now = Instant::now();
        let time = now - self.since;
        self.since = now;
        let step = self.step;
        if let Some(spent) = self.spent.iter_mut().find(|spent| spent.step == step && spent.stage == stage) {
            spent.time += time;
        }
    }
}

impl Network {
    /// Embeds a picture, and says where the time went.
    ///
    /// # Panics
    /// As [`Network::embed`] does.
    pub fn profile(&self, picture: &[u8], scratch: &mut Scratch) -> Vec<Spent> {
        let mut spent = Vec::new();
        for (step, what) in self.steps.iter().enumerate() {
            spent.extend(what.work().into_iter().map(|(stage, multiply_adds)| Spent {
                step,
                stage,
                multiply_adds: multiply_adds as u64,
                time: Duration::ZERO,
            }));
        }
        spent.push(Spent {
            step: self.steps.len() - 1,
            stage: Stage::Pool,
            multiply_adds: 0,
            time: Duration::ZERO,
        });
        let mut clock = Clock { spent, step: 0, since: Instant::now() };
        self.run(picture, scratch, &mut vec![0.0; self.dimension()], &mut clock);
        clock.spent
    }
}

impl Step {
    /// The stages, and how many numbers each multiplies.
    fn work(&self) -> Vec<(Stage, usize)> {
        match self {
            Self::Pointwise(matrix, size) => {
                vec![(Stage::Pointwise, size.pixels() * matrix.inputs * matrix.outputs)]
            }
            Self::Stem(stem, size) => vec![(Stage::Stem, size.pixels() * STEM_INPUTS * stem.matrix.outputs)],
            Self::Block(block) => {
                let (wide, deep, project) = (block.wide.pixels(), block.deep.pixels(), &block.project);
                let source = match &block.source {
                    Source::Stem(stem) => Some((Stage::Stem, wide * STEM_INPUTS * stem.matrix.outputs)),
                    Source::Expand(expand) => Some((Stage::Expand, wide * expand.inputs * expand.outputs)),
                    Source::Input => None,
                };
                let rest = [
                    (Stage::Depthwise, deep * project.inputs * TAPS),
                    (Stage::Project, deep * project.inputs * project.outputs),
                ];
                source.into_iter().chain(rest).collect()
            }
        }
    }
}
