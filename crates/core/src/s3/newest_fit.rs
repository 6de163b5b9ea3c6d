//! Reads the record of a model's newest fit.

use crate::contract::fit::{FitRecord, Latest};
use crate::contract::layout::{fit_key, latest_fit_key};
use crate::error::Result;
use crate::s3::client::Store;

/// Returns the record of a model's newest published fit, or `None` if no fit was published.
///
/// # Errors
/// As [`Store::get_json`].
pub async fn newest_fit(store: &Store, results_bucket: &str, model: &str) -> Result<Option<FitRecord>> {
    let Some(latest) = store.get_json::<Latest>(results_bucket, &latest_fit_key(model)).await? else {
        return Ok(None);
    };
    // The pointer is written last, so the fit that it names is complete.
    store.get_json(results_bucket, &fit_key(model, &latest.fit, "fit.json")).await
}
