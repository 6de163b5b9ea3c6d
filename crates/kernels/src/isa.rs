//! Which instructions the kernels are compiled for.

use std::fmt;
use std::str::FromStr;

use crate::simd::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// A set of instructions, from the fastest to what every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// AVX-512F.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// Plain Rust, as the compiler vectorises it for the target.
    Portable,
}

/// A path that this machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Machine {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Path {
    /// Every path, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest that this machine has.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|path| path.is_here()).unwrap_or(Self::Portable)
    }

    /// Whether this machine has it.
    #[must_use]
    pub fn is_here(self) -> bool {
        self.machine().is_some()
    }

    /// `avx512`, `avx2` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn machine(self) -> Option<Machine> {
        match self {
            Self::Avx512 => Avx512::detect().map(Machine::Avx512),
            Self::Avx2 => Avx2::detect().map(Machine::Avx2),
            Self::Portable => Some(Machine::Portable(Portable)),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn machine(self) -> Option<Machine> {
        (self == Self::Portable).then_some(Machine::Portable(Portable))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|path| path.name() == name);
        found.ok_or_else(|| format!("there is no path {name:?}; there are avx512, avx2 and portable"))
    }
}
