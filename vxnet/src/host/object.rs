//! The BPF object: the programs that this version of vxnet brings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData},
    programs::{Program, ProgramError, SchedClassifier, Xdp},
};
use tokio::io::{Interest, unix::AsyncFd};
use vxnet_common::map::{LAYOUT, local::Local};

use super::Paths;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/vxnet-bpf"));

/// Returns the object, as the compiler made it, for tests that load it by themselves.
pub const fn bytes() -> &'static [u8] {
    OBJECT
}

/// Names of the programs in the object.
pub(super) const PROGRAMS: [&str; 5] = [
    "vx_detour",
    "vx_port",
    "vx_resolve",
    "vx_uplink",
    "vx_uplink_xdp",
];

/// The loaded programs.
pub(super) struct Object {
    ebpf: Ebpf,
    /// Hashes of the loaded programs, by name.
    pub(super) tags: BTreeMap<&'static str, u64>,
    /// Ids of the pinned maps that each program uses.
    pub(super) maps: BTreeMap<&'static str, BTreeSet<u32>>,
}

impl Object {
    /// Loads the programs into the kernel, on the maps that are pinned already or on new ones.
    pub(super) fn load(paths: &Paths, log_packets: bool) -> Result<Self> {
        check_layout(paths)?;
        let level: u8 = if log_packets { aya_log_level::DEBUG } else { 0 };
        let mut ebpf = EbpfLoader::new()
            .default_map_pin_directory(paths.maps())
            .override_global("AYA_LOG_LEVEL", &level, false)
            .load(OBJECT)
            .context("the kernel did not take the maps")?;
        let pinned = pinned_ids(paths)?;
        let (mut tags, mut maps) = (BTreeMap::new(), BTreeMap::new());
        for name in PROGRAMS {
            let program = ebpf
                .program_mut(name)
                .with_context(|| format!("the object has no program {name}"))?;
            let loaded = match program {
                Program::SchedClassifier(program) => program.load(),
                Program::Xdp(program) => program.load(),
                _ => bail!("program {name} is of an unexpected type"),
            };
            loaded
                .map_err(verdict)
                .with_context(|| format!("the kernel refused {name}"))?;
            let info = program.info().context("cannot read back a program")?;
            tags.insert(name, info.tag());
            let used = info.map_ids().ok().flatten().unwrap_or_default();
            maps.insert(
                name,
                used.into_iter().filter(|id| pinned.contains(id)).collect(),
            );
        }
        Ok(Self { ebpf, tags, maps })
    }

    /// As [`Self::load`], to look only: nothing is pinned that was not.
    pub(super) fn load_unseen(paths: &Paths) -> Result<Self> {
        let before = pinned(paths)?;
        let object = Self::load(paths, false);
        for new in pinned(paths)?.difference(&before) {
            fs::remove_file(new).with_context(|| format!("cannot remove {}", new.display()))?;
        }
        object
    }

    /// Pins maps again that someone has unpinned.
    pub(super) fn repin(&self, paths: &Paths) -> Result<()> {
        for (name, map) in self.ebpf.maps() {
            let path = paths.maps().join(name);
            // The constants and the log's buffer belong to one load of the programs.
            if !name.starts_with('.') && name != LOG && !path.exists() {
                map.pin(&path)
                    .with_context(|| format!("cannot pin {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Returns a TC program.
    pub(super) fn classifier(&mut self, name: &str) -> Result<&mut SchedClassifier> {
        match self.ebpf.program_mut(name) {
            Some(program) => Ok(program.try_into()?),
            None => bail!("the object has no program {name}"),
        }
    }

    /// Returns an XDP program.
    pub(super) fn xdp(&mut self, name: &str) -> Result<&mut Xdp> {
        match self.ebpf.program_mut(name) {
            Some(program) => Ok(program.try_into()?),
            None => bail!("the object has no program {name}"),
        }
    }

    /// Starts to pass the programs' messages to the daemon's log.
    pub(super) fn start_log(&mut self) -> Result<()> {
        let logger = aya_log::EbpfLogger::init(&mut self.ebpf)
            .context("cannot read the log of the programs")?;
        // SAFETY: the logger owns the descriptor that it returns and keeps it open and the same for
        // its whole life, and `AsyncFd` drops the logger only after it has deregistered it.
        let logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        let mut logger = logger.context("cannot wait for the log of the programs")?;
        tokio::spawn(async move {
            while let Ok(mut ready) = logger.readable_mut().await {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        });
        Ok(())
    }
}

/// Name of the ring buffer that aya-log adds.
const LOG: &str = "AYA_LOGS";

fn pinned(paths: &Paths) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(paths.maps())?;
    Ok(entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?)
}

fn pinned_ids(paths: &Paths) -> Result<BTreeSet<u32>> {
    let pins = pinned(paths)?;
    pins.iter()
        .map(|pin| Ok(MapData::from_pin(pin)?.info()?.id()))
        .collect()
}

/// Levels of aya-log, as the programs compare them.
mod aya_log_level {
    /// Everything but traces.
    pub(super) const DEBUG: u8 = 4;
}

/// Keeps the end of the verifier's log, which says what is wrong.
fn verdict(error: ProgramError) -> anyhow::Error {
    match &error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(12)..].join("\n");
            anyhow::anyhow!("{io_error}; the verifier's last words:\n{end}")
        }
        _ => error.into(),
    }
}

/// Refuses maps of another layout, which the loader would take as they are.
fn check_layout(paths: &Paths) -> Result<()> {
    let path = paths.maps().join("LOCAL");
    if !fs::exists(&path).unwrap_or(false) {
        return Ok(());
    }
    let map =
        MapData::from_pin(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let fits = map.info()?.value_size() == size_of::<Local>() as u32;
    let layout = if fits {
        let rows: Array<_, Local> = aya::maps::Map::Array(map).try_into()?;
        rows.get(&0, 0)?.layout
    } else {
        0
    };
    if !fits || (layout != LAYOUT && layout != 0) {
        bail!(
            "the pinned maps are of another version of vxnet; nothing was touched\nhint: \
             `vxnet teardown --force` removes them and interrupts the guests' traffic"
        );
    }
    Ok(())
}
