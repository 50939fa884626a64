//! Frames that are too big for a way or a port.

use super::*;

#[test]
fn a_packet_that_is_too_big_is_told_to_who_may_be_told() {
    let rows = rows();
    let ip = |flags| {
        let mut packet = vec![8, 0, 0x45, 0, 5, 0xdc, 0, 0, flags, 0, 64, 17, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 3]);
        packet.resize(1502, 0);
        frame(A, FAR, &packet)
    };
    let trace = port(&rows, ACCESS, &ip(0x40), NOW);
    assert_eq!(trace.verdict, Verdict::TooBig { mtu: 1450 });
    assert_eq!(reason(&port(&rows, ACCESS, &ip(0), NOW)), Reason::TooBig);
    let mut short = ip(0x40);
    short.truncate(1464);
    assert_eq!(receivers(&port(&rows, ACCESS, &short, NOW)).len(), 1);
    // Nor does it matter whether anybody knows where the addressee is.
    let to = |flags, dst: Mac| {
        let mut frame = ip(flags);
        frame[..6].copy_from_slice(&dst.0);
        port(&rows, ACCESS, &frame, NOW)
    };
    assert_eq!(to(0x40, NEW).verdict, Verdict::TooBig { mtu: 1450 });
    for flood in [to(0, NEW), to(0x40, Mac::BROADCAST)] {
        let lost: Vec<_> = flood.lost.iter().map(|lost| lost.reason).collect();
        assert_eq!(lost, [Reason::TooBig, Reason::NoRoute]);
        assert_eq!(receivers(&flood).len(), 1, "the trunk");
    }
}

#[test]
fn a_port_takes_no_more_than_its_mtu() {
    let mut rows = rows();
    rows.ports.get_mut(&TRUNK).expect("a row").mtu = 576;
    let ip = |dst: Mac, bytes: u16| {
        let mut packet = vec![8, 0, 0x45, 0];
        packet.extend(bytes.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.resize(2 + usize::from(bytes), 0);
        frame(A, dst, &packet)
    };
    let trace = port(&rows, ACCESS, &ip(B, 577), NOW);
    assert_eq!(trace.verdict, Verdict::TooBig { mtu: 576 });
    assert_eq!(
        text(&trace, "size"),
        "577 bytes in the frame, MTU of vnet2 576: the sender is told that 576 would fit"
    );
    assert_eq!(receivers(&port(&rows, ACCESS, &ip(B, 576), NOW)).len(), 1);
    let flood = port(&rows, ACCESS, &ip(Mac::BROADCAST, 577), NOW);
    let lost: Vec<_> = flood.lost.iter().map(|lost| lost.reason).collect();
    assert_eq!(lost, [Reason::TooBig, Reason::NoRoute]);
}
