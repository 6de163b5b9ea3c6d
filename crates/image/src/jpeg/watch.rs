//! Reports libjpeg's errors, and watches for scans that end early.
//!
//! Where data is missing, libjpeg only warns, and paints the missing blocks grey. It also warns of
//! damage that harms nobody, such as a few bytes too many. A warning's kind is behind a raw
//! pointer, but when it comes also tells what it means. [`Source`](super::source::Source) puts
//! padding behind the data of each scan. Only a scan whose data is missing decodes the padding, in
//! which no code is valid. So a warning while the padding is read means that the scan ended early.

use std::cell::Cell;
use std::os::raw::c_int;
use std::panic::resume_unwind;

use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, msg_parm_union};

/// What libjpeg's calls unwind with.
#[derive(Debug)]
pub(super) enum Stop {
    /// The data of a scan ends at this byte of the file, before its last block.
    EndsEarly(usize),
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

thread_local! {
    /// Set while libjpeg reads the padding.
    static PADDING: Cell<Option<Padding>> = const { Cell::new(None) };
}

/// Notes that libjpeg starts to read the padding behind the data of a scan.
pub(super) fn padding_starts(start: usize, allowed_warnings: usize) {
    PADDING.set(Some(Padding { start, warnings: allowed_warnings }));
}

/// Returns an error manager that unwinds with a [`Stop`].
pub(super) fn error_manager() -> jpeg_error_mgr {
    PADDING.set(None);
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
    let padding = PADDING.take().filter(|_| level < 0);
    PADDING.set(padding.map(|Padding { start, warnings }| match warnings.checked_sub(1) {
        Some(warnings) => Padding { start, warnings },
        None => resume_unwind(Box::new(Stop::EndsEarly(start))),
    }));
}

extern "C-unwind" fn fail(_: &mut jpeg_common_struct) {
    resume_unwind(Box::new(Stop::Failed));
}

extern "C-unwind" fn ignore(_: &mut jpeg_common_struct) {}

extern "C-unwind" fn format_nothing(_: &mut jpeg_common_struct, _: &[u8; 80]) {}
