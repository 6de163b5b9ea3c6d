//! The formats that may be uploaded: those that are embedded and that a phone makes.

/// A format by its media type, as registered with IANA.
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
    /// All there are, in the order they are told in.
    pub const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::Webp];

    /// The format of that name, if it may be uploaded. Upper and lower case are one (RFC 9110, section 8.3.1).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|media| media.name().eq_ignore_ascii_case(name))
    }

    /// As it stands in `content-type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// As a file's name ends.
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
    fn case_does_not_matter_and_near_misses_are_none() {
        assert_eq!(MediaType::named("Image/JPEG"), Some(MediaType::Jpeg));
        for other in ["image/jpg", "image/heic", "image/png; q=1", "jpeg", "", "image/gif"] {
            assert_eq!(MediaType::named(other), None, "{other}");
        }
    }
}
