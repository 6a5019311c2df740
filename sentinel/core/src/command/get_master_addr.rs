//! SENTINEL GET-MASTER-ADDR-BY-NAME: where clients find a master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    query::serving,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{time::Now, view::View};

/// `SENTINEL GET-MASTER-ADDR-BY-NAME name`
pub(super) const ROW: Subcommand = Subcommand {
    summary: "Tells the address of a master.",
    since: Some("2.8.4"),
    arguments: &[string("master-name")],
    help: &[
        "GET-MASTER-ADDR-BY-NAME <master-name>",
        "    Tell the host and the port that clients of this master should use now.",
    ],
    ..Subcommand::admin("sentinel|get-master-addr-by-name", 3, Does::TellAddress(answer))
};
/// `SENTINEL GET-PRIMARY-ADDR-BY-NAME name`
pub(super) const PRIMARY: Subcommand = ROW.of_valkey("sentinel|get-primary-addr-by-name");

/// Address and port of the node that clients should use; a null array, not an error, for an unknown name.
fn answer(words: &[Bytes], view: &View, _: Now) -> Option<Reply> {
    let [name] = words else { return None };
    Some(match serving(view, name) {
        Some(serving) => Reply::Array(vec![Reply::display(&serving.host), Reply::display(serving.port)]),
        None => Reply::NullArray,
    })
}
