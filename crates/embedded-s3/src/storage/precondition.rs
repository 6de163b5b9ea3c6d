//! Preconditions of writes and removals.

use crate::storage::error::StorageError;

/// The state of the current object that a write or a removal requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Any state.
    None,
    /// The key is free.
    IfAbsent,
    /// The key has an object.
    IfPresent,
    /// The key has an object with this `ETag`, without quotes.
    IfMatch(String),
}

impl Precondition {
    /// Checks the precondition against the `ETag` of the current object. `None` if the key is free.
    pub(crate) fn check(&self, current: Option<&str>) -> Result<(), StorageError> {
        match (self, current) {
            // S3 answers 404, not 412, when If-Match finds no object.
            (Self::IfPresent | Self::IfMatch(_), None) => Err(StorageError::NoSuchKey),
            (Self::IfAbsent, Some(_)) => Err(StorageError::PreconditionFailed),
            (Self::IfMatch(expected), Some(etag)) if expected != etag => {
                Err(StorageError::PreconditionFailed)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conditional_write_needs_the_expected_object() {
        let if_match = Precondition::IfMatch("a".into());
        assert!(if_match.check(Some("a")).is_ok());
        assert!(matches!(if_match.check(Some("b")), Err(StorageError::PreconditionFailed)));
        assert!(matches!(if_match.check(None), Err(StorageError::NoSuchKey)));
        assert!(Precondition::IfPresent.check(Some("b")).is_ok());
        assert!(matches!(Precondition::IfPresent.check(None), Err(StorageError::NoSuchKey)));
    }

    #[test]
    fn put_if_absent_needs_a_free_key() {
        assert!(Precondition::IfAbsent.check(None).is_ok());
        let taken = Precondition::IfAbsent.check(Some("a"));
        assert!(matches!(taken, Err(StorageError::PreconditionFailed)));
    }
}
