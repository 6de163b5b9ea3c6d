//! How large a Spark executor is, and whether the workers can hold one.
//!
//! Each task pipes its lines through a worker process of ours, which lives outside the heap of the executor but inside its container:
//! YARN kills a container that takes more than heap and overhead together.

/// What one worker process may take, if photos may take what they may by default: the network, one photo being decoded, and its own heap.
pub const TASK_MIB: u32 = 700;
/// Of it the photo.
const PHOTO_MIB: u32 = 256;
/// What Spark itself needs beside the heap: the least that it would take as overhead.
const SPARK_MIB: u32 = 384;
/// What EMR leaves YARN of a machine's memory, hundredths: 12,288 MiB of an m5.xlarge. Larger machines leave more. Source: "Hadoop task
/// configuration" in the Amazon EMR release guide.
const YARN_SHARE: u32 = 75;

/// A Spark executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executor {
    /// Tasks that it runs at once, each on a core of its own.
    pub tasks: u32,
    /// Its heap, MiB.
    pub heap_mib: u32,
    /// What a photo may take while it is decoded, MiB.
    pub photo_mib: u32,
}

/// A type of worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerType {
    /// The EC2 instance type.
    pub name: String,
    /// What one counts for in its fleet.
    pub units: i32,
    /// Its vCPUs.
    cores: u32,
    /// Its memory, MiB.
    mib: u32,
}

impl Executor {
    /// What its container needs beside the heap, MiB.
    #[must_use]
    pub fn overhead_mib(&self) -> u32 {
        let task = TASK_MIB.saturating_add(self.photo_mib.saturating_sub(PHOTO_MIB));
        self.tasks.saturating_mul(task).saturating_add(SPARK_MIB)
    }

    /// Whether each of these workers can hold one: YARN would wait for ever for a machine that can.
    ///
    /// # Errors
    /// A sentence that names the worker that can't, and both numbers.
    pub fn fits(&self, workers: &[WorkerType]) -> Result<(), String> {
        let needed = self.heap_mib.saturating_add(self.overhead_mib());
        match workers.iter().find(|worker| worker.yarn_mib() < needed || worker.cores < self.tasks) {
            None => Ok(()),
            Some(worker) => Err(format!(
                "an executor of {} tasks needs {} cores and {needed} MiB ({} heap, {} beside it), but a {} has {} cores and \
                 {} MiB for Spark: give it less, or leave out that type",
                self.tasks,
                self.tasks,
                self.heap_mib,
                self.overhead_mib(),
                worker.name,
                worker.cores,
                worker.yarn_mib()
            )),
        }
    }
}

impl WorkerType {
    /// The type of that name. Cores and memory follow from the name, as EC2 has it for general purpose (m), compute (c) and memory (r)
    /// machines: 4, 2 and 8 GiB a vCPU.
    ///
    /// # Errors
    /// A sentence that says which types are known.
    pub fn new(name: &str, units: i32) -> Result<Self, String> {
        let (cores, mib) = size(name)
            .ok_or_else(|| format!("{name} is no type such as m5.xlarge, c6i.2xlarge or r5.large"))?;
        Ok(Self { name: name.to_owned(), units, cores, mib })
    }

    fn yarn_mib(&self) -> u32 {
        self.mib / 100 * YARN_SHARE + self.mib % 100 * YARN_SHARE / 100
    }
}

/// vCPUs and MiB.
fn size(name: &str) -> Option<(u32, u32)> {
    let (family, size) = name.split_once('.')?;
    let letters = family.find(|c: char| c.is_ascii_digit())?;
    let gib_a_core = match &family[..letters] {
        "c" => 2,
        "m" => 4,
        "r" => 8,
        _ => return None,
    };
    let cores = match size {
        "large" => 2,
        "xlarge" => 4,
        size => size.strip_suffix("xlarge")?.parse::<u32>().ok().filter(|n| (2..=48).contains(n))? * 4,
    };
    Some((cores, cores * gib_a_core * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerType {
        WorkerType::new(name, 1).unwrap()
    }

    /// Figures: the EC2 pages of the types, and `yarn.nodemanager.resource.memory-mb` of EMR's release guide.
    #[test]
    fn cores_and_memory_follow_from_the_name() {
        for (name, cores, gib, yarn) in [
            ("m5.xlarge", 4, 16, 12_288),
            ("m6idn.2xlarge", 8, 32, 24_576),
            ("c5.xlarge", 4, 8, 6_144),
            ("r5a.xlarge", 4, 32, 24_576),
            ("m5.large", 2, 8, 6_144),
        ] {
            let worker = worker(name);
            assert_eq!((worker.cores, worker.mib, worker.yarn_mib()), (cores, gib * 1024, yarn), "{name}");
        }
    }

    #[test]
    fn a_name_that_says_nothing_is_refused() {
        for name in
            ["", "m5", "xlarge", "m5.", "m5.metal", "p4d.24xlarge", "5.xlarge", "m5.0xlarge", "m5.99xlarge"]
        {
            assert!(WorkerType::new(name, 1).unwrap_err().contains("m5.xlarge"), "{name}");
        }
    }

    #[test]
    fn the_overhead_holds_a_worker_process_for_each_task() {
        for tasks in 1..16 {
            assert_eq!(u64::from(PHOTO_MIB) << 20, fruitvec::pixels::Limits::default().decoded_bytes);
            let executor = |photo_mib| Executor { tasks, heap_mib: 1024, photo_mib };
            assert!(executor(256).overhead_mib() >= tasks * 700);
            assert_eq!(executor(1256).overhead_mib(), executor(256).overhead_mib() + tasks * 1000);
        }
    }

    #[test]
    fn an_executor_must_fit_the_smallest_worker() {
        let executor = Executor { tasks: 4, heap_mib: 4096, photo_mib: 256 };
        assert_eq!(executor.fits(&[worker("m5.xlarge"), worker("m5.2xlarge")]), Ok(()));
        let too_little_memory = executor.fits(&[worker("m5.2xlarge"), worker("c5.xlarge")]).unwrap_err();
        assert!(too_little_memory.contains("c5.xlarge") && too_little_memory.contains("7280 MiB"));
        let too_few_cores = executor.fits(&[worker("r5.large")]).unwrap_err();
        assert!(too_few_cores.contains("r5.large has 2 cores"), "{too_few_cores}");
    }
}
