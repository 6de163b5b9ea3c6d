//! A network that is ready to run: its steps, and the memory they work in.

use crate::block::Work;
use crate::lanes::{Lanes, blocks};
use crate::layer::{Layer, Size, Unsupported};
use crate::pack::Matrix;
use crate::path::{Machine, Path};
use crate::plan::{MIDDLE_BYTES, Step, steps};
use crate::pointwise::Pointwise;
use crate::pool::Pool;
use crate::profile::{Stage, Watch};
use crate::simd::Simd;
use crate::stem::Rows;

/// A network of the MobileNet family, compiled for one path. Many threads may run it at once, each with its own [`Scratch`].
#[derive(Debug)]
pub struct Network {
    side: usize,
    dimension: usize,
    pub(crate) steps: Vec<Step>,
    machine: Machine,
}

/// The memory that a photo's numbers go through. Its size is the network's; nothing is allocated after it is made.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// Three rows of the picture.
    pub(crate) picture: Vec<f32>,
    /// Rows that a depthwise reads.
    pub(crate) ring: Vec<Lanes>,
    /// Rows that a depthwise gave.
    pub(crate) deep: Vec<Lanes>,
    /// The row above a map and the row below.
    pub(crate) zeros: Vec<Lanes>,
    /// What a step reads, and what it gives.
    maps: [Vec<Lanes>; 2],
}

impl Network {
    /// The network of these layers, for pictures of `side` × `side` pixels. Its input is `(byte − mean) / std`, its output the mean of
    /// each channel over the last map.
    ///
    /// # Errors
    /// [`Unsupported`] says what these kernels don't have.
    pub fn compile(
        layers: &[Layer],
        side: usize,
        mean: [f32; 3],
        std: [f32; 3],
        path: Path,
    ) -> Result<Self, Unsupported> {
        Self::compile_within(layers, side, mean, std, path, MIDDLE_BYTES)
    }

    /// [`Network::compile`], with so many bytes for the middle of a block.
    pub(crate) fn compile_within(
        layers: &[Layer],
        side: usize,
        mean: [f32; 3],
        std: [f32; 3],
        path: Path,
        middle: usize,
    ) -> Result<Self, Unsupported> {
        let machine = path.machine().ok_or_else(|| Unsupported(format!("this machine has no {path}")))?;
        let (steps, dimension) = steps(layers, side, mean, std, middle)?;
        Ok(Self { side, dimension, steps, machine })
    }

    /// How many numbers an embedding has.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Memory to run it in.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        let most =
            |lanes: fn(&Step) -> usize| vec![Lanes::ZERO; self.steps.iter().map(lanes).max().unwrap_or(0)];
        let numbers = self.steps.iter().map(Step::picture_numbers).max().unwrap_or(0);
        Scratch {
            picture: vec![0.0; numbers],
            ring: most(Step::ring_lanes),
            deep: most(Step::deep_lanes),
            zeros: most(Step::wide_lanes),
            maps: [most(Step::output_lanes), most(Step::output_lanes)],
        }
    }

    /// The embedding of a picture: rows from the top, pixels from the left, red, green, blue.
    ///
    /// # Panics
    /// If the picture is not of the network's side. With another network's scratch it panics, or the embedding means nothing.
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
        watch: &mut impl Watch,
    ) {
        assert_eq!(picture.len(), 3 * self.side * self.side, "the bytes of a picture");
        match self.machine {
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512(simd) => self.run_on(simd, picture, scratch, embedding, watch),
            #[cfg(target_arch = "x86_64")]
            Machine::Avx2(simd) => self.run_on(simd, picture, scratch, embedding, watch),
            Machine::Portable(simd) => self.run_on(simd, picture, scratch, embedding, watch),
        }
    }

    fn run_on<S: Simd>(
        &self,
        simd: S,
        picture: &[u8],
        scratch: &mut Scratch,
        embedding: &mut [f32],
        watch: &mut impl Watch,
    ) {
        let [mut input, mut output] = std::mem::take(&mut scratch.maps);
        let mut pixels = 1;
        for (number, step) in self.steps.iter().enumerate() {
            watch.step(number);
            match step {
                Step::Block(block) => {
                    Work { simd, block, picture, side: self.side, scratch }.run(&input, &mut output, watch);
                }
                Step::Stem(stem, size) => {
                    simd.vectorize(Rows {
                        stem,
                        picture,
                        side: self.side,
                        rows: 0..size.height,
                        scratch: &mut scratch.picture[..3 * stem.row_numbers()],
                        output: &mut output,
                        output_stride: size.pixels(),
                        output_size: *size,
                        ring: size.height,
                    });
                    watch.stage(Stage::Stem);
                }
                Step::Pointwise(matrix, size) => {
                    alone(simd, matrix, *size, &input, &mut output);
                    watch.stage(Stage::Pointwise);
                }
            }
            pixels = step.pixels();
            std::mem::swap(&mut input, &mut output);
        }
        simd.vectorize(Pool { input: &input, pixels, means: embedding });
        watch.stage(Stage::Pool);
        scratch.maps = [input, output];
    }
}

/// A 1 × 1 convolution of a whole map.
fn alone<S: Simd>(simd: S, matrix: &Matrix, size: Size, input: &[Lanes], output: &mut [Lanes]) {
    let pixels = size.pixels();
    let input = &input[..blocks(matrix.inputs) * pixels];
    simd.vectorize(Pointwise {
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
