//! How single values are read. Each refusal carries the reference's text.

use std::{net::Ipv6Addr, ops::RangeInclusive, path::Path};

pub(super) use sentinel_core::settings::row::bytes as memory;

use super::fault::Refusal;

/// The leading number of a word, as C's `atoll` reads it: anything else is 0. Also says whether that lost something.
pub(super) fn lenient_int(word: &str) -> (i64, bool) {
    let trimmed = word.trim_start();
    let (negative, digits) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, &trimmed[1..]),
        Some(b'+') => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    let end = digits.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    let lost = end == 0 || end < digits.len();
    let mut value: i64 = 0;
    for digit in digits[..end].bytes() {
        let digit = i64::from(digit - b'0');
        value = value.saturating_mul(10);
        value = if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) };
    }
    (value, lost)
}

/// The leading unsigned number of a word, as C's `strtoull` reads an epoch. Negative ones are 0.
pub(super) fn lenient_epoch(word: &str) -> (u64, bool) {
    let digits = word.strip_prefix('+').unwrap_or(word);
    let end = digits.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    let value = digits[..end]
        .bytes()
        .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    (value, end == 0 || end < digits.len())
}

/// A whole number in a range.
pub(super) fn int(word: &str, range: RangeInclusive<i64>) -> Result<i64, Refusal> {
    let remedy = || format!("write a whole number from {} to {}", range.start(), range.end());
    let canonical = word == "0"
        || word.strip_prefix('-').unwrap_or(word).bytes().all(|b| b.is_ascii_digit())
            && !word.trim_start_matches('-').is_empty()
            && !word.trim_start_matches('-').starts_with('0');
    let value = if canonical { word.parse::<i64>().ok() } else { None }
        .ok_or_else(|| Refusal::new("argument couldn't be parsed into an integer", remedy()))?;
    if range.contains(&value) { Ok(value) } else { Err(out_of(&range)) }
}

pub(super) fn out_of(range: &RangeInclusive<i64>) -> Refusal {
    Refusal::new(
        format!("argument must be between {} and {} inclusive", range.start(), range.end()),
        format!("write a number from {} to {}", range.start(), range.end()),
    )
}

/// A number that fits 32 bits, within a range that does.
pub(super) fn int32(word: &str, range: RangeInclusive<i64>) -> Result<u32, Refusal> {
    int(word, range).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

/// A port: 0 to 65535.
pub(super) fn port(word: &str) -> Result<u16, Refusal> {
    int(word, 0..=65535).map(|value| u16::try_from(value).unwrap_or(u16::MAX))
}

/// Bytes with a unit, at least so many.
pub(super) fn memory_from(word: &str, least: u64) -> Result<u64, Refusal> {
    let bytes = memory(word).ok_or_else(|| {
        Refusal::new(
            "argument must be a memory value",
            "write a number of bytes, or one with a unit, such as 64mb or 1gb",
        )
    })?;
    let range = i64::try_from(least).unwrap_or(i64::MAX)..=i64::MAX;
    if i64::try_from(bytes).is_ok_and(|bytes| range.contains(&bytes)) { Ok(bytes) } else { Err(out_of(&range)) }
}

/// The address of a literal with an interface of this machine, such as `fe80::1%eth0`.
pub(crate) fn without_scope(host: &str) -> Option<Ipv6Addr> {
    let (address, scope) = host.split_once('%')?;
    let known = scope.parse::<u32>().is_ok_and(|number| number > 0)
        || !scope.is_empty() && !scope.contains('/') && Path::new("/sys/class/net").join(scope).exists();
    address.parse().ok().filter(|address: &Ipv6Addr| known && address.is_unicast_link_local())
}

/// What is to be known of an address whose interface was dropped.
pub(crate) fn scope_dropped(host: &str, ip: Ipv6Addr) -> String {
    format!(
        "the interface of `{host}` is dropped, as by the reference: {ip} is asked of no interface and cannot be reached, \
         unless `bind-source-addr` names one"
    )
}

/// `yes` or `no`, in any case.
pub(super) fn yes_no(word: &str) -> Result<bool, Refusal> {
    if word.eq_ignore_ascii_case("yes") {
        Ok(true)
    } else if word.eq_ignore_ascii_case("no") {
        Ok(false)
    } else {
        Err(Refusal::new("argument must be 'yes' or 'no'", "write yes or no"))
    }
}

/// One of several names, in any case.
pub(super) fn one_of<T: Copy>(word: &str, names: &[(&str, T)]) -> Result<T, Refusal> {
    names.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let all = all.join(", ");
        Refusal::new(format!("argument(s) must be one of the following: {all}"), format!("write one of {all}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_digits_count() {
        assert_eq!(lenient_int("12x"), (12, true));
        assert_eq!(lenient_int("abc"), (0, true));
        assert_eq!(lenient_int("-5"), (-5, false));
        assert_eq!(lenient_int("99999999999999999999"), (i64::MAX, false));
        assert_eq!(lenient_int("-99999999999999999999"), (i64::MIN, false));
        assert_eq!(lenient_epoch("18446744073709551615"), (u64::MAX, false));
        assert_eq!(lenient_epoch("-1"), (0, true));
    }

    #[test]
    fn whole_numbers_are_read_strictly() {
        assert_eq!(int("7", 0..=9), Ok(7));
        assert_eq!(int("x", 0..=9).unwrap_err().what, "argument couldn't be parsed into an integer");
        assert_eq!(int("", 0..=9).unwrap_err().what, "argument couldn't be parsed into an integer");
        assert_eq!(int("10", 0..=9).unwrap_err().what, "argument must be between 0 and 9 inclusive");
        assert_eq!(int("-1", 0..=9).unwrap_err().what, "argument must be between 0 and 9 inclusive");
        assert_eq!(port("70000").unwrap_err().what, "argument must be between 0 and 65535 inclusive");
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(memory("1gb"), Some(1 << 30));
        assert_eq!(memory("1G"), Some(1_000_000_000));
        assert_eq!(memory("5"), Some(5));
        assert_eq!(memory("5tb"), None);
        assert_eq!(memory(""), None);
        assert_eq!(memory("99999999999999gb"), None);
        assert_eq!(
            memory_from("5", 1 << 20).unwrap_err().what,
            "argument must be between 1048576 and 9223372036854775807 inclusive"
        );
    }
}
