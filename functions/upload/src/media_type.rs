//! The image formats that may be uploaded.

/// An image format, identified by its IANA media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`
    Webp,
}

impl MediaType {
    /// All formats, in the order in which problem details list them.
    pub const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::Webp];

    /// Returns the format with this media type, or `None` if it may not be uploaded.
    ///
    /// Media types are case-insensitive (RFC 9110, section 8.3.1).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|media| media.name().eq_ignore_ascii_case(name))
    }

    /// Returns the media type, as a `content-type` header has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// Returns the file extension, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ignored_and_near_misses_are_not_accepted() {
        assert_eq!(MediaType::named("Image/JPEG"), Some(MediaType::Jpeg));
        for other in ["image/jpg", "image/heic", "image/png; q=1", "jpeg", "", "image/gif"] {
            assert_eq!(MediaType::named(other), None, "{other}");
        }
    }
}
