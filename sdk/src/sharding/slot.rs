//! The slot of a key, as in Redis Cluster. Pure.

use crc::{CRC_16_XMODEM, Crc};

use crate::keys::tag;

/// How many slots there are.
pub const SLOTS: u16 = 16_384;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot of a key: CRC16 (XMODEM) of the key modulo 16,384, as in Redis Cluster. Of a key with a part in braces (`user:{17}:name`)
/// that part alone counts: keys with the same one share a slot.
///
/// ```
/// # use sentinel_sdk::sharding::slot_of;
/// assert_eq!(slot_of(b"foo"), 12_182);
/// assert_eq!(slot_of(b"user:{17}:name"), slot_of(b"{17}"));
/// ```
pub fn slot_of(key: &[u8]) -> u16 {
    CRC.checksum(tag(key)) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `CLUSTER KEYSLOT` of Redis 7 answers.
    #[test]
    fn slots_are_those_of_redis_cluster() {
        for (key, slot) in [
            ("", 0),
            ("123456789", 12_739),
            ("foo", 12_182),
            ("bar", 5_061),
            ("{foo}bar", 12_182),
            ("bar{foo}{bar}", 12_182),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }
}
