//! What one client may ask a decoder to hold.

/// The bounds of a [`RequestDecoder`](crate::RequestDecoder).
///
/// The bounds for clients that have not authenticated (10 elements, 16,384 bytes a bulk string), of a
/// line (64 KiB) and of an element count (2,147,483,647) are the reference's and fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest bulk string in bytes, `proto-max-bulk-len`. Default: 512 MiB, the reference's.
    pub max_bulk_bytes: u64,
    /// What one request may cost in all, in bytes: its bulk strings plus 32 for each of them, which is
    /// what keeping track of one costs. Default: 1 MiB.
    ///
    /// The reference allows 1 GiB a client (`client-query-buffer-limit`), which ten thousand
    /// connections turn into any amount of memory. The largest request that a Sentinel has a use for
    /// is a list of subscriptions, or an ACL rule.
    pub max_request_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bulk_bytes: 512 * 1024 * 1024, max_request_bytes: 1024 * 1024 }
    }
}

/// The longest inline request and the longest count line, in bytes without the line end.
pub(crate) const MAX_LINE: usize = 64 * 1024;
/// The most elements a request may announce.
pub(crate) const MAX_ELEMENTS: i64 = i32::MAX as i64;
/// The most elements of a request before authentication.
pub(crate) const MAX_ELEMENTS_UNAUTHENTICATED: i64 = 10;
/// The largest bulk string before authentication, in bytes.
pub(crate) const MAX_BULK_UNAUTHENTICATED: u64 = 16 * 1024;
/// What keeping one argument costs beside its bytes: one `Bytes` handle.
pub(crate) const ARGUMENT_OVERHEAD: u64 = 32;
