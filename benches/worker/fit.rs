//! One PCA, of more rows than are ever held.

use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, Instant};

use fruitvec::moments::Moments;
use fruitvec::pca::Fit;
use fruitvec::refit::COMPONENTS;

/// Rows in a batch: 10 MB of 1280 numbers.
const BATCH: usize = 2048;

/// Fits the rows of FILE, which are f32, little-endian, one after the other. Prints what the fit took, reading left
/// out, in nanoseconds by the clock and of CPU time, then the sum of the variance ratios, for the other side to agree with.
pub(crate) fn once(file: &str, dimension: usize) {
    let mut file = File::open(file).unwrap();
    let mut bytes = vec![0; BATCH * dimension * size_of::<f32>()];
    let mut rows = Vec::with_capacity(BATCH * dimension);
    let mut moments = Moments::empty(dimension);
    let mut took = Took::default();
    while let read @ 1.. = fill(&mut file, &mut bytes) {
        rows.clear();
        rows.extend(bytes[..read].as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)));
        took.add(|| moments.add_rows(&rows).unwrap());
    }
    let fit = took.add(|| Fit::of(&moments, COMPONENTS).unwrap());
    let explained = fit.explained_variance_ratio.iter().sum::<f64>();
    println!("{} {} {explained}", took.clock.as_nanos(), took.cpu.as_nanos());
}

#[derive(Default)]
struct Took {
    clock: Duration,
    cpu: Duration,
}

impl Took {
    fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (start, cpu) = (Instant::now(), cpu_time());
        let done = work();
        self.clock += start.elapsed();
        self.cpu += cpu_time() - cpu;
        done
    }
}

/// What all threads of this process have used so far: the first number of each one's `schedstat`, see proc(5).
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let used = |thread: fs::DirEntry| {
        let numbers = fs::read_to_string(thread.path().join("schedstat")).unwrap();
        numbers.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    Duration::from_nanos(threads.map(|thread| used(thread.unwrap())).sum())
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while let read @ 1.. = file.read(&mut buffer[filled..]).unwrap() {
        filled += read;
    }
    filled
}
