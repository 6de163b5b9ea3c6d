//! Bounds on work and memory, and the decoders that keep them.

mod against_image;
mod floods;
