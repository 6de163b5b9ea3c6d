//! Turns a panic in the Parquet reader into an error of the object that it reads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};

const DAMAGED: &str = "the Parquet reader panicked, so the file is damaged; restore it, or rebuild the table";

/// Runs a step of the Parquet reader. It asserts some properties of files instead of checking them.
pub(super) fn caught<T>(object: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    // Unwind safety: after an error, callers use neither the reader nor what it returned.
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|_| Err(Error::Schema { object: object.to_owned(), reason: DAMAGED.to_owned() }))
}

/// Iterates like `items`, up to the first panic, which becomes the last item.
pub(super) fn caught_items<T>(
    object: &str,
    items: impl Iterator<Item = Result<T>>,
) -> impl Iterator<Item = Result<T>> {
    let mut items = Some(items);
    std::iter::from_fn(move || {
        // Taken out, so that an iterator that panicked is not used again.
        let mut rest = items.take()?;
        match caught(object, || Ok((rest.next(), rest))) {
            Ok((item, rest)) => {
                items = Some(rest);
                item
            }
            Err(error) => Some(Err(error)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_last_item() {
        let items = (0..5).map(|number| if number < 2 { Ok(number) } else { panic!("damaged") });
        let items: Vec<Result<i32>> = caught_items("part", items).collect();
        assert_eq!(items.len(), 3);
        assert!(matches!(items[..2], [Ok(0), Ok(1)]));
        let error = items[2].as_ref().unwrap_err().to_string();
        assert!(error.starts_with("part: the Parquet reader panicked"), "{error}");
    }
}
