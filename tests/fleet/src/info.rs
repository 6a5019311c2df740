//! The text of INFO: all of it, as redis-server 7.0.15 prints it, with the lines that change.

use std::{fmt::Write as _, sync::OnceLock};

use crate::{
    clock::Micros,
    node::{NodeId, Role, World},
};

/// What an idle server prints. Words in braces are filled in.
const TEMPLATE: &str = include_str!("info.txt");

/// A piece of the text.
enum Piece {
    Text(String),
    Field(&'static str),
}

const FIELDS: [&str; 7] = ["run_id", "port", "time", "uptime", "clients", "commands", "replication"];

fn pieces() -> &'static [Piece] {
    static PIECES: OnceLock<Vec<Piece>> = OnceLock::new();
    PIECES.get_or_init(|| {
        let text = TEMPLATE.replace('\n', "\r\n");
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a field of the template ends");
            let field = FIELDS.into_iter().find(|field| *field == name).expect("a known field");
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Field(field));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces
    })
}

/// Appends what a node says of itself.
pub(crate) fn write(world: &World, id: NodeId, clients: usize, now: Micros, out: &mut String) {
    let node = &world.nodes[id];
    for piece in pieces() {
        // Writing to a string does not fail.
        let _ = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                Ok(())
            }
            Piece::Field("run_id") => write!(out, "{}", node.run_id),
            Piece::Field("port") => write!(out, "{}", node.addr.port()),
            Piece::Field("time") => write!(out, "{}", now.0),
            Piece::Field("uptime") => write!(out, "{}", now.since(node.started_at) / 1_000_000),
            Piece::Field("clients") => write!(out, "{clients}"),
            Piece::Field("commands") => write!(out, "{}", node.commands),
            Piece::Field(_) => {
                replication(world, id, now, out);
                Ok(())
            }
        };
    }
}

fn replication(world: &World, id: NodeId, now: Micros, out: &mut String) {
    let node = &world.nodes[id];
    let offset = world.offset(id, now);
    match &node.role {
        Role::Master => out.push_str("role:master\r\n"),
        Role::Replica { host, port, .. } => {
            let up = world.linked_to(id, now).is_some();
            let _ = write!(
                out,
                "role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{}\r\n\
                 master_last_io_seconds_ago:{}\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:{offset}\r\n\
                 slave_repl_offset:{offset}\r\n",
                if up { "up" } else { "down" },
                if up { 0 } else { -1 },
            );
            if !up {
                let seconds = now.since(node.unlinked_at) / 1_000_000;
                let _ = write!(out, "master_link_down_since_seconds:{seconds}\r\n");
            }
            out.push_str("slave_priority:100\r\nslave_read_only:1\r\nreplica_announced:1\r\n");
        }
    }
    let replicas: Vec<NodeId> = world.group_of(id).filter(|it| world.linked_to(*it, now) == Some(id)).collect();
    let _ = write!(out, "connected_slaves:{}\r\n", replicas.len());
    for (index, replica) in replicas.iter().enumerate() {
        let addr = world.nodes[*replica].addr;
        let _ =
            write!(out, "slave{index}:ip={},port={},state=online,offset={offset},lag=0\r\n", addr.ip(), addr.port());
    }
    let history = world.history(id, now);
    let _ = write!(
        out,
        "master_failover_state:no-failover\r\nmaster_replid:{:040x}\r\nmaster_replid2:{:040x}\r\n\
         master_repl_offset:{offset}\r\nsecond_repl_offset:{}\r\nrepl_backlog_active:1\r\nrepl_backlog_size:1048576\r\n\
         repl_backlog_first_byte_offset:1\r\nrepl_backlog_histlen:{offset}\r\n\r\n",
        history.id,
        history.former.unwrap_or(0),
        history.switched_at.map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX)),
    );
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_master_lists_its_replicas_and_the_text_has_full_size() {
        let world = World::new(&[Ipv4Addr::new(127, 9, 0, 1), Ipv4Addr::new(127, 9, 0, 2)], 7000, 2, Micros(1));
        let mut text = String::new();
        write(&world, 0, 1, Micros(5_000_000), &mut text);
        assert!(text.contains("role:master\r\n") && text.contains("slave0:ip=127.9.0.2,port=7000,"), "{text}");
        assert!((4_800..5_600).contains(&text.len()), "{}", text.len());
        assert!(!text.contains('{'));
        text.clear();
        write(&world, 1, 1, Micros(5_000_000), &mut text);
        assert!(text.contains("role:slave\r\nmaster_host:127.9.0.1\r\n"), "{text}");
        assert!(text.contains("master_link_status:up\r\n"), "{text}");
    }
}
