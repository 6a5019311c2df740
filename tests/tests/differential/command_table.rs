//! What COMMAND and ACL CAT list, without documentation.

use sentinel_tests::Kind;

use crate::version::{self, Version};
use crate::wire::{Value, rendered};

/// Commands that take further words with us: name, our arity and the reference's.
const WIDER: &[(&str, &str, &str)] = &[("sentinel|failover", ":-3", ":3")];

/// What COMMAND DOCS says of a command in free text (ours tells the class of complexity without a sentence), and its history.
const DOCUMENTATION: &[&str] = &["summary", "complexity", "history"];

/// Answers of COMMAND without documentation.
pub(crate) fn strip(kind: Kind, value: &mut Value) {
    let Value::Many(shape, Some(items)) = value else { return };
    // A map, or what RESP2 makes of one: names and what is told of them in turn.
    let pairs = items.len().is_multiple_of(2)
        && items.chunks(2).all(|pair| pair[0].text().is_some() && matches!(pair[1], Value::Many(..) | Value::Bulk(_)))
        && items.iter().any(|item| matches!(item, Value::Many(..)) || item.text() == Some("summary"));
    if pairs && (*shape == '%' || items[1].text().is_none() || items[0].text() == Some("summary")) {
        let mut kept: Vec<Vec<Value>> = items
            .chunks(2)
            .filter(|pair| !pair[0].text().is_some_and(|name| DOCUMENTATION.contains(&name)))
            .map(<[Value]>::to_vec)
            .collect();
        for pair in &mut kept {
            if pair[0].text().is_some_and(|name| WIDER.iter().any(|(wider, ..)| *wider == name)) {
                without_arguments(&mut pair[1]);
            }
            strip(kind, &mut pair[1]);
        }
        kept.sort_by_key(|pair| rendered(&pair[0]));
        *items = kept.concat();
        return;
    }
    if let [name, Value::Line(arity), ..] = items.as_mut_slice() {
        // Valkey 9.1 knows a further word itself.
        let narrow = version::reference() < Version::Valkey91;
        let wider = WIDER
            .iter()
            .filter(|_| narrow)
            .find(|(wider, ours, _)| kind == Kind::Ours && name.text() == Some(wider) && arity == ours);
        if let Some((_, _, theirs)) = wider {
            *arity = (*theirs).to_owned();
        }
    }
    for item in items {
        strip(kind, item);
    }
}

/// What is told of a command that takes further words with us, but for its words.
fn without_arguments(facts: &mut Value) {
    if let Value::Many(_, Some(items)) = facts
        && let Some(at) = items.iter().position(|item| item.text() == Some("arguments"))
    {
        items.drain(at..(at + 2).min(items.len()));
    }
}
