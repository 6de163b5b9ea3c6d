//! Counts the outcomes of the demo's photos, and prints them.

use std::collections::BTreeMap;

use fruitvec::contract::event::Delivery;
use fruitvec::error::{Error, Result};
use fruitvec::ingest::DeliveryOutcome;
use fruitvec::rejection::RejectCode;

use super::super::terminal::{counted, escape_control};

/// Rejects that are printed. The others are only counted.
const MAX_SHOWN: usize = 10;

/// The outcomes of all photos.
#[derive(Default)]
pub(super) struct Summary {
    embedded: usize,
    /// Photos that were embedded before.
    pub(super) present: usize,
    /// Photos that were rejected before.
    pub(super) rejected_before: usize,
    rejected: BTreeMap<String, (RejectCode, String)>,
    /// The error of each photo that was neither embedded nor rejected.
    pub(super) failed: BTreeMap<String, String>,
    pub(super) seconds: f64,
}

impl Summary {
    pub(super) fn add(&mut self, delivery: &Delivery, outcome: &DeliveryOutcome) {
        match outcome {
            DeliveryOutcome::Embedded { already: false, .. } => self.embedded += 1,
            DeliveryOutcome::Embedded { already: true, .. } => self.present += 1,
            DeliveryOutcome::Rejected { rejection, .. } => {
                let rejection = (rejection.code, rejection.message.clone());
                self.rejected.insert(delivery.key.clone(), rejection);
            }
            DeliveryOutcome::Failed(error) => {
                self.failed.insert(delivery.key.clone(), error.to_string());
            }
            DeliveryOutcome::Gone
            | DeliveryOutcome::Removed
            | DeliveryOutcome::StillThere
            | DeliveryOutcome::Ignored => (),
        }
    }

    /// Returns an error if a photo was neither embedded nor rejected.
    pub(super) fn check_all_embedded(&self) -> Result<()> {
        match self.failed.len() {
            0 => Ok(()),
            n => Err(Error::NothingToDo(format!("{} not embedded; run it again", counted(n, "photo")))),
        }
    }

    pub(super) fn show(&self) {
        let rate = self.embedded as f64 / self.seconds;
        let speed = if self.embedded > 0 {
            format!("  ({:.1} s, {rate:.0} photos/s)", self.seconds)
        } else {
            String::new()
        };
        say!("embedded    {}{speed}", self.embedded);
        self.show_rejected();
        let rejected = match self.rejected_before {
            0 => String::new(),
            n => format!("  ({n} of them rejected)"),
        };
        say!("already     {}{rejected}\n", self.present + self.rejected_before);
        for (key, error) in &self.failed {
            eprintln!("failed: {}: {error}", escape_control(key));
        }
    }

    fn show_rejected(&self) {
        say!("rejected    {}", self.rejected.len());
        for (key, (code, message)) in self.rejected.iter().take(MAX_SHOWN) {
            say!("              {}: {code}: {message}", escape_control(key));
        }
        if self.rejected.len() > MAX_SHOWN {
            say!("              … and {} more", self.rejected.len() - MAX_SHOWN);
        }
    }
}
