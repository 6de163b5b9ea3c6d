//! Deleting what was replaced and what does not hold.

use futures::{StreamExt, TryStreamExt};

use crate::compact::{Sweep, Swept};
use crate::error::{Error, Result};
use crate::outcome::Report;
use crate::store::Store;

/// Parts that are deleted at once. Each takes three requests, one after the other.
const PARTS_AT_ONCE: usize = 16;

/// Deletes what a list names. A part goes only if all that was written in its place is still there.
pub(crate) async fn sweep(store: &Store, results_bucket: &str, list: &Sweep) -> Result<Report> {
    let mut report = Report::default();
    let parts = list.parts.iter().map(|part| delete(store, results_bucket, part));
    let mut parts = futures::stream::iter(parts).buffer_unordered(PARTS_AT_ONCE);
    while let Some(deleted) = parts.try_next().await? {
        match deleted {
            Some(beside) => {
                report.counts.add("parts_deleted", 1);
                report.counts.add("objects_deleted", beside);
            }
            None => report.counts.add("parts_kept", 1),
        }
    }
    store.delete(results_bucket, &list.objects).await?;
    report.counts.add("objects_deleted", list.objects.len() as u64);
    Ok(report)
}

/// Deletes a part and what lies beside it, and returns how many objects lay beside it; nothing if the part is to stay.
async fn delete(store: &Store, results_bucket: &str, part: &Swept) -> Result<Option<u64>> {
    if !is_replaced(store, results_bucket, part).await? {
        return Ok(None);
    }
    // What lies beside it goes first: without the part nobody would look for it by its name.
    let beside = part.keys.len().saturating_sub(1);
    let (beside, part) = part.keys.split_at(beside);
    store.delete(results_bucket, beside).await?;
    store.delete(results_bucket, part).await?;
    Ok(Some(beside.len() as u64))
}

async fn is_replaced(store: &Store, results_bucket: &str, part: &Swept) -> Result<bool> {
    for key in &part.replaced_by {
        match store.head(results_bucket, key).await {
            Ok(_) => (),
            Err(Error::Gone { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
