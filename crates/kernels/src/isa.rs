//! The instruction sets that the kernels are compiled for.

use std::fmt;
use std::str::FromStr;

use crate::simd::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// Plain Rust, vectorised by the compiler for the target. Every machine supports it.
    Portable,
}

/// An instruction set that this machine supports, with the proof of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DetectedIsa {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Isa {
    /// Every instruction set, fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// Returns the fastest instruction set that this machine supports.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_supported()).unwrap_or(Self::Portable)
    }

    /// Returns whether this machine supports the instruction set.
    #[must_use]
    pub fn is_supported(self) -> bool {
        self.detect().is_some()
    }

    /// Returns `avx512`, `avx2` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn detect(self) -> Option<DetectedIsa> {
        match self {
            Self::Avx512 => Avx512::detect().map(DetectedIsa::Avx512),
            Self::Avx2 => Avx2::detect().map(DetectedIsa::Avx2),
            Self::Portable => Some(DetectedIsa::Portable(Portable)),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn detect(self) -> Option<DetectedIsa> {
        (self == Self::Portable).then_some(DetectedIsa::Portable(Portable))
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|isa| isa.name() == name);
        found.ok_or_else(|| format!("unknown instruction set {name:?}; expected avx512, avx2 or portable"))
    }
}
