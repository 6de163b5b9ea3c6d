//! Deleting what was replaced and what does not hold.

use crate::compact::{Sweep, Swept};
use crate::error::{Error, Result};
use crate::outcome::Report;
use crate::store::Store;

/// Deletes what a list names. A part goes only if all that was written in its place is still there.
pub(crate) async fn sweep(store: &Store, results_bucket: &str, list: &Sweep) -> Result<Report> {
    let mut report = Report::default();
    for part in &list.parts {
        if !is_replaced(store, results_bucket, part).await? {
            report.counts.add("parts_kept", 1);
            continue;
        }
        // What lies beside it goes first: without the part nobody would look for it by its name.
        let (part, beside) =
            part.keys.split_last().map_or((None, &[][..]), |(part, beside)| (Some(part), beside));
        store.delete(results_bucket, beside).await?;
        store.delete(results_bucket, part.map_or(&[], std::slice::from_ref)).await?;
        report.counts.add("parts_deleted", 1);
        report.counts.add("objects_deleted", beside.len() as u64);
    }
    store.delete(results_bucket, &list.objects).await?;
    report.counts.add("objects_deleted", list.objects.len() as u64);
    Ok(report)
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
