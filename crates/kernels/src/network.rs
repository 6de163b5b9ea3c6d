//! A compiled network.

use crate::block::BlockRun;
use crate::isa::{DetectedIsa, Isa};
use crate::kernel::pack::Matrix;
use crate::kernel::pointwise::PointwisePixels;
use crate::kernel::pool::Pool;
use crate::kernel::stem::StemRows;
use crate::lanes::{Lanes, blocks};
use crate::layer::{Layer, Size, Unsupported};
use crate::observer::{Observer, Stage};
use crate::plan::{Input, MIDDLE_BYTES, plan};
use crate::scratch::Scratch;
use crate::simd::Simd;
use crate::step::PlanStep;

/// A network of the MobileNet family, compiled for one instruction set.
///
/// Threads may share it, each with its own [`Scratch`].
#[derive(Debug)]
pub struct Network {
    side: usize,
    dimension: usize,
    pub(crate) steps: Vec<PlanStep>,
    isa: DetectedIsa,
}

impl Network {
    /// Compiles a network for pictures of `side` × `side` pixels.
    ///
    /// Its input is `(byte − mean) / std`. Its output is the mean of each channel over the last
    /// map.
    ///
    /// # Errors
    /// [`Unsupported`] if the kernels can't run the layers, or the machine lacks the instruction
    /// set.
    pub fn compile(
        layers: &[Layer],
        side: usize,
        mean: [f32; 3],
        std: [f32; 3],
        isa: Isa,
    ) -> Result<Self, Unsupported> {
        Self::compile_within(layers, Input { side, mean, std }, isa, MIDDLE_BYTES)
    }

    /// Compiles a network with at most `middle_bytes` in use for the middle of a block.
    pub(crate) fn compile_within(
        layers: &[Layer],
        input: Input,
        isa: Isa,
        middle_bytes: usize,
    ) -> Result<Self, Unsupported> {
        let detected =
            isa.detect().ok_or_else(|| Unsupported(format!("this machine does not support {isa}")))?;
        let (steps, dimension) = plan(layers, input, middle_bytes)?;
        Ok(Self { side: input.side, dimension, steps, isa: detected })
    }

    /// Returns the length of an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Allocates memory for [`Network::embed`].
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        Scratch::new(&self.steps)
    }

    /// Embeds a picture: rows from the top, pixels from the left, red, green, blue.
    ///
    /// # Panics
    /// If the picture does not have the network's side. With another network's scratch, it panics
    /// or returns a meaningless embedding.
    pub fn embed(&self, picture: &[u8], scratch: &mut Scratch) -> Vec<f32> {
        let mut embedding = vec![0.0; self.dimension];
        self.run(picture, scratch, &mut embedding, &mut ());
        embedding
    }

    pub(crate) fn run(
        &self,
        picture: &[u8],
        scratch: &mut Scratch,
        embedding: &mut [f32],
        observer: &mut impl Observer,
    ) {
        assert_eq!(picture.len(), 3 * self.side * self.side, "wrong number of bytes in a picture");
        // The only dispatch for a picture. Everything below it is compiled for one instruction set.
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            DetectedIsa::Avx512(simd) => self.run_on(simd, picture, scratch, embedding, observer),
            #[cfg(target_arch = "x86_64")]
            DetectedIsa::Avx2(simd) => self.run_on(simd, picture, scratch, embedding, observer),
            DetectedIsa::Portable(simd) => self.run_on(simd, picture, scratch, embedding, observer),
        }
    }

    fn run_on<S: Simd>(
        &self,
        simd: S,
        picture: &[u8],
        scratch: &mut Scratch,
        embedding: &mut [f32],
        observer: &mut impl Observer,
    ) {
        // Taken out of the scratch so that a step can borrow the rest of it.
        let [mut input, mut output] = std::mem::take(&mut scratch.maps);
        let mut pixels = 1;
        for (number, step) in self.steps.iter().enumerate() {
            observer.step_started(number);
            match step {
                PlanStep::Block(block) => {
                    let mut run = BlockRun { simd, block, picture, side: self.side, scratch };
                    run.run(&input, &mut output, observer);
                }
                PlanStep::Stem(stem, size) => {
                    simd.vectorize(StemRows {
                        stem,
                        picture,
                        side: self.side,
                        rows: 0..size.height,
                        scratch: &mut scratch.picture[..3 * stem.scratch_row_len()],
                        output: &mut output,
                        output_stride: size.pixels(),
                        output_size: *size,
                        ring: size.height,
                    });
                    observer.stage_ended(Stage::Stem);
                }
                PlanStep::Pointwise(matrix, size) => {
                    pointwise(simd, matrix, *size, &input, &mut output);
                    observer.stage_ended(Stage::Pointwise);
                }
            }
            pixels = step.pixels();
            // The output becomes the input of the next step, which overwrites the old input.
            std::mem::swap(&mut input, &mut output);
        }
        // After the swap, `input` is the output of the last step.
        simd.vectorize(Pool { input: &input, pixels, means: embedding });
        observer.stage_ended(Stage::Pool);
        scratch.maps = [input, output];
    }
}

/// Runs a 1 × 1 convolution of a whole map.
fn pointwise<S: Simd>(simd: S, matrix: &Matrix, size: Size, input: &[Lanes], output: &mut [Lanes]) {
    let pixels = size.pixels();
    // All steps share the buffer, which may be larger than this map.
    let input = &input[..blocks(matrix.inputs) * pixels];
    simd.vectorize(PointwisePixels {
        matrix,
        blocks: 0..matrix.blocks(),
        pixels,
        input,
        input_stride: pixels,
        output,
        output_stride: pixels,
        residual: None,
    });
}
