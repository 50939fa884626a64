//! Whether a frame is answered in place: the rules of `vxnet-ebpf/src/suppress.rs`.

use vxnet_common::{
    addr::Mac,
    forward::Tables as _,
    map::{
        fdb::{FdbKey, place},
        neighbour::NeighbourKey,
    },
    neighbour,
    reason::Reason,
};

use super::{Ends, Rows, Verdict, Walk, deliver::Inside};

impl<R: Rows> Walk<'_, R> {
    /// Says what the switch hears of a frame, and returns the verdict if it would be answered.
    pub(super) fn suppress(&mut self, inside: &Inside<'_>) -> Ends<Option<Verdict>> {
        let heard = neighbour::hear(inside.frame, &inside.ethernet);
        let heard = match heard {
            Ok(heard) => heard,
            Err(reason) => {
                self.step("neighbour", "the message contradicts itself");
                return Err(reason);
            }
        };
        let claim = match heard.claim {
            Some(claim) => {
                let key = NeighbourKey::new(inside.segment_slot, claim.address);
                let text = format!("{} is at {}", claim.address, claim.mac);
                let owner = self.tables.owner(&key);
                if neighbour::is_stolen(owner, inside.except) {
                    let text = format!("{text}, but the address is a gateway's");
                    self.step("neighbour", text);
                    return Err(Reason::SpoofedIp);
                }
                if neighbour::may_have(owner, inside.except) {
                    text
                } else {
                    format!("{text}, which is not believed: the address is reserved")
                }
            }
            None => "nothing to be believed".to_owned(),
        };
        let Some(question) = heard.question else {
            self.step("neighbour", claim);
            return Ok(None);
        };
        let Some(mac) = self.known(
            inside,
            &NeighbourKey::new(inside.segment_slot, question.target),
        ) else {
            let text = format!(
                "{claim}; who has {} is not known for certain",
                question.target
            );
            self.step("neighbour", text);
            return Ok(None);
        };
        let text = format!(
            "{claim}; {} is at {mac}: answered in place",
            question.target
        );
        self.step("neighbour", text);
        self.notices.push(Reason::Answered);
        Ok(Some(Verdict::Answered {
            address: question.target.to_string(),
            mac: mac.to_string(),
        }))
    }

    /// Returns who has an address, if that is certain.
    fn known(&self, inside: &Inside<'_>, key: &NeighbourKey) -> Option<Mac> {
        let row = self.tables.neighbour(key)?;
        let mac = Mac(row.mac);
        let station = self.tables.fdb(&FdbKey::new(inside.segment_slot, mac))?;
        let is_elsewhere = station.place != place::PORT || station.slot != inside.except;
        let (owner, ageing) = (self.tables.owner(key), inside.segment.ageing);
        (is_elsewhere && neighbour::is_certain(row, station, owner, self.now, ageing))
            .then_some(mac)
    }
}
