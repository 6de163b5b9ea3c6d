//! A PNG writer for images that would be too large to build in memory, and for false headers.

/// The colour type of RGB in a PNG header.
const RGB: u8 = 2;

/// The signature and header of an RGB image, without any pixels.
pub(super) fn head(width: u32, height: u32, bits: u8) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1A\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([bits, RGB, 0, 0, 0]);
    chunk(&mut png, b"IHDR", &header);
    png
}

/// A complete black RGB image in as few bytes as possible.
pub(super) fn black(width: u32, height: u32, bits: u8) -> Vec<u8> {
    let row = 1 + u64::from(width) * 3 * u64::from(bits / 8);
    let mut png = head(width, height, bits);
    chunk(&mut png, b"IDAT", &zeros(row * u64::from(height)));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    let checked = [kind, data].concat();
    png.extend(&checked);
    png.extend(crc32(&checked).to_be_bytes());
}

/// A zlib stream of `count` zeros: a literal, then copies of 258 bytes from one byte back, then
/// literals. The codes are in RFC 1951, section 3.2.6.
fn zeros(count: u64) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x78, 0x01], filled: 0 };
    // This is the last block, and it uses the fixed codes.
    bits.push(0b011, 3);
    let literal = |bits: &mut Bits| bits.push(u32::from(0x30_u8.reverse_bits()), 8);
    literal(&mut bits);
    let rest = count - 1;
    for _ in 0..rest / 258 {
        bits.push(u32::from(0b1100_0101_u8.reverse_bits()), 8);
        bits.push(0, 5);
    }
    (0..rest % 258).for_each(|_| literal(&mut bits));
    // End of block.
    bits.push(0, 7);
    // In the Adler-32 of zeros, the low half stays 1 and the high half is the count.
    let count = u32::try_from(count % 65_521).unwrap();
    bits.bytes.extend((count << 16 | 1).to_be_bytes());
    bits.bytes
}

/// A bit stream, lowest bit first.
struct Bits {
    bytes: Vec<u8>,
    /// Number of bits used in the last byte.
    filled: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        for bit in 0..count {
            if self.filled.is_multiple_of(8) {
                self.bytes.push(0);
                self.filled = 0;
            }
            *self.bytes.last_mut().unwrap() |= ((bits >> bit & 1) as u8) << self.filled;
            self.filled += 1;
        }
    }
}

/// The CRC-32 of PNG and zlib: <https://www.w3.org/TR/png-3/#D-CRCAppendix>.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }))
        .collect();
    !bytes.iter().fold(!0, |crc: u32, &byte| table[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[test]
fn a_black_image_is_valid_for_another_decoder() {
    for bits in [8, 16] {
        let image = image::load_from_memory(&black(301, 7, bits)).unwrap();
        assert_eq!((image.width(), image.height()), (301, 7));
        assert!(image.to_rgb8().iter().all(|&sample| sample == 0));
    }
}
