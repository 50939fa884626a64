//! Changes of a host, as `vxnet plan` and `vxnet apply` show them.

mod words;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use self::words::{Words, words};
use crate::{
    plan::{Op, merged},
    state::{Id, Spec},
};

/// One change, for people and as an object of the JSON.
#[derive(Serialize)]
pub(super) struct Change {
    /// `create`, `change` or `delete`.
    action: &'static str,
    /// The thing, as in `bridge br-blue`.
    what: String,
    /// How it was, and how it is to be; null where it is not there.
    from: Option<BTreeMap<&'static str, String>>,
    to: Option<BTreeMap<&'static str, String>>,
    #[serde(skip)]
    line: String,
}

/// Returns what operations come to; `names` are the links', by ifindex.
///
/// Learned rows that have to go are no change of what is wanted, and nobody can tell before how many
/// there will be.
pub(super) fn changes(ops: &[Op], names: &BTreeMap<u32, String>) -> Vec<Change> {
    let ops = merged(ops);
    ops.iter()
        .filter(|op| *op.id() != Id::Strays)
        .map(|op| change(op, names))
        .collect()
}

fn change(op: &Op, names: &BTreeMap<u32, String>) -> Change {
    let what = name(op.id(), names);
    let (from, to) = op.sides();
    let [from, to] = [from, to].map(|side: Option<&Spec>| side.map(words));
    let (action, line) = match (&from, &to) {
        (None, Some(to)) => (
            "create",
            line('+', &what, &to.iter().map(said).collect::<Vec<_>>()),
        ),
        (Some(from), Some(to)) => ("change", line('~', &what, &differences(from, to))),
        _ => ("delete", line('-', &what, &[])),
    };
    let [from, to] = [from, to].map(|side| side.map(|words| words.into_iter().collect()));
    Change {
        action,
        what,
        from,
        to,
        line,
    }
}

fn line(sign: char, what: &str, details: &[String]) -> String {
    if details.is_empty() {
        return format!("{sign} {what}");
    }
    format!("{sign} {what}: {}", details.join(", "))
}

fn said((name, value): &(&'static str, String)) -> String {
    format!("{name} {value}")
}

/// Says what is another on the two sides. Both are of one kind, and so have the same names.
fn differences(from: &Words, to: &Words) -> Vec<String> {
    from.iter()
        .zip(to)
        .filter(|(from, to)| from != to)
        .map(|((name, from), (_, to))| format!("{name} {from} -> {to}"))
        .collect()
}

/// Names a thing: links by their names instead of their numbers.
fn name(id: &Id, names: &BTreeMap<u32, String>) -> String {
    let link = |ifindex: &u32| {
        let name = names.get(ifindex).cloned();
        name.unwrap_or_else(|| format!("link {ifindex}"))
    };
    match id {
        Id::PortSlot(ifindex) => format!("port {}", link(ifindex)),
        Id::Program(ifindex, hook) => format!("{} program of {}", hook.name(), link(ifindex)),
        id => id.to_string(),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use vxnet_common::addr::Mac;

    use super::*;
    use crate::state::{Bridge, Hook, Program};

    fn bridge(mtu: u32) -> Spec {
        Spec::Bridge(Bridge {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            mtu,
            up: true,
        })
    }

    #[test]
    fn changes_are_named_and_say_what_is_another() {
        let id = Id::Bridge("br-blue".into());
        let program = Program {
            name: "vx_port".into(),
            tag: 7,
        };
        let ops = [
            Op::Create(id.clone(), bridge(1500)),
            Op::Change {
                id: id.clone(),
                from: bridge(1500),
                to: bridge(1450),
            },
            Op::Create(
                Id::Program(7, Hook::TcIngress),
                Spec::Program(program.clone()),
            ),
            Op::Change {
                id: Id::Program(8, Hook::Xdp),
                from: Spec::Program(Program::PIN),
                to: Spec::Program(program),
            },
            Op::Delete(Id::PortSlot(7), Spec::Slot(2)),
            Op::Delete(Id::Strays, Spec::Strays(3)),
        ];
        let names = BTreeMap::from([(7, "vnet0".to_owned())]);
        let all = changes(&ops, &names);
        let lines: Vec<String> = all.iter().map(Change::to_string).collect();
        assert_eq!(
            lines,
            [
                "+ bridge br-blue: mac 02:00:00:00:00:01, mtu 1450, state up",
                "+ tc-ingress program of vnet0: program vx_port",
                "~ xdp program of link 8: program none -> vx_port",
                "- port vnet0",
            ]
        );
        let json = serde_json::to_value(changes(&ops[1..2], &names)).unwrap();
        assert_eq!(
            json,
            serde_json::json!([{
                "action": "change",
                "what": "bridge br-blue",
                "from": {"mac": "02:00:00:00:00:01", "mtu": "1500", "state": "up"},
                "to": {"mac": "02:00:00:00:00:01", "mtu": "1450", "state": "up"},
            }])
        );
    }
}
