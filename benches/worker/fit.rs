//! One PCA over more rows than fit into memory.

use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, Instant};

use fruitvec::batch::pca::COMPONENTS;
use fruitvec::moments::Moments;
use fruitvec::pca::Fit;

/// Rows in a batch: 10 MB with 1280 numbers per row.
const BATCH: usize = 2048;

/// Fits the rows of a file of little-endian `f32` numbers.
///
/// Prints elapsed time and CPU time in nanoseconds, without the time for reading, and the sum of
/// the variance ratios, which the other program must match.
pub(crate) fn run(file: &str, dimension: usize) {
    let mut file = File::open(file).unwrap();
    let mut bytes = vec![0; BATCH * dimension * size_of::<f32>()];
    let mut rows = Vec::with_capacity(BATCH * dimension);
    let mut moments = Moments::empty(dimension);
    let mut time = FitTime::default();
    while let read @ 1.. = fill(&mut file, &mut bytes) {
        rows.clear();
        rows.extend(bytes[..read].as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)));
        time.measure(|| moments.add_rows(&rows).unwrap());
    }
    let fit = time.measure(|| Fit::of(&moments, COMPONENTS).unwrap());
    let explained = fit.explained_variance_ratio.iter().sum::<f64>();
    println!("{} {} {explained}", time.elapsed.as_nanos(), time.cpu.as_nanos());
}

/// The time spent on arithmetic.
#[derive(Default)]
struct FitTime {
    elapsed: Duration,
    cpu: Duration,
}

impl FitTime {
    fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (start, cpu) = (Instant::now(), cpu_time());
        let result = work();
        self.elapsed += start.elapsed();
        self.cpu += cpu_time() - cpu;
        result
    }
}

/// Returns the CPU time of all threads: the first number of each `schedstat`, see proc(5).
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let used = |thread: fs::DirEntry| {
        let numbers = fs::read_to_string(thread.path().join("schedstat")).unwrap();
        numbers.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    Duration::from_nanos(threads.map(|thread| used(thread.unwrap())).sum())
}

/// Reads until the buffer is full or the file ends. Returns the number of bytes.
fn fill(file: &mut File, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while let read @ 1.. = file.read(&mut buffer[filled..]).unwrap() {
        filled += read;
    }
    filled
}
