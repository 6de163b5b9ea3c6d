//! JPEGs in arithmetic coding.

use crate::tests::fixtures::{QUADRANTS, assert_shows, input_image, reject_code};
use fruitvec_core::rejection::RejectCode;

const FILES: [&[u8]; 2] = [
    include_bytes!("../../../../../tests/photos/arithmetic.jpg"),
    include_bytes!("../../../../../tests/photos/arithmetic_progressive.jpg"),
];

#[test]
fn arithmetic_coding_is_decoded() {
    for file in FILES {
        assert_shows(file, QUADRANTS, 6);
    }
}

/// The decoder takes missing data for zeros, so it would not notice.
#[test]
fn arithmetic_coding_without_an_end_is_truncated() {
    for file in FILES {
        for cut in [file.len() / 2, file.len() - 2] {
            assert_eq!(reject_code(input_image(&file[..cut], 32)), Some(RejectCode::Truncated), "{cut}");
        }
    }
}
