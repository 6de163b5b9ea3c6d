//! The size of a Spark executor, and whether the workers have room for it.
//!
//! Each task pipes its lines through a fruitvec worker process. This process runs outside the
//! executor's heap but inside its container, and YARN kills a container that exceeds heap plus
//! overhead.

/// The memory of one worker process under the default photo limits, in MiB.
///
/// It covers the network, one photo while it is decoded, and the heap.
pub const TASK_MIB: u32 = 700;
/// The part of [`TASK_MIB`] that decoding a photo uses under the default limits, in MiB.
const PHOTO_MIB: u32 = 256;
/// Spark's own need besides the heap, in MiB: its minimum memory overhead.
const SPARK_MIB: u32 = 384;
/// The share of a machine's memory that EMR gives to YARN, in per cent: 12,288 MiB of an m5.xlarge.
///
/// Larger machines have a larger share. Source: "Hadoop task configuration" in the Amazon EMR
/// release guide.
const YARN_PERCENT: u32 = 75;

/// A Spark executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executor {
    /// The number of concurrent tasks. Each has a core.
    pub tasks: u32,
    /// The heap in MiB.
    pub heap_mib: u32,
    /// The memory limit of decoding one photo, in MiB.
    pub photo_mib: u32,
}

/// A type of worker machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerType {
    /// The EC2 instance type.
    pub name: String,
    /// The units that one machine contributes to its fleet's capacity.
    pub units: i32,
    /// The number of vCPUs.
    cores: u32,
    /// The memory in MiB.
    mib: u32,
}

impl Executor {
    /// Returns the memory that the container needs besides the heap, in MiB.
    #[must_use]
    pub fn overhead_mib(&self) -> u32 {
        let task = TASK_MIB.saturating_add(self.photo_mib.saturating_sub(PHOTO_MIB));
        self.tasks.saturating_mul(task).saturating_add(SPARK_MIB)
    }

    /// Checks that each of these workers has room for an executor.
    ///
    /// Without enough room, YARN would wait forever for a larger machine.
    ///
    /// # Errors
    /// A sentence that names the first worker that is too small, with both sizes.
    pub fn check_fits(&self, workers: &[WorkerType]) -> Result<(), String> {
        let needed = self.heap_mib.saturating_add(self.overhead_mib());
        match workers.iter().find(|worker| worker.yarn_mib() < needed || worker.cores < self.tasks) {
            None => Ok(()),
            Some(worker) => Err(format!(
                "an executor of {} tasks needs {} cores and {needed} MiB (heap {}, overhead {}), but a {} has {} cores and \
                 {} MiB for Spark: make the executor smaller, or leave out that type",
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
    /// Creates the worker type with this EC2 name.
    ///
    /// Cores and memory follow from the name: general purpose (m), compute (c) and memory (r)
    /// machines have 4, 2 and 8 GiB per vCPU.
    ///
    /// # Errors
    /// A sentence with examples of supported types.
    pub fn new(name: &str, units: i32) -> Result<Self, String> {
        let (cores, mib) = instance_size(name).ok_or_else(|| {
            format!("`{name}` is not a supported instance type (e.g. m5.xlarge, c6i.2xlarge or r5.large)")
        })?;
        Ok(Self { name: name.to_owned(), units, cores, mib })
    }

    fn yarn_mib(&self) -> u32 {
        // Divided first, so that no product overflows.
        self.mib / 100 * YARN_PERCENT + self.mib % 100 * YARN_PERCENT / 100
    }
}

/// Returns the vCPUs and the memory in MiB of an instance type.
fn instance_size(name: &str) -> Option<(u32, u32)> {
    let (family, size) = name.split_once('.')?;
    let letters = family.find(|c: char| c.is_ascii_digit())?;
    let gib_per_core = match &family[..letters] {
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
    Some((cores, cores * gib_per_core * 1024))
}

#[cfg(test)]
mod tests {
    use fruitvec_core::contract::limits::Limits;

    use super::*;

    fn worker(name: &str) -> WorkerType {
        WorkerType::new(name, 1).unwrap()
    }

    /// Sources: the EC2 pages of the types, and `yarn.nodemanager.resource.memory-mb` in EMR's
    /// release guide.
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
    fn an_unsupported_type_is_refused() {
        for name in
            ["", "m5", "xlarge", "m5.", "m5.metal", "p4d.24xlarge", "5.xlarge", "m5.0xlarge", "m5.99xlarge"]
        {
            assert!(WorkerType::new(name, 1).unwrap_err().contains("m5.xlarge"), "{name}");
        }
    }

    #[test]
    fn the_overhead_has_room_for_a_worker_process_per_task() {
        for tasks in 1..16 {
            assert_eq!(u64::from(PHOTO_MIB) << 20, Limits::default().decoded_bytes);
            let executor = |photo_mib| Executor { tasks, heap_mib: 1024, photo_mib };
            assert!(executor(256).overhead_mib() >= tasks * 700);
            assert_eq!(executor(1256).overhead_mib(), executor(256).overhead_mib() + tasks * 1000);
        }
    }

    #[test]
    fn an_executor_must_fit_the_smallest_worker() {
        let executor = Executor { tasks: 4, heap_mib: 4096, photo_mib: 256 };
        assert_eq!(executor.check_fits(&[worker("m5.xlarge"), worker("m5.2xlarge")]), Ok(()));
        let too_little_memory =
            executor.check_fits(&[worker("m5.2xlarge"), worker("c5.xlarge")]).unwrap_err();
        assert!(too_little_memory.contains("c5.xlarge") && too_little_memory.contains("7280 MiB"));
        let too_few_cores = executor.check_fits(&[worker("r5.large")]).unwrap_err();
        assert!(too_few_cores.contains("r5.large has 2 cores"), "{too_few_cores}");
    }
}
