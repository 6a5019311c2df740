//! The users there are, and who a connection acts as.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use bytes::Bytes;
use sentinel_resp::text;

use super::{
    Access, Denied, file,
    log::Log,
    password::Hash,
    rules::{Fault, Rules},
};
use crate::{commands::Command, config::UserLines};

/// The user that a connection is without saying who it is.
pub(super) const DEFAULT: &[u8] = b"default";
/// Whether this is the name of the user that a connection is without saying who it is.
pub(crate) fn is_default(name: &[u8]) -> bool {
    name == DEFAULT
}

/// The most users there may be, and the longest name of one in bytes. The reference knows no bound.
const MAX_USERS: usize = 1_000;
const MAX_NAME: usize = 1_024;

/// One user. Sessions hold it as long as it exists; its rules may change meanwhile.
#[derive(Debug)]
pub(crate) struct Account {
    name: Bytes,
    rules: RefCell<Rc<Rules>>,
    /// Whether the rules forbid nothing, so that nobody has to look at them.
    unrestricted: Cell<bool>,
}

/// All users.
#[derive(Debug)]
pub(crate) struct Users {
    accounts: RefCell<BTreeMap<Bytes, Rc<Account>>>,
    default: Rc<Account>,
    /// What a new user is given of the channels.
    all_channels: bool,
    file: Option<PathBuf>,
    /// Where the `user` lines of the configuration are changed, if they can be.
    kept: Option<UserLines>,
    /// What was refused.
    pub(crate) log: RefCell<Log>,
}

/// Why a user cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The name has blanks or a NUL.
    Name,
    /// There are [`MAX_USERS`].
    TooMany,
    /// A rule is wrong.
    Rules(Fault),
}

impl Account {
    fn new(name: Bytes, rules: Rules) -> Rc<Self> {
        let unrestricted = Cell::new(rules.is_unrestricted());
        Rc::new(Self { name, rules: RefCell::new(Rc::new(rules)), unrestricted })
    }

    /// Its name, which may be any bytes but blanks.
    pub(crate) const fn name(&self) -> &Bytes {
        &self.name
    }

    /// Whether connections are this user without saying so.
    pub(crate) fn is_default(&self) -> bool {
        is_default(&self.name)
    }

    /// Its name as texts have it.
    pub(crate) fn display_name(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// What it may do now.
    pub(crate) fn rules(&self) -> Rc<Rules> {
        Rc::clone(&self.rules.borrow())
    }

    /// Whether there is nothing that it may not do.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.unrestricted.get()
    }

    /// Whether it may run a command with these words.
    pub(crate) fn check(&self, command: &Command, words: &[Bytes]) -> Result<(), Denied> {
        if self.is_unrestricted() { Ok(()) } else { self.rules.borrow().check(command, words) }
    }

    /// The line of ACL LIST, of the configuration and of the ACL file.
    pub(crate) fn line(&self) -> Bytes {
        [b"user ", &self.name[..], b" ", &self.rules.borrow().description()].concat().into()
    }

    fn replace(&self, rules: Rules) {
        self.unrestricted.set(rules.is_unrestricted());
        *self.rules.borrow_mut() = Rc::new(rules);
    }
}

impl Users {
    /// The users that were configured.
    pub(crate) fn new(access: Access) -> Self {
        let Access { mut users, all_channels, file, log_max_len, kept } = access;
        let default = users.remove(DEFAULT).unwrap_or_else(Rules::unrestricted);
        let default = Account::new(Bytes::from_static(DEFAULT), default);
        let mut accounts: BTreeMap<Bytes, Rc<Account>> =
            users.into_iter().map(|(name, rules)| (name.clone(), Account::new(name, rules))).collect();
        accounts.insert(default.name.clone(), Rc::clone(&default));
        Self {
            accounts: RefCell::new(accounts),
            default,
            all_channels,
            file,
            kept,
            log: RefCell::new(Log::new(log_max_len)),
        }
    }

    /// Whether the user `default` needs no password.
    pub(crate) fn is_open(&self) -> bool {
        self.default.rules.borrow().needs_no_password()
    }

    /// Who a connection is that has not said who it is: `default` if that needs no password and is not disabled,
    /// otherwise nobody.
    pub(crate) fn newcomer(&self) -> Option<&Rc<Account>> {
        self.default.rules.borrow().lets_everyone_in().then_some(&self.default)
    }

    /// Who a connection acts as that said this, or nothing.
    pub(crate) fn acting<'a>(&'a self, user: Option<&'a Rc<Account>>) -> Option<&'a Rc<Account>> {
        user.or_else(|| self.newcomer())
    }

    /// The user with this name and password.
    pub(crate) fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Rc<Account>> {
        let Some(account) = self.find(name) else {
            // Takes as long as a wrong password, so that names cannot be guessed by a watch.
            let _ = std::hint::black_box(Hash::of(password));
            return None;
        };
        let accepted = account.rules.borrow().accepts(password);
        accepted.then_some(account)
    }

    /// The user of that name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Rc<Account>> {
        self.accounts.borrow().get(name).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Rc<Account>> {
        self.accounts.borrow().values().cloned().collect()
    }

    /// Applies rules to a user, who is made if there is none of that name. All rules, or none.
    pub(crate) fn change(&self, name: &Bytes, words: &[Bytes]) -> Result<Rc<Account>, Refused> {
        if super::selector::has_spaces(name) || name.len() > MAX_NAME {
            return Err(Refused::Name);
        }
        let known = self.find(name);
        let before = known.as_ref().map_or_else(|| Rc::new(Rules::new(self.all_channels)), |account| account.rules());
        let rules = before.with(words, self.all_channels).map_err(Refused::Rules)?;
        if let Some(account) = known {
            account.replace(rules);
            return Ok(account);
        }
        let mut accounts = self.accounts.borrow_mut();
        if accounts.len() >= MAX_USERS {
            return Err(Refused::TooMany);
        }
        // A copy, since the argument holds on to all that was read together with it.
        let account = Account::new(Bytes::copy_from_slice(name), rules);
        accounts.insert(account.name.clone(), Rc::clone(&account));
        Ok(account)
    }

    /// Forgets a user. None: there is none of that name, or it is `default`.
    pub(crate) fn remove(&self, name: &[u8]) -> Option<Rc<Account>> {
        if is_default(name) { None } else { self.accounts.borrow_mut().remove(name) }
    }

    /// Puts other users in the place of all. Returns those who are gone, or whose rules are others now; a user of the
    /// same name and rules stays who it is. `default` stays in any case, with its new rules.
    pub(crate) fn replace_all(&self, mut users: BTreeMap<Bytes, Rules>) -> Vec<Rc<Account>> {
        self.default.replace(users.remove(DEFAULT).unwrap_or_else(Rules::unrestricted));
        let mut accounts = self.accounts.borrow_mut();
        let mut before = std::mem::take(&mut *accounts);
        before.remove(DEFAULT);
        accounts.insert(self.default.name.clone(), Rc::clone(&self.default));
        for (name, rules) in users {
            let unchanged = before.get(&name).is_some_and(|account| **account.rules.borrow() == rules);
            let account = if unchanged { before.remove(&name) } else { None };
            let account = account.unwrap_or_else(|| Account::new(name.clone(), rules));
            accounts.insert(name, account);
        }
        before.into_values().collect()
    }

    /// Has the configuration take the users as they are now at its next save, if it can.
    pub(crate) fn note_change(&self) {
        if self.file.is_some() {
            return; // ACL SAVE is for that.
        }
        let Some(kept) = &self.kept else {
            tracing::warn!(
                "ACL: users were changed until the next start only: they are not kept with this configuration. Write \
                 them into it, or use an ACL file"
            );
            return;
        };
        let readable = |account: &Rc<Account>| {
            let line = account.line();
            let again = file::parse(&line, "", self.all_channels).ok()?;
            let same = again.get(account.name()) == Some(&*account.rules());
            same.then(|| text::of(&line).into_owned())
        };
        let mut lines = Vec::new();
        for account in self.all() {
            let name = text::of(account.name()).into_owned();
            if let Some(line) = readable(&account) {
                lines.push((name, line));
            } else {
                tracing::warn!("ACL: user '{name}' cannot be written down and is kept until the next start only");
            }
        }
        kept.set(lines);
    }

    /// The ACL file, if users are kept in one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What a new user is given of the channels.
    pub(crate) const fn all_channels(&self) -> bool {
        self.all_channels
    }
}
