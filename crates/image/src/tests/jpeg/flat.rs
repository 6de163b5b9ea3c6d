//! Builds JPEGs of one shade of grey, of any size, in a few bytes.

/// A start-of-frame marker.
const BASELINE: u8 = 0xC0;
const PROGRESSIVE: u8 = 0xC2;

/// Returns a baseline JPEG whose components have these sampling factors.
pub(in crate::tests) fn baseline(width: u16, height: u16, factors: &[u8]) -> Vec<u8> {
    let ids: Vec<u8> = (1..=factors.len() as u8).collect();
    // A zero for the mean of a block, and one for the end of the block.
    let bits = 2 * blocks_in_units(width, height, factors);
    let scan = [scan(&ids, [0, 63, 0]), zeros(bits)].concat();
    [start(BASELINE, width, height, factors), scan, vec![0xFF, 0xD9]].concat()
}

/// Returns a greyscale baseline JPEG that has a restart marker after each `interval` blocks, and
/// declares one after each `declared` blocks.
pub(in crate::tests) fn with_restarts(width: u16, height: u16, interval: u64, declared: u16) -> Vec<u8> {
    let blocks = blocks_in_units(width, height, &[0x11]);
    let mut bytes = start(BASELINE, width, height, &[0x11]);
    bytes.extend(segment(0xDD, &declared.to_be_bytes()));
    bytes.extend(scan(&[1], [0, 63, 0]));
    for (index, first) in (0..blocks).step_by(interval as usize).enumerate() {
        if index > 0 {
            bytes.extend([0xFF, 0xD0 + (index - 1) as u8 % 8]);
        }
        bytes.extend(zeros(2 * interval.min(blocks - first)));
    }
    bytes.extend(b"\xFF\xD9");
    bytes
}

/// Returns a progressive JPEG with this number of scans, of which all but the first bring nothing.
pub(in crate::tests) fn progressive(width: u16, height: u16, factors: &[u8], scans: usize) -> Vec<u8> {
    let ids: Vec<u8> = (1..=factors.len() as u8).collect();
    let mut bytes = start(PROGRESSIVE, width, height, factors);
    bytes.extend(scan(&ids, [0, 0, 0]));
    bytes.extend(zeros(blocks_in_units(width, height, factors)));
    let luma_blocks = u64::from(width).div_ceil(8) * u64::from(height).div_ceil(8);
    // Each zero, followed by fourteen zeros, ends 16,384 blocks.
    let empty = [scan(&ids[..1], [1, 63, 0]), zeros(15 * luma_blocks.div_ceil(1 << 14))].concat();
    bytes.extend(empty.repeat(scans - 1));
    bytes.extend(b"\xFF\xD9");
    bytes
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(payload.len() as u16 + 2).to_be_bytes()[..], payload].concat()
}

fn zeros(bits: u64) -> Vec<u8> {
    vec![0; bits.div_ceil(8) as usize]
}

/// Returns everything before the first scan. In both tables, a zero is the only code.
fn start(frame: u8, width: u16, height: u16, factors: &[u8]) -> Vec<u8> {
    let table = |class: u8, symbol: u8| {
        let mut table = vec![class, 1];
        table.extend([0; 15]);
        table.push(symbol);
        segment(0xC4, &table)
    };
    let end_of_blocks = if frame == PROGRESSIVE { 0xE0 } else { 0 };
    let mut header = vec![8];
    header.extend([height.to_be_bytes(), width.to_be_bytes()].as_flattened());
    header.push(factors.len() as u8);
    header.extend(factors.iter().zip(1..).flat_map(|(factors, id)| [id, *factors, 0]));
    let quantisers = segment(0xDB, &[&[0][..], &[1; 64]].concat());
    let tables = [table(0, 0), table(0x10, end_of_blocks)].concat();
    [vec![0xFF, 0xD8], quantisers, segment(frame, &header), tables].concat()
}

fn scan(ids: &[u8], band: [u8; 3]) -> Vec<u8> {
    let components: Vec<u8> = ids.iter().flat_map(|id| [*id, 0]).collect();
    segment(0xDA, &[&[ids.len() as u8], &components[..], &band].concat())
}

fn blocks_in_units(width: u16, height: u16, factors: &[u8]) -> u64 {
    let across = factors.iter().map(|factors| factors >> 4).max().unwrap();
    let down = factors.iter().map(|factors| factors & 15).max().unwrap();
    let units =
        u64::from(width).div_ceil(8 * u64::from(across)) * u64::from(height).div_ceil(8 * u64::from(down));
    units * factors.iter().map(|factors| u64::from((factors >> 4) * (factors & 15))).sum::<u64>()
}
