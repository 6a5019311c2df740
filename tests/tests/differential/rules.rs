//! Where our events differ from the reference's on purpose, each as a rule that must hold.

use crate::stream::{Rule, Told, position};

/// docs/departures.md, departure 3.
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

/// docs/departures.md, departure 20.
pub(crate) const OFFSET_IS_TOLD: Rule = Rule {
    why: "ours tells how far the promoted replica had come, and how far anybody is known to have been",
    apply: |ours, theirs| {
        let at = position(ours, "+promoted-offset")?;
        if at != position(ours, "+promoted-slave")? + 1 {
            return Err("ours does not tell it right after the promotion".to_owned());
        }
        let told = ours.remove(at);
        if position(theirs, "+promoted-offset").is_ok() {
            return Err("the reference tells it, too".to_owned());
        }
        if !told.payload.contains("#offset ") || !told.payload.contains(", highest known ") {
            return Err(format!("{told} tells no offsets"));
        }
        Ok(())
    },
};

/// docs/departures.md, departure 29.
pub(crate) const DENIAL_IS_TOLD: Rule = Rule {
    why: "ours tells that the data node refuses a command, and what can be done",
    apply: |ours, theirs| {
        let told = ours.remove(position(ours, "+access-denied")?);
        if position(theirs, "+access-denied").is_ok() {
            return Err("the reference tells it, too".to_owned());
        }
        if !told.payload.contains("(remedy: SENTINEL SET mymaster rename-command SLAVEOF <its name there>)") {
            return Err(format!("{told} names no remedy"));
        }
        Ok(())
    },
};

/// A failover of a master that is alive begins on the data nodes.
pub(crate) const HANDED_OVER: Rule = Rule {
    why: "ours asks a healthy master to hand over (FAILOVER of the data nodes) before it tells the replica to be one, and says so",
    apply: |ours, theirs| {
        let begun = position(ours, "+failover-state-hand-over")?;
        let too_slow =
            |told: &Told| told.channel == "-failover-lossless" && told.payload.contains("has not caught up within");
        if let Some(at) = ours.iter().position(too_slow) {
            // On a busy machine the replica may not have everything in time: then all goes on as with the reference.
            ours.remove(at);
            ours.remove(begun);
            return Ok(());
        }
        let done = position(ours, "+handed-over")?;
        let role = ours
            .iter()
            .position(|told| told.channel == "-role-change" && told.payload.starts_with("slave 127.0.0.1:<replica-1>"))
            .ok_or("no -role-change of the promoted replica")?;
        if begun != position(ours, "+selected-slave")? + 1
            || position(ours, "+failover-state-send-slaveof-noone")? != done + 1
        {
            return Err("ours does not hand over between the choice and the promotion".to_owned());
        }
        if !(begun..done).contains(&role) {
            return Err("ours does not see the new role while it hands over".to_owned());
        }
        if theirs.iter().any(|told| told.channel == "+handed-over") {
            return Err("the reference hands over, too".to_owned());
        }
        // The role changes earlier than in the reference; in the comparison it stands where that has it.
        let seen = ours.remove(role);
        ours.retain(|told| told.channel != "+failover-state-hand-over" && told.channel != "+handed-over");
        let promoted = position(ours, "+promoted-slave")?;
        ours.insert(promoted, seen);
        Ok(())
    },
};

/// docs/departures.md, departure 14.
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

/// docs/departures.md, departure 7.
pub(crate) const FENCED_AT_ONCE: Rule = Rule {
    why: "in a forced failover the old master is a replica in the instant of the switch; the reference sees it say master first",
    apply: |ours, theirs| {
        let role_of_old =
            |told: &Told| told.channel.ends_with("role-change") && told.payload.starts_with("slave 127.0.0.1:<master>");
        let converted = |told: &Told| told.channel == "+convert-to-slave";
        // It has handed over: if its INFO has told so already, there is nobody left to demote.
        let told_itself = |told: &Told| told.channel == "-role-change" && told.payload.starts_with("master mymaster");
        let promoted = position(ours, "+promoted-slave")?;
        match (ours.iter().position(told_itself), ours.iter().position(converted)) {
            (Some(told), None) if told < promoted => drop(ours.remove(told)),
            // SWITCH_AT_PROMOTION has moved the switch; what told it to the old master has stayed behind the promotion.
            (None, Some(told)) if told == promoted + 2 => drop(ours.remove(told)),
            _ => return Err("ours neither finds the old master a replica nor demotes it at once".to_owned()),
        }
        if ours.iter().any(role_of_old) {
            return Err("ours sees the role of the old master change".to_owned());
        }
        take_one(theirs, converted)?;
        take_one(theirs, |told| role_of_old(told) && told.channel == "-role-change")?;
        take_one(theirs, |told| role_of_old(told) && told.channel == "+role-change").map(drop)
    },
};

/// docs/guards.md.
pub(crate) const NOBODY_IS_MASTER: Rule = Rule {
    why: "ours tells that no node is a master, about a second after it sees it; the reference waits for what its other rules say",
    apply: |ours, theirs| {
        let told = |told: &Told| told.channel == "-no-master";
        if theirs.iter().any(told) {
            return Err("the reference tells it, too".to_owned());
        }
        take_one(ours, told).map(drop)
    },
};

/// Nobody has done anything to these nodes.
pub(crate) const MISSED_FOR_A_MOMENT: Rule = Rule {
    why: "on a busy machine a healthy node may be missed for a moment, by either",
    apply: |ours, theirs| {
        for stream in [ours, theirs] {
            while let Some((down, up)) = missed(stream) {
                stream.remove(up);
                stream.remove(down);
            }
        }
        Ok(())
    },
};

/// The positions of an +sdown and the -sdown after it of a node other than the first master.
fn missed(stream: &[Told]) -> Option<(usize, usize)> {
    (0..stream.len()).filter(|&at| stream[at].channel == "+sdown").find_map(|down| {
        let payload = &stream[down].payload;
        let healthy = payload.starts_with("slave 127.0.0.1:<replica")
            || payload.starts_with("sentinel ")
            || payload.starts_with("master mymaster 127.0.0.1 <replica");
        let up = stream[down..].iter().position(|told| told.channel == "-sdown" && told.payload == *payload)?;
        healthy.then_some((down, down + up))
    })
}

/// INFO is asked for periodically: it may come between the promotion and the hello that tells of it.
pub(crate) const SEEN_BEFORE_THE_HELLO: Rule = Rule {
    why: "an observer may read the new role of the promoted replica before the leader's hello arrives, or not",
    apply: |ours, theirs| {
        for stream in [ours, theirs] {
            take_before_the_switch(stream, |told| {
                told.channel == "-role-change" && told.payload.starts_with("slave 127.0.0.1:<replica-1>")
            })?;
        }
        Ok(())
    },
};

/// Our failover may be over before an observer has missed the master.
pub(crate) const TOLD_BEFORE_IT_IS_MISSED: Rule = Rule {
    why: "an observer may learn of the new master before it has itself found the old one down, or not",
    apply: |ours, theirs| {
        for stream in [ours, theirs] {
            take_before_the_switch(stream, |told| told.channel == "+sdown" && told.payload.starts_with("master "))?;
        }
        Ok(())
    },
};

/// Observers tell one another, too.
pub(crate) const WHOEVER_TELLS_FIRST: Rule = Rule {
    why: "the new configuration may be learnt from the leader or from the other observer",
    apply: |ours, theirs| {
        for told in ours.iter_mut().chain(theirs).filter(|told| told.channel == "+config-update-from") {
            told.payload =
                told.payload.replace("<observer> 127.0.0.1 <observer-port>", "<leader> 127.0.0.1 <leader-port>");
        }
        Ok(())
    },
};

/// docs/departures.md, departure 41.
pub(crate) const NODES_ARE_WITNESSES: Rule = Rule {
    why: "the nodes show that the former master is the master still: there is an election at once",
    apply: |ours, _| {
        // What was heard may end between its two first events.
        let cut_off = || ours.last().filter(|told| told.channel == "+new-epoch").map(|_| ours.len());
        if let Some(election) = ours.iter().position(|told| told.channel == "+try-failover").or_else(cut_off) {
            let begins = election.saturating_sub(1);
            let mut at = 0..ours.len();
            ours.retain(|told| at.next().is_some_and(|at| at < begins) || told.channel == "-role-change");
        }
        Ok(())
    },
};

fn take_before_the_switch(stream: &mut Vec<Told>, fits: impl Fn(&Told) -> bool) -> Result<(), String> {
    let switch = position(stream, "+switch-master")?;
    if let Some(at) = stream[..switch].iter().position(fits) {
        stream.remove(at);
    }
    Ok(())
}

fn take_one(stream: &mut Vec<Told>, fits: impl Fn(&Told) -> bool) -> Result<Told, String> {
    let positions: Vec<usize> = (0..stream.len()).filter(|&at| fits(&stream[at])).collect();
    match positions[..] {
        [at] => Ok(stream.remove(at)),
        _ => Err(format!("{} events where there should be one", positions.len())),
    }
}
