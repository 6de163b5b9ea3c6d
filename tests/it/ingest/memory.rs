//! Memory: what a batch takes at its peak, however large its pictures are. Each measurement has a process of its own.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use fruitvec::ingest::Outcome;
use fruitvec::pixels::Limits;
use fruitvec::reject::RejectCode;

use super::png;
use crate::fixture::{World, photo};

/// Set in the process that measures.
const ALONE: &str = "FRUITVEC_TEST_ALONE";
/// What a batch takes beside its pictures: requests, threads, the allocator.
const BESIDE: u64 = 32 << 20;

/// Runs the test of this name again in a process of its own; returns whether this is that process.
pub(crate) fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// Bytes of memory that this process has, and has had at most since [`forget_peak`].
pub(crate) fn resident() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// See proc(5), `clear_refs`: 5 resets the peak to what is resident now.
pub(crate) fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_64_million_16_bit_pixels_is_refused_before_it_takes_memory() {
    if !alone("ingest::memory::a_picture_of_64_million_16_bit_pixels_is_refused_before_it_takes_memory") {
        return;
    }
    let mut world = World::start().await;
    let deep = bytes::Bytes::from(png::black(8_000, 8_000, 16));
    for number in 0..4 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
        world.put(&format!("photos/Kiwi/{number}-deep.png"), deep.clone()).await;
    }
    let batch = world.told();
    forget_peak();
    let before = resident().0;
    let outcomes = world.ingest.ingest(&batch).await;
    let took = resident().1 - before;
    for pair in outcomes.chunks(2) {
        let [Outcome::Embedded { .. }, Outcome::Rejected { rejection, .. }] = pair else {
            panic!("{pair:?}")
        };
        assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
    }
    assert!(took < BESIDE, "{} MiB", took >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_decoded_at_once_share_one_budget() {
    // Beyond the size up to which glibc keeps what was freed for the next allocation of the same thread.
    const PICTURE: u64 = 3_400 * 3_400 * 3;
    if !alone("ingest::memory::pictures_that_are_decoded_at_once_share_one_budget") {
        return;
    }
    // Room for one, and for half of another. Four threads would like four.
    let limits = Limits { decoded_bytes: PICTURE + (1 << 20), ..Limits::default() };
    let mut world = World::with(limits).await;
    let large = bytes::Bytes::from(png::black(3_400, 3_400, 8));
    for number in 0..4 {
        world.put(&format!("photos/Kiwi/{number}.png"), large.clone()).await;
    }
    let batch = world.told();
    forget_peak();
    let before = resident().0;
    let outcomes = world.ingest.ingest(&batch).await;
    let took = resident().1 - before;
    assert!(outcomes.iter().all(|it| matches!(it, Outcome::Embedded { .. })), "{outcomes:?}");
    assert!(took > PICTURE, "it was not decoded: {} MiB", took >> 20);
    assert!(took < PICTURE + BESIDE, "{} MiB", took >> 20);
}
