//! SENTINEL AUTH-CHALLENGE: another Sentinel wants proof that this one knows the key.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    errors,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{authentication, time::Now, types::Nonce, view::View};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Proves to another Sentinel that this one knows the key.",
    arguments: &[string("nonce")],
    further_help: &[
        "AUTH-CHALLENGE <nonce>",
        "    Sent by other Sentinels: prove that this one knows the hello-auth-key.",
    ],
    ..Subcommand::ours("sentinel|auth-challenge", 3, Does::Answer(answer))
};

fn answer(words: &[Bytes], view: &View, _: Now) -> Option<Reply> {
    let [nonce] = words else { return None };
    Some(challenged(view, nonce))
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
