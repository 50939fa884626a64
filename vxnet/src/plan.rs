//! The difference between two states, as operations in a safe order.

use std::{collections::BTreeMap, fmt};

use crate::state::{Id, Spec, State};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Create(Id, Spec),
    Change { id: Id, from: Spec, to: Spec },
    Delete(Id, Spec),
}

/// Returns the operations that lead from `observed` to `desired`.
///
/// Things are made and changed in the order of their ids, then removed in reverse: what others
/// refer to is there before them and goes after them.
pub fn plan(observed: &State, desired: &State) -> Vec<Op> {
    let made = desired
        .iter()
        .filter_map(|(id, to)| match observed.get(id) {
            None => Some(Op::Create(id.clone(), to.clone())),
            Some(from) if from != to => Some(Op::Change {
                id: id.clone(),
                from: from.clone(),
                to: to.clone(),
            }),
            Some(_) => None,
        });
    let gone = observed
        .iter()
        .rev()
        .filter(|(id, _)| !desired.contains_key(id))
        .map(|(id, spec)| Op::Delete(id.clone(), spec.clone()));
    made.chain(gone).collect()
}

/// Returns what operations come to, one for each thing, in the order in which they begin: several
/// rounds may have changed one thing.
pub fn merged(ops: &[Op]) -> Vec<Op> {
    let mut ends: BTreeMap<&Id, (Option<&Spec>, Option<&Spec>)> = BTreeMap::new();
    let mut order = Vec::new();
    for op in ops {
        let (from, to) = op.sides();
        ends.entry(op.id())
            .and_modify(|(_, end)| *end = to)
            .or_insert_with(|| {
                order.push(op.id());
                (from, to)
            });
    }
    let merged = |id: &Id| {
        let (from, to) = ends[id];
        match (from.cloned(), to.cloned()) {
            (None, Some(to)) => Some(Op::Create(id.clone(), to)),
            (Some(from), None) => Some(Op::Delete(id.clone(), from)),
            (Some(from), Some(to)) if from != to => Some(Op::Change {
                id: id.clone(),
                from,
                to,
            }),
            _ => None,
        }
    };
    order.into_iter().filter_map(merged).collect()
}

impl Op {
    /// Returns how the thing is before and after; none if it is not there.
    pub fn sides(&self) -> (Option<&Spec>, Option<&Spec>) {
        match self {
            Self::Create(_, spec) => (None, Some(spec)),
            Self::Change { from, to, .. } => (Some(from), Some(to)),
            Self::Delete(_, spec) => (Some(spec), None),
        }
    }

    /// Returns what the operation is about.
    pub fn id(&self) -> &Id {
        match self {
            Self::Create(id, _) | Self::Change { id, .. } | Self::Delete(id, _) => id,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self {
            Self::Create(..) => '+',
            Self::Change { .. } => '~',
            Self::Delete(..) => '-',
        };
        write!(out, "{sign} {}", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysctl(value: &str) -> (Id, Spec) {
        (Id::Sysctl("a".into()), Spec::Sysctl(value.into()))
    }

    #[test]
    fn makes_in_order_and_removes_in_reverse() {
        let bridge = (Id::Bridge("b".into()), Spec::Address);
        let local = (Id::Local, Spec::Slot(1));
        let vni = (Id::Vni(1), Spec::Slot(1));
        let all = State::from([vni, bridge, local]);
        let lines = |ops: Vec<Op>| ops.iter().map(Op::to_string).collect::<Vec<_>>();
        assert_eq!(
            lines(plan(&State::new(), &all)),
            ["+ bridge b", "+ host row", "+ VNI 1"]
        );
        assert_eq!(
            lines(plan(&all, &State::new())),
            ["- VNI 1", "- host row", "- bridge b"]
        );
    }

    #[test]
    fn several_rounds_come_to_one_operation_for_each_thing() {
        let (id, old) = sysctl("0");
        let (_, new) = sysctl("1");
        let change = |from: &Spec, to: &Spec| Op::Change {
            id: id.clone(),
            from: from.clone(),
            to: to.clone(),
        };
        let create = |spec: &Spec| Op::Create(id.clone(), spec.clone());
        let delete = |spec: &Spec| Op::Delete(id.clone(), spec.clone());
        let other = Op::Create(Id::Vni(1), Spec::Slot(1));
        for (ops, expected) in [
            (
                vec![create(&old), other.clone(), change(&old, &new)],
                Some(create(&new)),
            ),
            (
                vec![change(&new, &old), other.clone(), delete(&old)],
                Some(delete(&new)),
            ),
            (
                vec![delete(&old), other.clone(), create(&new)],
                Some(change(&old, &new)),
            ),
            (vec![create(&old), other.clone(), delete(&old)], None),
            (
                vec![change(&old, &new), other.clone(), change(&new, &old)],
                None,
            ),
        ] {
            let expected: Vec<Op> = expected.into_iter().chain([other.clone()]).collect();
            assert_eq!(merged(&ops), expected, "{ops:?}");
        }
    }

    #[test]
    fn equal_states_need_nothing_and_changes_know_both_sides() {
        let old = State::from([sysctl("0")]);
        let new = State::from([sysctl("1")]);
        assert_eq!(plan(&old, &old), []);
        assert_eq!(plan(&old, &new).len(), 1);
        assert!(matches!(&plan(&old, &new)[0], Op::Change { from, to, .. }
            if *from == Spec::Sysctl("0".into()) && *to == Spec::Sysctl("1".into())));
    }
}
