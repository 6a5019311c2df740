//! The commands that only read. Whoever holds the client answers them from a [`View`].

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{argument, config, debug, errors, help, history, info, instances, problems, quorum, scripts, table::Verb};
use crate::{
    authentication,
    time::Now,
    types::{HostPort, Nonce},
    view::{MasterView, View},
};

/// A SENTINEL subcommand that changes nothing. Names are as the client wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `SENTINEL MASTERS`, `PRIMARIES`
    Masters,
    /// `SENTINEL MASTER name`, `PRIMARY`
    Master(Bytes),
    /// `SENTINEL REPLICAS name`, `SLAVES`
    Replicas(Bytes),
    /// `SENTINEL SENTINELS name`
    Sentinels(Bytes),
    /// `SENTINEL GET-MASTER-ADDR-BY-NAME name`, `GET-PRIMARY-ADDR-BY-NAME`
    MasterAddress(Bytes),
    /// `SENTINEL MYID`
    MyId,
    /// `SENTINEL AUTH-CHALLENGE nonce`
    AuthChallenge(Bytes),
    /// `SENTINEL CKQUORUM name`
    CheckQuorum(Bytes),
    /// `SENTINEL INFO-CACHE name...`
    InfoCache(Vec<Bytes>),
    /// `SENTINEL PENDING-SCRIPTS`
    PendingScripts,
    /// `SENTINEL HISTORY name [id]`
    History(Bytes, Option<Bytes>),
    /// `SENTINEL PROBLEMS [name]`
    Problems(Option<Bytes>),
    /// `SENTINEL CONFIG GET pattern...`
    ConfigGet(Vec<Bytes>),
    /// `SENTINEL DEBUG` without parameters
    Debug,
    /// `SENTINEL HELP`
    Help,
}

impl Query {
    /// The answer, as of this view. `now` turns the moments in it into ages.
    pub fn answer(&self, view: &View, now: Now) -> Reply {
        let now = now.mono;
        match self {
            Query::Masters => {
                let masters = view.masters.values();
                Reply::Array(masters.map(|one| instances::master(one, now)).collect())
            }
            Query::Master(name) => about(view, name, |one| instances::master(one, now)),
            Query::Replicas(name) => about(view, name, |one| instances::replicas(one, now)),
            Query::Sentinels(name) => about(view, name, |one| instances::peers(one, now)),
            Query::MasterAddress(name) => master_address(view, name),
            Query::MyId => Reply::display(&view.id),
            Query::AuthChallenge(nonce) => challenged(view, nonce),
            Query::CheckQuorum(name) => about(view, name, |one| quorum::check(one, view, now)),
            Query::InfoCache(names) => info::cache(view, names, now),
            Query::PendingScripts => scripts::pending(&view.scripts, now),
            Query::History(name, id) => history::list(view, name, id.as_ref()),
            Query::Problems(name) => problems::list(view, name.as_ref(), now),
            Query::ConfigGet(patterns) => config::get(&view.globals, patterns),
            Query::Debug => debug::list(&view.timing),
            Query::Help => help::lines(),
        }
    }
}

/// The query that a subcommand and its words make; none if it is one that changes something.
///
/// CONFIG GET is not here: CONFIG is told apart by its own parser.
pub(super) fn parse(verb: Verb, words: &[Bytes]) -> Option<Query> {
    Some(match (verb, words) {
        (Verb::Masters, []) => Query::Masters,
        (Verb::Master, [name]) => Query::Master(name.clone()),
        (Verb::Replicas, [name]) => Query::Replicas(name.clone()),
        (Verb::Sentinels, [name]) => Query::Sentinels(name.clone()),
        (Verb::MasterAddress, [name]) => Query::MasterAddress(name.clone()),
        (Verb::MyId, []) => Query::MyId,
        (Verb::AuthChallenge, [nonce]) => Query::AuthChallenge(nonce.clone()),
        (Verb::CheckQuorum, [name]) => Query::CheckQuorum(name.clone()),
        (Verb::InfoCache, [_, ..]) => Query::InfoCache(words.to_vec()),
        (Verb::PendingScripts, []) => Query::PendingScripts,
        (Verb::History, [name]) => Query::History(name.clone(), None),
        (Verb::History, [name, id]) => Query::History(name.clone(), Some(id.clone())),
        (Verb::Problems, []) => Query::Problems(None),
        (Verb::Problems, [name]) => Query::Problems(Some(name.clone())),
        (Verb::Debug, []) => Query::Debug,
        (Verb::Help, []) => Query::Help,
        _ => return None,
    })
}

/// The master of that name. Names are case-sensitive.
pub(super) fn find<'a>(view: &'a View, name: &[u8]) -> Option<&'a MasterView> {
    view.masters.get(&argument::text(name)).map(AsRef::as_ref)
}

/// What GET-MASTER-ADDR-BY-NAME tells: the address that clients of this master should use.
pub fn serving<'a>(view: &'a View, name: &[u8]) -> Option<&'a HostPort> {
    find(view, name).map(|master| &master.serving)
}

fn about(view: &View, name: &[u8], answer: impl FnOnce(&MasterView) -> Reply) -> Reply {
    find(view, name).map_or_else(errors::no_such_master, answer)
}

/// The id, the run of the process, and the proof that they are those of one who knows the key.
fn challenged(view: &View, nonce: &[u8]) -> Reply {
    let Some(key) = &view.globals.hello_auth_key else { return errors::no_key() };
    let nonce = match Nonce::parse(nonce) {
        Ok(nonce) => nonce,
        Err(error) => return errors::not_hex(error),
    };
    let run_id = view.run_id.as_ref();
    let proof = authentication::prove(key, nonce, &view.id, run_id);
    let run_id = run_id.map_or_else(String::new, ToString::to_string);
    Reply::Array(vec![Reply::display(&view.id), Reply::from(run_id), Reply::display(proof)])
}

/// Address and port of the node that clients should use; a null array, not an error, for an unknown name.
fn master_address(view: &View, name: &[u8]) -> Reply {
    match serving(view, name) {
        Some(serving) => Reply::Array(vec![Reply::display(&serving.host), Reply::display(serving.port)]),
        None => Reply::NullArray,
    }
}
