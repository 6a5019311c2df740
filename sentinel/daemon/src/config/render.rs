//! The text of the file that keeps what is learnt, for one snapshot after another.

use std::path::Path;

use sentinel_core::{snapshot::Snapshot, types::MasterName};
use toml_edit::{DocumentMut, Item};

use super::{
    keep::{Form, Keep, Renewal, UserLines},
    options::OptionLine,
    redo,
    rewrite::{Included, Text},
    state,
};

/// Renders snapshots into the file that keeps them.
///
/// It holds the text of the file as last seen, so that rendering reads nothing; [`Renderer::reread`] brings in what
/// somebody else wrote there meanwhile.
#[derive(Debug)]
pub struct Renderer {
    keep: Keep,
    renewal: Renewal,
    seen: Seen,
}

#[derive(Debug)]
enum Seen {
    /// `options` are empty once they stand in the text.
    Classic {
        text: Text,
        included: Included,
        options: Vec<OptionLine>,
    },
    Toml {
        operator: String,
    },
    State,
}

impl Renderer {
    /// A renderer that has not seen the file yet.
    pub fn new(keep: Keep) -> Self {
        let seen = match &keep.form {
            Form::Classic { included, references, options } => Seen::Classic {
                text: Text::new(b"", references),
                included: Included::new(included, references),
                options: options.clone(),
            },
            Form::Toml(_) => Seen::Toml { operator: String::new() },
            Form::State { .. } => Seen::State,
        };
        Renderer { keep, renewal: Renewal::default(), seen }
    }

    /// Takes what the configuration says when it is read again.
    pub fn renewal(&self) -> Renewal {
        self.renewal.clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.keep.path()
    }

    /// Whether the file is only ours, and may hold passwords that stand nowhere else: nobody else needs to read it.
    pub const fn is_private(&self) -> bool {
        self.keep.is_separate()
    }

    /// Takes the text of the file as it is on disk now: what its author wrote there is kept.
    pub fn reread(&mut self, bytes: &[u8]) {
        let bytes = &*redo::meaning(bytes);
        match &mut self.seen {
            Seen::Classic { text, .. } => text.reread(bytes),
            Seen::Toml { operator } => *operator = operator_part(&String::from_utf8_lossy(bytes)),
            Seen::State => {}
        }
    }

    /// The complete text for a snapshot. It loads again with equal state.
    pub fn render(&mut self, snapshot: &Snapshot) -> Vec<u8> {
        if let Some(newer) = self.renewal.take() {
            self.renew(newer, snapshot);
        }
        let changed = self.keep.users.as_ref().and_then(UserLines::get);
        let users = match &changed {
            Some(users) => Some(users.iter().map(|(_, line)| line.clone()).collect()),
            None => self.keep.kept_users.clone(),
        };
        match (&mut self.seen, &self.keep.form) {
            (Seen::Classic { text, included, options }, _) => {
                text.save_options(&std::mem::take(options));
                text.update(snapshot, included);
                if let Some(users) = &changed {
                    text.update_users(users);
                }
                text.to_bytes()
            }
            (Seen::Toml { operator }, Form::Toml(base)) => {
                with_section(operator, &state::render(snapshot, base, users.as_deref(), true))
            }
            (_, Form::State { base, toml: false }) => {
                state::render_classic(snapshot, base, users.as_deref()).into_bytes()
            }
            (_, Form::Toml(base) | Form::State { base, .. }) => {
                state::render(snapshot, base, users.as_deref(), false).into_bytes()
            }
            (_, Form::Classic { .. }) => unreachable!("the seen text has the form of the file"),
        }
    }
}

fn with_section(operator: &str, section: &str) -> Vec<u8> {
    let operator = operator.trim_end();
    if operator.is_empty() { section.to_owned() } else { format!("{operator}\n\n{section}") }.into_bytes()
}

impl Renderer {
    fn renew(&mut self, newer: Keep, snapshot: &Snapshot) {
        let is_monitored = |name: &MasterName| snapshot.masters.iter().any(|master| master.name == *name);
        if !self.keep.renew(newer, is_monitored) {
            return;
        }
        if let (Seen::Classic { text, included, .. }, Form::Classic { included: lines, references, .. }) =
            (&mut self.seen, &self.keep.form)
        {
            *text = Text::new(&text.to_bytes(), references);
            *included = Included::new(lines, references);
        }
    }
}

/// A TOML configuration without its `[state]` section.
fn operator_part(text: &str) -> String {
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        // Somebody is in the middle of an edit. Nothing of it may be lost, and what is learnt must be kept all the
        // same: our section is the text from its first line on.
        return text.find(state::MARKER).map_or(text, |at| &text[..at]).to_owned();
    };
    let Some(section) = document.remove("state") else { return text.to_owned() };
    let mut operator = document.to_string();
    // A comment above the header belongs to it as far as TOML is concerned, but was written by the operator.
    let above = match &section {
        Item::Table(table) => table.decor().prefix().and_then(|prefix| prefix.as_str()),
        _ => None,
    };
    let above = above.map(|above| above.split(state::MARKER).next().unwrap_or(above).trim()).unwrap_or_default();
    if !above.is_empty() {
        operator = format!("{}\n\n{above}\n", operator.trim_end());
    }
    operator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_wrote_survives_around_the_section() {
        let above = "# top\n[server]\nport = 1 # why\n\n# below server\n";
        let section =
            format!("{}\n# explanation\n[state]\nmyid = \"x\"\n\n[state.master.m]\nconfig-epoch = 1\n", state::MARKER);
        let below = "\n# added at the end\n[[master]]\nname = \"n\"\n";
        let operator = operator_part(&format!("{above}{section}{below}"));
        for line in ["# top", "port = 1 # why", "# below server", "# added at the end", "name = \"n\""] {
            assert!(operator.contains(line), "{line} is lost in {operator}");
        }
        assert!(!operator.contains("state") && !operator.contains("explanation"), "{operator}");
    }

    #[test]
    fn a_half_finished_edit_is_kept() {
        let text = format!("[server]\nport = \n\n{}\n[state]\nmyid = \"x\"\n", state::MARKER);
        assert_eq!(operator_part(&text), "[server]\nport = \n\n");
    }
}
