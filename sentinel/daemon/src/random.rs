//! Random numbers that nobody else has or can guess.

use std::{fs, io, io::Read as _};

/// So many bytes.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// So many lower case hex digits.
pub(crate) fn hex(digits: usize) -> io::Result<String> {
    let mut bytes = vec![0; digits.div_ceil(2)];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = hex::encode(bytes);
    text.truncate(digits);
    Ok(text)
}
