//! The kinds of fruit.

/// A kind of fruit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Kind {
    AppleRed,
    Apricot,
    Banana,
    Grape,
    Kiwi,
    Lemon,
    Lime,
    Orange,
    Pear,
    Plum,
    Strawberry,
    Watermelon,
}

/// Every kind, sorted by name.
pub const KINDS: [Kind; 12] = [
    Kind::AppleRed,
    Kind::Apricot,
    Kind::Banana,
    Kind::Grape,
    Kind::Kiwi,
    Kind::Lemon,
    Kind::Lime,
    Kind::Orange,
    Kind::Pear,
    Kind::Plum,
    Kind::Strawberry,
    Kind::Watermelon,
];

/// The number of photos of each kind that [`photos`](crate::photos) yields.
pub const PHOTOS_PER_KIND: u32 = 20;

impl Kind {
    /// Returns the label, which is also the folder name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AppleRed => "Apple Red",
            Self::Apricot => "Apricot",
            Self::Banana => "Banana",
            Self::Grape => "Grape",
            Self::Kiwi => "Kiwi",
            Self::Lemon => "Lemon",
            Self::Lime => "Lime",
            Self::Orange => "Orange",
            Self::Pear => "Pear",
            Self::Plum => "Plum",
            Self::Strawberry => "Strawberry",
            Self::Watermelon => "Watermelon",
        }
    }
}
