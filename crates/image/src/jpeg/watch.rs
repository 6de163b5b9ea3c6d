//! Reports libjpeg's errors, and watches for scans that end early.
//!
//! Where data is missing, libjpeg only warns, and paints the missing blocks grey. It also warns of
//! damage that harms nobody, such as a few bytes too many. A warning's kind is behind a raw
//! pointer, but when it comes also tells what it means. [`Source`](super::source::Source) puts
//! padding behind the data of each scan. Only a scan whose data is missing decodes the padding, in
//! which no code is valid. So a warning while the padding is read means that the scan ended early.
//!
//! Any other warning in a scan with restart markers means that the current interval is damaged.

use std::cell::Cell;
use std::os::raw::c_int;
use std::panic::resume_unwind;

use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, msg_parm_union};

/// What libjpeg's calls unwind with.
#[derive(Debug)]
pub(super) enum Stop {
    /// The data of a scan ends at this byte of the file, before its last block.
    EndsEarly(usize),
    /// Too many restart intervals are damaged.
    Damaged,
    /// libjpeg can't continue.
    Failed,
}

#[derive(Clone, Copy)]
struct Padding {
    /// The end of the data that the padding follows.
    start: usize,
    /// The number of warnings that may still come before the next marker is processed.
    warnings: usize,
}

/// The damage in the current scan.
#[derive(Clone, Copy)]
struct Damage {
    intervals: u64,
    /// The number of intervals that may be damaged.
    tolerance: u64,
    /// Whether the current interval is among them.
    counted: bool,
}

impl Damage {
    const fn none(tolerance: u64) -> Self {
        Self { intervals: 0, tolerance, counted: false }
    }

    /// Adds a message of this level: a warning (−1), or a trace.
    fn add(&mut self, level: c_int) {
        match level {
            // Several warnings can be about the same interval.
            ..0 => (self.intervals, self.counted) = (self.intervals + u64::from(!self.counted), true),
            // A segment before the scan.
            0..RESTART => *self = Self::none(self.tolerance),
            RESTART => self.counted = false,
            // libjpeg skips to a marker, or an interval for which there is no marker.
            _ => (self.intervals, self.counted) = (self.intervals + 1, false),
        }
    }
}

/// The level of the trace that a restart marker causes. Only a wrong one has a higher level.
const RESTART: c_int = 3;

thread_local! {
    /// Set while libjpeg reads the padding.
    static PADDING: Cell<Option<Padding>> = const { Cell::new(None) };
    static DAMAGE: Cell<Damage> = const { Cell::new(Damage::none(u64::MAX)) };
}

/// Notes that libjpeg starts to read the padding behind the data of a scan.
pub(super) fn padding_starts(start: usize, allowed_warnings: usize) {
    PADDING.set(Some(Padding { start, warnings: allowed_warnings }));
}

/// Notes that libjpeg starts to read a scan, and the segments before it. `tolerance` is the number
/// of restart intervals that may be damaged.
pub(super) fn scan_starts(tolerance: u64) {
    DAMAGE.set(Damage::none(tolerance));
}

/// Returns an error manager that unwinds with a [`Stop`].
pub(super) fn error_manager() -> jpeg_error_mgr {
    PADDING.set(None);
    scan_starts(u64::MAX);
    jpeg_error_mgr {
        error_exit: Some(fail),
        emit_message: Some(watch),
        output_message: Some(ignore),
        format_message: Some(format_nothing),
        reset_error_mgr: Some(ignore),
        msg_code: 0,
        msg_parm: msg_parm_union::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: std::ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: std::ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

/// Receives warnings, at level −1, and traces. The next marker after a scan causes a trace.
extern "C-unwind" fn watch(_: &mut jpeg_common_struct, level: c_int) {
    if let Some(Padding { start, warnings }) = PADDING.take().filter(|_| level < 0) {
        match warnings.checked_sub(1) {
            Some(warnings) => PADDING.set(Some(Padding { start, warnings })),
            None => resume_unwind(Box::new(Stop::EndsEarly(start))),
        }
        return;
    }
    let mut damage = DAMAGE.get();
    damage.add(level);
    DAMAGE.set(damage);
    if damage.intervals > damage.tolerance {
        resume_unwind(Box::new(Stop::Damaged));
    }
}

extern "C-unwind" fn fail(_: &mut jpeg_common_struct) {
    resume_unwind(Box::new(Stop::Failed));
}

extern "C-unwind" fn ignore(_: &mut jpeg_common_struct) {}

extern "C-unwind" fn format_nothing(_: &mut jpeg_common_struct, _: &[u8; 80]) {}
