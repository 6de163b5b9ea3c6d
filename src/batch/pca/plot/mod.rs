//! The two plots of a fit, as SVG: explained variance per component, and photos on the first two.

mod page;
mod scatter;
mod scree;

pub use self::scatter::{Point, scatter};
pub use self::scree::scree;
