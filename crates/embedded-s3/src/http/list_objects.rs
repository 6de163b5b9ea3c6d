//! Listing objects.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object as ListedObject,
    ObjectStorageClass,
};
use s3s::{S3Result, s3_error};

use crate::http::backend::Backend;
use crate::http::response_fields::{etag, signed_size};
use crate::storage::listing::{ListQuery, after_key};
use crate::storage::object::{Object, ObjectPage};

/// Maximum number of keys and common prefixes on a page, as on S3.
const MAX_KEYS: i32 = 1000;
/// Escapes all characters but letters, digits and `-._*/`, for `encoding-type=url`.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/');

pub(crate) async fn list_objects_v2(
    backend: &Backend,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    let query = parse_query(&input)?;
    let bucket = input.bucket.clone();
    let page = backend.run(move |objects| objects.list(&bucket, &query)).await?;
    Ok(format_page(input, page))
}

fn parse_query(input: &ListObjectsV2Input) -> S3Result<ListQuery> {
    let limit = usize::try_from(max_keys(input));
    let limit = limit.map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
    let from = match (&input.continuation_token, &input.start_after) {
        // The token is the position of the next page, in hex because it need not be valid UTF-8.
        (Some(token), _) => hex::decode(token)
            .map_err(|_| s3_error!(InvalidArgument, "The continuation-token is not from a listing"))?,
        (None, Some(key)) => after_key(key),
        (None, None) => Vec::new(),
    };
    Ok(ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        from,
        limit,
    })
}

fn max_keys(input: &ListObjectsV2Input) -> i32 {
    input.max_keys.unwrap_or(MAX_KEYS).min(MAX_KEYS)
}

fn format_page(input: ListObjectsV2Input, page: ObjectPage) -> ListObjectsV2Output {
    let is_url = input.encoding_type.as_ref().is_some_and(|it| it.as_str() == EncodingType::URL);
    let encode = |text: String| if is_url { utf8_percent_encode(&text, URL).to_string() } else { text };
    let max_keys = Some(max_keys(&input));
    let count = page.objects.len() + page.common_prefixes.len();
    let object = |object: Object| ListedObject {
        e_tag: etag(&object),
        size: Some(signed_size(object.size)),
        last_modified: Some(object.modified.into()),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        key: Some(encode(object.key)),
        ..Default::default()
    };
    let common_prefix = |prefix| CommonPrefix { prefix: Some(encode(prefix)) };
    ListObjectsV2Output {
        contents: Some(page.objects.into_iter().map(object).collect()),
        common_prefixes: Some(page.common_prefixes.into_iter().map(common_prefix).collect()),
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(encode),
        start_after: input.start_after.map(encode),
        encoding_type: input.encoding_type,
        max_keys,
        key_count: i32::try_from(count).ok(),
        is_truncated: Some(page.next.is_some()),
        continuation_token: input.continuation_token,
        next_continuation_token: page.next.map(hex::encode),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn page(key: &str, next: Option<&str>) -> ObjectPage {
        let object = Object { key: key.into(), size: 1, modified: UNIX_EPOCH, etag: "e".into() };
        let next = next.map(|key| key.as_bytes().to_vec());
        ObjectPage { objects: vec![object], common_prefixes: Vec::new(), next }
    }

    #[test]
    fn the_limit_is_capped_and_not_negative() {
        let limit = |max_keys| {
            let query = parse_query(&ListObjectsV2Input { max_keys, ..Default::default() });
            query.ok().map(|query| query.limit)
        };
        assert_eq!(limit(None), Some(1000));
        assert_eq!(limit(Some(2000)), Some(1000));
        assert_eq!(limit(Some(0)), Some(0));
        assert_eq!(limit(Some(-1)), None);
    }

    #[test]
    fn a_continuation_token_takes_precedence_over_start_after() {
        let next = format_page(ListObjectsV2Input::default(), page("a", Some("k/é")));
        assert_eq!(next.is_truncated, Some(true));
        let start_after = Some("a".to_owned());
        let input = ListObjectsV2Input { start_after: start_after.clone(), ..Default::default() };
        assert_eq!(parse_query(&input).unwrap().from, after_key("a"));
        let continuation_token = next.next_continuation_token;
        let input = ListObjectsV2Input { continuation_token, start_after, ..Default::default() };
        assert_eq!(parse_query(&input).unwrap().from, "k/é".as_bytes());
        let continuation_token = Some("not hex".to_owned());
        assert!(parse_query(&ListObjectsV2Input { continuation_token, ..Default::default() }).is_err());
    }

    #[test]
    fn an_empty_delimiter_is_ignored() {
        let input = ListObjectsV2Input { delimiter: Some(String::new()), ..Default::default() };
        assert_eq!(parse_query(&input).unwrap().delimiter, None);
    }

    #[test]
    fn keys_are_encoded_only_on_request() {
        let key = |encoding_type| {
            let input = ListObjectsV2Input { encoding_type, ..Default::default() };
            let contents = format_page(input, page("a b/ü", None)).contents.unwrap();
            contents[0].key.clone().unwrap()
        };
        assert_eq!(key(None), "a b/ü");
        assert_eq!(key(Some(EncodingType::from_static(EncodingType::URL))), "a%20b/%C3%BC");
    }
}
