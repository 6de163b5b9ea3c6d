//! Publishes a fit: writes its files, points `latest.json` to it, and deletes old fits.
//!
//! Readers follow `latest.json`. It is replaced last, and only by a later fit, so no reader sees
//! half a fit and none is sent back to an older one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::fit::FILES;
use super::plot;
use super::projection::encode_components;
use super::sample::{MAX_POINTS, Sample};
use crate::batch::results::Results;
use crate::contract::fit::{FitRecord, Latest};
use crate::contract::layout::{
    fit_key, fits_prefix, latest_fit_key, reduced_of_model_prefix, reduced_prefix,
};
use crate::error::{Error, Result};
use crate::pca::Fit;
use crate::s3::compare_and_swap::{Swap, compare_and_swap};
use crate::s3::{JSON, ObjectMeta};
use crate::table;

/// Fits that stay: the newest, and the one before it for readers that are still on it.
const KEPT_FITS: usize = 2;
/// Wait before the pointer is tried again while others publish. It grows with each attempt.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// Publishes the fits of one model.
pub(super) struct Publisher<'a> {
    results: Results<'a>,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(results: Results<'a>) -> Self {
        Self { results }
    }

    /// Returns whether a fit is published.
    pub(super) async fn has(&self, fit: &str) -> Result<bool> {
        let Results { store, bucket, card } = self.results;
        let key = fit_key(&card.id, fit, "fit.json");
        Ok(store.get_json::<FitRecord>(bucket, &key).await?.is_some())
    }

    /// Returns the content of `latest.json`, or `None` before the first fit.
    pub(super) async fn latest(&self) -> Result<Option<Latest>> {
        let Results { store, bucket, card } = self.results;
        store.get_json(bucket, &latest_fit_key(&card.id)).await
    }

    /// Publishes a fit. The scatter plot is omitted if the sample is empty.
    pub(super) async fn publish(&self, record: &FitRecord, fit: &Fit, sample: &Sample) -> Result<()> {
        self.write_files(record, fit, sample).await?;
        self.publish_pointer(record).await?;
        self.delete_old_fits().await
    }

    async fn write_files(&self, record: &FitRecord, fit: &Fit, sample: &Sample) -> Result<()> {
        let Results { store, bucket, card } = self.results;
        let scree_title = format!("{} photos, {}", record.rows, record.model);
        let scatter_title = match record.rows {
            rows if rows > MAX_POINTS as u64 => format!("{}, a sample of {rows} photos", record.model),
            _ => record.model.clone(),
        };
        let ratios = &fit.explained_variance_ratio;
        let ratio = |component: usize| ratios.get(component).copied().unwrap_or_default();
        let bodies = [
            serde_json::to_vec_pretty(record).map_err(Error::schema("fit.json"))?,
            encode_components(fit, card)?,
            fit.explained_variance_csv().into_bytes(),
            plot::scree(ratios, &scree_title)?.into_bytes(),
            plot::scatter(&sample.points(), (ratio(0), ratio(1)), &scatter_title)?.into_bytes(),
        ];
        let media_types = [JSON, table::MEDIA_TYPE, "text/csv", "image/svg+xml", "image/svg+xml"];
        let files = FILES.len() - usize::from(sample.is_empty());
        for ((file, body), media_type) in FILES.iter().zip(bodies).zip(media_types).take(files) {
            store.put(bucket, &fit_key(&card.id, &record.fit, file), media_type, body).await?;
        }
        Ok(())
    }

    /// Points `latest.json` to this fit, unless it already points to a later one.
    async fn publish_pointer(&self, record: &FitRecord) -> Result<()> {
        let Results { store, bucket, card } = self.results;
        let key = latest_fit_key(&card.id);
        let latest = Latest { fit: record.fit.clone(), inputs: record.inputs.clone() };
        let body = serde_json::to_vec_pretty(&latest).map_err(Error::schema(&key))?;
        compare_and_swap(store, bucket, &key, RETRY_BACKOFF, async |published| {
            let published: Option<Latest> =
                published.map(serde_json::from_slice).transpose().map_err(Error::schema(&key))?;
            // Ids sort by time.
            let superseded = published.is_some_and(|published| published.fit >= latest.fit);
            Ok((if superseded { Swap::Keep } else { Swap::Write(body.clone()) }, ()))
        })
        .await
    }

    /// Deletes all fits but the newest [`KEPT_FITS`], with their projections.
    async fn delete_old_fits(&self) -> Result<()> {
        let card = self.results.card;
        let Some(latest) = self.latest().await? else { return Ok(()) };
        let published = self.fits_under(&fits_prefix(&card.id)).await?;
        let mut kept: Vec<_> = published.iter().filter(|fit| **fit <= latest.fit).collect();
        let kept = kept.split_off(kept.len().saturating_sub(KEPT_FITS));
        let projected = self.fits_under(&reduced_of_model_prefix(&card.id)).await?;
        // A fit newer than the newest is still being written by another run.
        let old = |fit: &&String| **fit < latest.fit && !kept.contains(fit);
        for fit in published.union(&projected).filter(old) {
            self.delete_prefix(&reduced_prefix(&card.id, fit)).await?;
            self.delete_prefix(&fit_key(&card.id, fit, "")).await?;
        }
        Ok(())
    }

    /// Lists the ids of the fits that have a folder under a prefix.
    async fn fits_under(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let Results { store, bucket, .. } = self.results;
        let (mut fits, mut token) = (BTreeSet::new(), None);
        loop {
            let page = store.page(bucket, prefix, true, token).await?;
            let fit_id = |folder: &String| {
                Some(folder.strip_prefix(prefix)?.strip_prefix("fit=")?.strip_suffix('/')?.to_owned())
            };
            fits.extend(page.folders.iter().filter_map(fit_id));
            token = page.next;
            if token.is_none() {
                return Ok(fits);
            }
        }
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<()> {
        let Results { store, bucket, .. } = self.results;
        let mut keys = Vec::new();
        let add = |object: ObjectMeta| {
            keys.push(object.key);
            Ok(())
        };
        store.list(bucket, prefix, add).await?;
        store.delete(bucket, &keys).await
    }
}
