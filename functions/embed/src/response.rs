//! The response of an invocation that did not fail.

use std::collections::BTreeMap;

use serde::Serialize;

/// The response to an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The response to an SQS batch, after which Lambda deletes all messages that it does not list.
    ///
    /// Source: "Reporting batch item failures" in the AWS Lambda developer guide.
    Batch {
        /// The messages that failed.
        #[serde(rename = "batchItemFailures")]
        failures: Vec<ItemFailure>,
    },
    /// The response to a direct S3 event: the number of photos per outcome, named as in the log.
    Outcomes(BTreeMap<&'static str, usize>),
}

/// One message that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemFailure {
    /// The message's id in the batch.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_have_the_format_that_lambda_expects() {
        let json = |response: &Response| serde_json::to_string(response).unwrap();
        let failures = vec![ItemFailure { id: "059f36b4".into() }];
        assert_eq!(
            json(&Response::Batch { failures }),
            r#"{"batchItemFailures":[{"itemIdentifier":"059f36b4"}]}"#
        );
        assert_eq!(json(&Response::Batch { failures: Vec::new() }), r#"{"batchItemFailures":[]}"#);
        assert_eq!(json(&Response::Outcomes([("embedded", 1)].into())), r#"{"embedded":1}"#);
    }
}
