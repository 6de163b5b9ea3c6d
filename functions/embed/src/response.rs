//! What the function answers when it has not failed.

use std::collections::BTreeMap;

use serde::Serialize;

/// The answer to an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a batch of a queue: what Lambda leaves in it. Source: "Reporting batch item failures" in the AWS Lambda developer guide.
    Batch {
        /// The messages that failed; all others are deleted.
        #[serde(rename = "batchItemFailures")]
        failures: Vec<ItemFailure>,
    },
    /// To an event of S3 that came directly: how many photos had which outcome, as the log names it.
    Outcomes(BTreeMap<&'static str, usize>),
}

/// One message that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemFailure {
    /// Its id, as the batch had it.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_written_as_lambda_reads_them() {
        let written = |answer: &Answer| serde_json::to_string(answer).unwrap();
        let failures = vec![ItemFailure { id: "059f36b4".into() }];
        assert_eq!(
            written(&Answer::Batch { failures }),
            r#"{"batchItemFailures":[{"itemIdentifier":"059f36b4"}]}"#
        );
        assert_eq!(written(&Answer::Batch { failures: Vec::new() }), r#"{"batchItemFailures":[]}"#);
        assert_eq!(written(&Answer::Outcomes([("embedded", 1)].into())), r#"{"embedded":1}"#);
    }
}
