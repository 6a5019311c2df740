//! Decisions out of bytes.

/// Reads on until the bytes are used up; then everything is zero.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// As likely the one as the other.
    pub(crate) fn coin(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Small numbers mostly: four of five are below 10, the others anything.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=204 => u64::from(small % 10),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    /// Text of up to 63 bytes.
    pub(crate) fn text(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte() % 64).min(self.rest.len());
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        text
    }
}
