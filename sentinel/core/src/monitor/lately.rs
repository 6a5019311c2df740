//! Hellos that were written or read a moment ago.
//!
//! Most hellos are one text many times: each is published on every data node of a master and sent to every peer, and comes
//! back from all of them, from replicas also what their master passed on. With thousands of masters they are most of what
//! a Sentinel hears.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use crate::{
    monitor::Hello,
    settings::GlobalSettings,
    state::MasterKey,
    types::{Epoch, HostPort},
};

/// The last hello that was written, with all that is in it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) about: About,
    pub(crate) text: Arc<str>,
}

/// What a hello is made of.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) master: MasterKey,
    pub(crate) serving: HostPort,
    pub(crate) local: Option<IpAddr>,
    pub(crate) current_epoch: Epoch,
    pub(crate) config_epoch: Epoch,
    /// The address that is announced, the port, and the key.
    pub(crate) globals: Arc<GlobalSettings>,
}

impl PartialEq for About {
    fn eq(&self, other: &Self) -> bool {
        (self.master, self.local, self.current_epoch, self.config_epoch)
            == (other.master, other.local, other.current_epoch, other.config_epoch)
            && self.serving == other.serving
            // A setting that is changed makes a new copy of all.
            && Arc::ptr_eq(&self.globals, &other.globals)
    }
}

/// The last hellos that were read and found to be in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    hellos: VecDeque<(Vec<u8>, Hello)>,
    /// Under which settings: another key asks for other signatures.
    under: Option<Arc<GlobalSettings>>,
}

impl Read {
    /// So many are enough for some Sentinels that speak at the same time.
    const MAX: usize = 8;
    /// Longer ones are not kept: a bound on what hostile hellos can make us remember.
    const LONGEST: usize = 512;

    /// What a payload says, if it was read lately.
    pub(crate) fn find(&self, payload: &[u8], globals: &Arc<GlobalSettings>) -> Option<&Hello> {
        self.under.as_ref().filter(|under| Arc::ptr_eq(under, globals))?;
        self.hellos.iter().find(|(it, _)| it == payload).map(|(_, hello)| hello)
    }

    /// Keeps what a payload says, in the place of the oldest.
    pub(crate) fn keep(&mut self, payload: &[u8], hello: Hello, globals: &Arc<GlobalSettings>) {
        if !self.under.as_ref().is_some_and(|under| Arc::ptr_eq(under, globals)) {
            self.under = Some(Arc::clone(globals));
            self.hellos.clear();
        }
        if payload.len() > Self::LONGEST {
            return;
        }
        let mut text = if self.hellos.len() < Self::MAX {
            Vec::new()
        } else {
            self.hellos.pop_back().map(|(text, _)| text).unwrap_or_default()
        };
        text.clear();
        text.extend_from_slice(payload);
        self.hellos.push_front((text, hello));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(id: usize) -> (Vec<u8>, Hello) {
        let text = format!("127.0.0.1,5000,{id},1,m,127.0.0.1,6379,1");
        let hello = Hello::parse(&text).expect("it is one");
        (text.into_bytes(), hello)
    }

    #[test]
    fn a_hello_is_found_until_some_others_have_come_or_the_settings_change() {
        let globals = Arc::new(GlobalSettings::default());
        let mut read = Read::default();
        let (first, second) = (hello(0), hello(1));
        assert_eq!(read.find(&first.0, &globals), None);
        read.keep(&first.0, first.1.clone(), &globals);
        read.keep(&second.0, second.1.clone(), &globals);
        assert_eq!(read.find(&first.0, &globals), Some(&first.1));
        assert_eq!(read.find(&second.0, &globals), Some(&second.1));
        for (text, hello) in (2..=Read::MAX).map(hello) {
            read.keep(&text, hello, &globals);
        }
        assert_eq!(read.find(&first.0, &globals), None, "the oldest has gone");
        assert_eq!(read.find(&second.0, &globals), Some(&second.1));
        assert_eq!(read.find(&second.0, &Arc::new(GlobalSettings::default())), None, "other settings, other rules");
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let globals = Arc::new(GlobalSettings::default());
        let mut read = Read::default();
        let long = vec![b'x'; Read::LONGEST + 1];
        read.keep(&long, hello(0).1, &globals);
        assert_eq!(read.find(&long, &globals), None);
    }
}
