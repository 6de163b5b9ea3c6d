//! Observing a run, stage by stage.

/// A stage of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The 3 × 3 convolution of the picture.
    Stem,
    /// The 1 × 1 convolution in front of a depthwise.
    Expand,
    /// The 3 × 3 convolution of each channel.
    Depthwise,
    /// The 1 × 1 convolution after a depthwise.
    Project,
    /// A 1 × 1 convolution outside a block.
    Pointwise,
    /// The mean over the last map.
    Pool,
}

/// Gets a call whenever a step starts and a stage ends.
pub(crate) trait Observer {
    fn step_started(&mut self, step: usize);
    fn stage_ended(&mut self, stage: Stage);
}

/// Ignores all calls. They compile to nothing.
impl Observer for () {
    fn step_started(&mut self, _: usize) {}
    fn stage_ended(&mut self, _: Stage) {}
}
