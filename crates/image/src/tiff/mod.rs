//! TIFF and BigTIFF: the first image of a file, as photo editors, scanners and GIS tools write it.
//!
//! ```text
//! bytes ──▶ directory ──▶ layout ──▶ chunks ──▶ codec ──▶ unpack ──▶ colour ──▶ Raster
//!           tags          what a     strips,    rows      8-bit      greyscale,
//!                         row is     tiles      of bytes  samples    RGB, CMYK
//! ```
//!
//! The crate `tiff` reads fewer layouts, and it loads whole strips and lists of strips before
//! anything can check them. So only the compression methods come from libraries.

mod chunks;
mod codec;
mod colour;
mod compression;
mod decode;
mod directory;
mod fax;
mod jpeg;
mod layout;
mod photometric;
mod refuse;
mod subsampling;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use self::decode::{channels, decode, read_header};
