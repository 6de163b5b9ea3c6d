//! Executes a delete task: deletes replaced parts and dead objects.

use futures::{StreamExt, TryStreamExt};

use super::records::{DeleteList, PartToDelete};
use crate::batch::outcome::Report;
use crate::batch::results::Results;
use crate::error::{Error, Result};

/// Parts deleted concurrently. Each takes three requests in sequence.
const PART_CONCURRENCY: usize = 16;

/// Deletes the objects of a list. A part is kept if one of its replacements no longer exists.
pub(crate) async fn delete(results: Results<'_>, list: &DeleteList) -> Result<Report> {
    let mut report = Report::default();
    let parts = list.parts.iter().map(|part| delete_part(results, part));
    let mut parts = futures::stream::iter(parts).buffer_unordered(PART_CONCURRENCY);
    while let Some(deleted) = parts.try_next().await? {
        match deleted {
            Some(sidecars) => {
                report.counts.add("parts_deleted", 1);
                report.counts.add("objects_deleted", sidecars);
            }
            None => report.counts.add("parts_kept", 1),
        }
    }
    // These need no check, because no reader depends on them.
    results.store.delete(results.bucket, &list.objects).await?;
    report.counts.add("objects_deleted", list.objects.len() as u64);
    Ok(report)
}

/// Deletes a part and its sidecars. Returns the number of sidecars, or `None` if the part is kept.
async fn delete_part(results: Results<'_>, part: &PartToDelete) -> Result<Option<u64>> {
    if !is_replaced(results, part).await? {
        return Ok(None);
    }
    let Some((part, sidecars)) = part.keys.split_last() else { return Ok(Some(0)) };
    // Sidecars are deleted first. If this is killed in between, the next plan finds the part again,
    // and with it the rest of the sidecars.
    results.store.delete(results.bucket, sidecars).await?;
    results.store.delete(results.bucket, std::slice::from_ref(part)).await?;
    Ok(Some(sidecars.len() as u64))
}

async fn is_replaced(results: Results<'_>, part: &PartToDelete) -> Result<bool> {
    for key in &part.replaced_by {
        match results.store.head(results.bucket, key).await {
            Ok(_) => (),
            Err(Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
