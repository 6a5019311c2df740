//! Where our events differ from the reference's on purpose, each as a rule that must hold.

use crate::stream::{Rule, Told, position};

/// ARCHITECTURE.md, departure 3.
pub(crate) const SWITCH_AT_PROMOTION: Rule = Rule {
    why: "ours tells +switch-master at the promotion, so that events until the end name the new address; the reference after the end",
    apply: |ours, theirs| {
        let promoted = position(ours, "+failover-state-reconf-slaves")?;
        let switch = position(ours, "+switch-master")?;
        if switch != promoted + 1 {
            return Err("ours does not switch right after the promotion".to_owned());
        }
        let their_end = position(theirs, "+failover-end")?;
        if position(theirs, "+switch-master")? < their_end {
            return Err("the reference switches before the end".to_owned());
        }
        let [_, _, old, _, new] = ours[switch].payload.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("{} is no switch", ours[switch]));
        };
        let (old, new) = (format!("mymaster 127.0.0.1 {old}"), format!("mymaster 127.0.0.1 {new}"));
        let replicas = ours[switch + 1..].iter().take_while(|told| told.channel == "+slave").count();
        let moved: Vec<Told> = ours.drain(switch..=switch + replicas).collect();
        // The best effort for replicas that were late belongs to the failover, too.
        let end = position(ours, "+failover-end")?;
        let late = ours[end + 1..].iter().take_while(|told| told.channel == "+slave-reconf-sent-be").count();
        let end = end + 1 + late;
        for told in &mut ours[switch..end] {
            let of_failover = told.channel.starts_with("+slave-reconf") || told.channel.starts_with("+failover-end");
            if of_failover && !told.payload.contains(&new) {
                return Err(format!("{told} does not name the new address"));
            }
            if of_failover {
                told.payload = told.payload.replace(&new, &old);
            }
        }
        ours.splice(end..end, moved);
        Ok(())
    },
};

/// ARCHITECTURE.md, departure 14.
pub(crate) const KNOWN_BEFORE: Rule = Rule {
    why: "what is known of a node is kept over a switch, so that ours sees that the returning old master was started anew",
    apply: |ours, theirs| {
        let rebooted = |told: &Told| told.channel == "+reboot" && told.payload.starts_with("slave 127.0.0.1:<master>");
        if theirs.iter().any(rebooted) {
            return Err("the reference tells it, too".to_owned());
        }
        take_one(ours, rebooted).map(drop)
    },
};

/// ARCHITECTURE.md, departure 7.
pub(crate) const FENCED_AT_ONCE: Rule = Rule {
    why: "in a forced failover ours makes the old master a replica in the instant of the switch; the reference sees it say master first",
    apply: |ours, theirs| {
        let convert = position(ours, "+convert-to-slave")?;
        let switch = position(ours, "+switch-master")?;
        // SWITCH_AT_PROMOTION has moved the switch; what told it to the old master stayed behind the promotion.
        if convert != position(ours, "+failover-state-reconf-slaves")? + 1 && convert != switch + 1 {
            return Err("ours does not demote the old master at once".to_owned());
        }
        let of_old =
            |told: &Told| told.channel.ends_with("role-change") && told.payload.starts_with("slave 127.0.0.1:<master>");
        if ours.iter().any(of_old) {
            return Err("ours sees the role of the old master change".to_owned());
        }
        take_one(theirs, |told| of_old(told) && told.channel == "-role-change")?;
        take_one(theirs, |told| of_old(told) && told.channel == "+role-change").map(drop)
    },
};

/// INFO is asked for periodically: it may come between the promotion and the hello that tells of it.
pub(crate) const SEEN_BEFORE_THE_HELLO: Rule = Rule {
    why: "an observer may read the new role of the promoted replica before the leader's hello arrives, or not",
    apply: |ours, theirs| {
        for stream in [ours, theirs] {
            let switch = position(stream, "+switch-master")?;
            let seen = stream.iter().position(|told| told.channel == "-role-change");
            if let Some(seen) = seen.filter(|seen| *seen < switch) {
                stream.remove(seen);
            }
        }
        Ok(())
    },
};

/// Our failover may be over before an observer has missed the master.
pub(crate) const TOLD_BEFORE_IT_IS_MISSED: Rule = Rule {
    why: "an observer may learn of the new master before it has itself found the old one down, or not",
    apply: |ours, theirs| {
        for stream in [ours, theirs] {
            let switch = position(stream, "+switch-master")?;
            let missed = stream.iter().position(|told| told.channel == "+sdown" && told.payload.starts_with("master "));
            if let Some(missed) = missed.filter(|missed| *missed < switch) {
                stream.remove(missed);
            }
        }
        Ok(())
    },
};

fn take_one(stream: &mut Vec<Told>, fits: impl Fn(&Told) -> bool) -> Result<Told, String> {
    let positions: Vec<usize> = (0..stream.len()).filter(|&at| fits(&stream[at])).collect();
    match positions[..] {
        [at] => Ok(stream.remove(at)),
        _ => Err(format!("{} events where there should be one", positions.len())),
    }
}
