//! An SDK client for the embedded S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};

use crate::credentials::Credentials;
use crate::region::REGION;

/// Returns an SDK client for an S3 server on a loopback endpoint.
///
/// The client speaks plain HTTP and puts the bucket in the path.
#[must_use]
pub fn client(endpoint: &str, credentials: &Credentials) -> Client {
    let Credentials { access_key_id, secret_access_key } = credentials;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        // Virtual-hosted buckets would need a DNS name per bucket.
        .force_path_style(true)
        .credentials_provider(SdkCredentials::new(access_key_id, secret_access_key, None, None, "fruitvec"))
        // The loopback interface does not corrupt data, so checksums would only cost CPU time.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // Plain HTTP, so that the client loads no TLS roots.
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}
