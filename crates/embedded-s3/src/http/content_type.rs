//! The content type of an object.

/// Returns the content type for a key's extension, because plain files can't store one.
pub(crate) fn content_type(key: &str) -> &'static str {
    let extension = key.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("bmp") => "image/bmp",
        Some("tif" | "tiff") => "image/tiff",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("csv") => "text/csv",
        Some("txt") => "text/plain",
        Some("parquet") => "application/vnd.apache.parquet",
        _ => "binary/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_determines_the_content_type() {
        assert_eq!(content_type("photos/Kiwi/1.JPG"), "image/jpeg");
        assert_eq!(content_type("embeddings/abc.parquet"), "application/vnd.apache.parquet");
        assert_eq!(content_type("jpg"), "binary/octet-stream");
    }
}
