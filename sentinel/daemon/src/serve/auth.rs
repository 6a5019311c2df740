//! Who a client is, and what it may do.

use std::rc::Rc;

use sentinel_core::types::Secret;
use sha2::{Digest as _, Sha256};

/// The user that a connection acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User(Rc<str>);

impl User {
    /// The name, as CLIENT LIST and ACL WHOAMI show it.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// The users there are. For now one: `default`, with the password of `requirepass` if there is one.
#[derive(Debug)]
pub(crate) struct Authenticator {
    default: User,
    /// The SHA-256 of the password of `default`; none lets everyone in.
    password: Option<[u8; 32]>,
}

impl Authenticator {
    /// Sets the password of the user `default`.
    pub(crate) fn new(requirepass: Option<&Secret>) -> Self {
        let password = requirepass.map(|secret| Sha256::digest(secret.expose()).into());
        Self { default: User("default".into()), password }
    }

    /// Whether the user `default` needs no password.
    pub(crate) const fn is_open(&self) -> bool {
        self.password.is_none()
    }

    /// Who a new connection is: `default` if that needs no password, otherwise nobody.
    pub(crate) fn newcomer(&self) -> Option<User> {
        self.is_open().then(|| self.default.clone())
    }

    /// The user with this name and password. Any password is right for a user that needs none.
    pub(crate) fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<User> {
        if name != self.default.name().as_bytes() {
            return None;
        }
        // Digests are compared, so that the time it takes tells nothing about the password.
        let given: [u8; 32] = Sha256::digest(password).into();
        let right = self.password.is_none_or(|expected| expected == given);
        right.then(|| self.default.clone())
    }

    /// The names of all users.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.default.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_password_everyone_is_the_default_user() {
        let open = Authenticator::new(None);
        assert_eq!(open.newcomer().as_ref().map(User::name), Some("default"));
        assert!(open.authenticate(b"default", b"anything").is_some());
        assert!(open.authenticate(b"other", b"anything").is_none());
    }

    #[test]
    fn with_a_password_only_the_right_one_lets_in() {
        let closed = Authenticator::new(Some(&Secret::new("secret")));
        assert_eq!(closed.newcomer(), None);
        assert!(closed.authenticate(b"default", b"secret").is_some());
        for wrong in [&b"secre"[..], b"secrets", b""] {
            assert!(closed.authenticate(b"default", wrong).is_none());
        }
    }
}
