//! Addresses as text, without memory from the heap. What clients ask for most is one of IPv4 and a port, which
//! are written digit by digit: `Display` takes ten times as long.

use std::{
    io::{Cursor, Write as _},
    net::IpAddr,
};

/// The longest address, in bytes: one of IPv4 within one of IPv6.
const LONGEST: usize = 45;

/// A short text.
pub(super) struct Literal {
    text: [u8; LONGEST],
    length: usize,
}

impl Literal {
    /// An address as the reference writes it.
    pub(super) fn of_ip(ip: IpAddr) -> Self {
        let mut literal = Self { text: [0; LONGEST], length: 0 };
        match ip {
            IpAddr::V4(ip) => {
                for (place, octet) in ip.octets().into_iter().enumerate() {
                    if place > 0 {
                        literal.push(b'.');
                    }
                    literal.push_number(octet.into());
                }
            }
            IpAddr::V6(ip) => {
                let mut cursor = Cursor::new(literal.text);
                // What would be cut off, no address has.
                let _ = write!(cursor, "{ip}");
                literal.length = usize::try_from(cursor.position()).unwrap_or(LONGEST);
                literal.text = cursor.into_inner();
            }
        }
        literal
    }

    /// A port.
    pub(super) fn of_port(port: u16) -> Self {
        let mut literal = Self { text: [0; LONGEST], length: 0 };
        literal.push_number(port);
        literal
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn push_number(&mut self, number: u16) {
        if number >= 10_000 {
            self.push_digit(number / 10_000);
        }
        if number >= 1_000 {
            self.push_digit(number / 1_000);
        }
        if number >= 100 {
            self.push_digit(number / 100);
        }
        if number >= 10 {
            self.push_digit(number / 10);
        }
        self.push_digit(number);
    }

    /// The last digit of a number.
    fn push_digit(&mut self, number: u16) {
        let [_, digit] = (number % 10).to_be_bytes();
        self.push(b'0' + digit);
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_written_as_it_is_displayed() {
        for port in 0..=u16::MAX {
            assert_eq!(Literal::of_port(port).as_bytes(), port.to_string().as_bytes());
        }
    }

    #[test]
    fn every_address_is_written_as_it_is_displayed() {
        for octet in 0..=u8::MAX {
            let ip = IpAddr::from([octet, 255 - octet, 10, octet / 7]);
            assert_eq!(Literal::of_ip(ip).as_bytes(), ip.to_string().as_bytes());
        }
        for ip in ["::1", "::", "1111:2222:3333:4444:5555:6666:7777:8888", "::ffff:255.255.255.255"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(Literal::of_ip(ip).as_bytes(), ip.to_string().as_bytes());
        }
    }
}
