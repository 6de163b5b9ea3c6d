//! The options of a run.

use clap::Args;
use fruitvec::batch::backfill::Retry;
use fruitvec::batch::compact::{CompactOptions, GRACE, PART_BYTES};
use fruitvec::batch::pca::{COMPONENTS, FitOptions, Projection};
use fruitvec::batch::plan::PlanOptions;
use fruitvec::error::{Error, Result};
use fruitvec::rejection::RejectCode;
use time::Duration;

/// The value of `--retry-rejects` without a code.
const ALL: &str = "all";

/// The options of a run.
#[derive(Args)]
pub(crate) struct PlanArgs {
    /// Remove more than 5 % of the rows without asking.
    #[arg(long)]
    yes: bool,
    /// Try rejected photos again: all of them, or those with a code. May be given several times.
    #[arg(long, value_name = "CODE", num_args = 0..=1, require_equals = true, default_missing_value = ALL)]
    retry_rejects: Vec<String>,
    /// Grace period before a replaced part is deleted, in hours.
    #[arg(long, value_name = "HOURS", default_value_t = GRACE.whole_hours() as u32)]
    grace_hours: u32,
    /// Target size of a compacted part, in MiB.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = (PART_BYTES >> 20) as u32,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    part_mib: u32,
    /// Number of PCA components.
    #[arg(long, value_name = "N", default_value_t = COMPONENTS)]
    components: usize,
    /// Fit the PCA from the rows alone: ignore cached moments, and fit even if nothing changed.
    #[arg(long)]
    full: bool,
    /// Which rows to project: all, none, or new (the parts that the previous fit did not project).
    #[arg(long, value_name = "ROWS", default_value = "all")]
    project: Projection,
}

impl PlanArgs {
    pub(crate) fn options(&self) -> Result<PlanOptions> {
        let grace = Duration::hours(self.grace_hours.into());
        Ok(PlanOptions {
            retry: retry(&self.retry_rejects)?,
            confirmed: self.yes,
            compact: CompactOptions { part_bytes: u64::from(self.part_mib) << 20, grace },
            fit: FitOptions { components: self.components, full: self.full, projection: self.project },
        })
    }
}

fn retry(codes: &[String]) -> Result<Retry> {
    if codes.is_empty() {
        return Ok(Retry::Nothing);
    }
    if codes.iter().any(|code| code == ALL) {
        return Ok(Retry::Everything);
    }
    let codes = codes.iter().map(|code| {
        serde_json::from_value::<RejectCode>(code.as_str().into())
            .map_err(|cause| Error::Config(format!("--retry-rejects={code}: {cause}")))
    });
    codes.collect::<Result<_>>().map(Retry::Codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_to_retry_are_parsed_and_an_unknown_one_is_named() {
        let strings = |codes: &[&str]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(retry(&[]).unwrap(), Retry::Nothing);
        assert_eq!(retry(&strings(&["empty", "all"])).unwrap(), Retry::Everything);
        assert_eq!(retry(&strings(&["empty"])).unwrap(), Retry::Codes(vec![RejectCode::Empty]));
        let error = retry(&strings(&["rotten"])).unwrap_err().to_string();
        assert!(error.contains("--retry-rejects=rotten"), "{error}");
    }
}
