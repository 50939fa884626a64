//! `BPF_PROG_TEST_RUN` with the contexts that the programs read.

use anyhow::{Context as _, Result, ensure};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp};

/// Room for what encapsulation adds.
const SLACK: usize = 256;
/// `struct __sk_buff` of `linux/bpf.h`: its size, and the offsets of two fields.
const SK_BUFF: usize = 192;
const SK_BUFF_IFINDEX: usize = 40;
const SK_BUFF_GSO_SIZE: usize = 176;
/// `struct xdp_md`: six words.
const XDP_MD: usize = 24;

/// What a TC program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcRun {
    /// `TC_ACT_*`.
    pub(crate) action: i32,
    pub(crate) frame: Vec<u8>,
}

/// What an XDP program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct XdpRun {
    /// `XDP_*`.
    pub(crate) action: u32,
    /// What stands in front of the frame for the TC program.
    pub(crate) meta: Vec<u8>,
    pub(crate) frame: Vec<u8>,
}

/// Runs a TC program on a frame that came in on a link.
pub(crate) fn tc(program: &SchedClassifier, ifindex: u32, frame: &[u8]) -> Result<TcRun> {
    tc_gso(program, ifindex, frame, 0)
}

/// As [`tc`], on a super-packet whose segments have so many bytes of payload.
pub(crate) fn tc_gso(
    program: &SchedClassifier,
    ifindex: u32,
    frame: &[u8],
    gso_size: u32,
) -> Result<TcRun> {
    let mut context = [0; SK_BUFF];
    context[SK_BUFF_IFINDEX..][..4].copy_from_slice(&ifindex.to_ne_bytes());
    context[SK_BUFF_GSO_SIZE..][..4].copy_from_slice(&gso_size.to_ne_bytes());
    let mut out = vec![0; frame.len() + SLACK];
    let run = program
        .test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ..TestRunOptions::default()
        })
        .with_context(|| format!("the kernel does not run TC on {} bytes", frame.len()))?;
    out.truncate(run.data_size_out as usize);
    Ok(TcRun {
        action: run.return_value.cast_signed(),
        frame: out,
    })
}

/// Runs an XDP program on a frame that came in on a link, which must have a program attached.
pub(crate) fn xdp(program: &Xdp, ifindex: u32, frame: &[u8]) -> Result<XdpRun> {
    let length = u32::try_from(frame.len())?;
    // data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
    let words = [0, length, 0, ifindex, 0, 0];
    let context: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    let mut context_out = [0; XDP_MD];
    let mut out = vec![0; frame.len() + SLACK];
    let run = program
        .test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ctx_out: Some(&mut context_out),
            ..TestRunOptions::default()
        })
        .with_context(|| format!("the kernel does not run XDP on {} bytes", frame.len()))?;
    out.truncate(run.data_size_out as usize);
    let [a, b, c, d, ..] = context_out;
    let meta = u32::from_ne_bytes([a, b, c, d]) as usize;
    ensure!(
        meta <= out.len(),
        "{meta} bytes of metadata in {}",
        out.len()
    );
    let frame = out.split_off(meta);
    Ok(XdpRun {
        action: run.return_value,
        meta: out,
        frame,
    })
}
