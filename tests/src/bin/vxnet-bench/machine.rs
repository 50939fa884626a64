//! The machine under the benchmark: which CPU does what, and who else used it meanwhile.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// The CPU of whoever sends, and of all the switching that sending causes.
pub(crate) const SENDER: usize = 0;
/// The CPU of whoever receives.
pub(crate) const RECEIVER: usize = 1;

/// Ticks of `/proc/*/stat` a second (`USER_HZ`, part of the kernel's ABI on x86 and arm64).
const TICKS: f64 = 100.0;
/// The parent of all kernel threads.
const KTHREADD: i32 = 2;

/// Checks that there is a CPU for each side.
pub(crate) fn ensure_two_cpus() -> Result<usize> {
    let cpus = thread::available_parallelism()?.get();
    ensure!(
        cpus > RECEIVER,
        "the benchmark pins sender and receiver to two CPUs, this machine has {cpus}\n\
         hint: run it on a machine with at least two CPUs"
    );
    Ok(cpus)
}

/// Keeps the calling thread, and all threads it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot use CPU {cpu}"))
}

/// Runs `work` on a fresh thread on that CPU; threads that `work` starts stay there.
pub(crate) fn on<T: Send>(cpu: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            pin(cpu)?;
            work()
        });
        thread
            .join()
            .map_err(|_| anyhow!("a thread on CPU {cpu} panicked"))?
    })
}

/// Keeps both CPUs from halting: in a virtual machine it takes longer to wake a halted CPU than to
/// carry a packet. The threads only run when nothing else does (`SCHED_IDLE`).
#[derive(Debug)]
pub(crate) struct Awake {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    pub(crate) fn keep() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spin = |cpu| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                if pin(cpu).and_then(|()| yield_to_all()).is_ok() {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            })
        };
        let threads = [SENDER, RECEIVER].map(spin).into();
        Self { stop, threads }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

fn yield_to_all() -> Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` is live, and 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    Errno::result(result).map(drop).context("SCHED_IDLE")
}

/// How the machine was used during a measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Busy shares of the sender's and the receiver's CPU.
    pub(crate) busy: [f64; 2],
    /// Share of both CPUs that the hypervisor below took away.
    pub(crate) steal: f64,
    /// CPU seconds a second that processes outside the benchmark used.
    pub(crate) foreign: f64,
}

/// How much time may be spent on waiting for others to be done.
#[derive(Debug)]
pub(crate) struct Quiet {
    left: Duration,
}

impl Quiet {
    /// How long is looked, and how much others may do meanwhile: one tick of the clock.
    const LOOK: Duration = Duration::from_millis(200);
    const TOLERATED: f64 = 0.06;

    pub(crate) fn with_budget(left: Duration) -> Self {
        Self { left }
    }

    /// Returns when nobody else uses the machine, or the budget is spent.
    pub(crate) fn wait(&mut self) -> Result<()> {
        while !self.left.is_zero() {
            let watch = Watch::start()?;
            thread::sleep(Self::LOOK);
            if watch.stop()?.foreign < Self::TOLERATED {
                break;
            }
            self.left = self.left.saturating_sub(watch.at.elapsed());
        }
        Ok(())
    }
}

/// The counters of the machine at one moment.
#[derive(Debug)]
pub(crate) struct Watch {
    at: Instant,
    cpus: [Ticks; 2],
    foreign: HashMap<i32, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    busy: u64,
    steal: u64,
    all: u64,
}

impl Watch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            cpus: cpus()?,
            foreign: foreign(),
        })
    }

    /// Returns what happened since the start.
    pub(crate) fn stop(&self) -> Result<Usage> {
        let seconds = self.at.elapsed().as_secs_f64();
        let now = cpus()?;
        let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
        let since = |cpu: usize| {
            let (new, old) = (now[cpu], self.cpus[cpu]);
            (
                new.busy - old.busy,
                new.steal - old.steal,
                new.all - old.all,
            )
        };
        let (first, second) = (since(SENDER), since(RECEIVER));
        let used: u64 = foreign()
            .into_iter()
            .map(|(pid, ticks)| {
                ticks.saturating_sub(self.foreign.get(&pid).copied().unwrap_or(ticks))
            })
            .sum();
        Ok(Usage {
            busy: [share(first.0, first.2), share(second.0, second.2)],
            steal: share(first.1 + second.1, first.2 + second.2),
            foreign: used as f64 / TICKS / seconds,
        })
    }
}

/// Reads the first two lines `cpuN user nice system idle iowait irq softirq steal …`.
fn cpus() -> Result<[Ticks; 2]> {
    let text = fs::read_to_string("/proc/stat")?;
    let mut found = [Ticks::default(); 2];
    for (cpu, ticks) in found.iter_mut().enumerate() {
        let name = format!("cpu{cpu} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        let line = line.with_context(|| format!("/proc/stat has no {name}"))?;
        let words: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        ensure!(words.len() >= 8, "/proc/stat: `{line}` is too short");
        let (idle, steal) = (words[3] + words[4], words[7]);
        let all = words[..8].iter().sum();
        *ticks = Ticks {
            busy: all - idle - steal,
            steal,
            all,
        };
    }
    Ok(found)
}

/// Ticks used by each process that is neither ours, nor a child of ours, nor the kernel's.
fn foreign() -> HashMap<i32, u64> {
    let own = Pid::this().as_raw();
    let mut parents = HashMap::new();
    let mut used = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in brackets may hold anything, so the fields are counted from its end.
        let fields: Vec<&str> = match text.rsplit_once(')') {
            Some((_, rest)) => rest.split_whitespace().collect(),
            None => continue,
        };
        let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let parent = fields.get(1).and_then(|field| field.parse::<i32>().ok());
        if let (Some(parent), Some(user), Some(system)) = (parent, field(11), field(12)) {
            parents.insert(pid, parent);
            used.insert(pid, user + system);
        }
    }
    used.retain(|&pid, _| {
        let mut at = pid;
        while at > 0 && at != own && at != KTHREADD {
            at = parents.get(&at).copied().unwrap_or(0);
        }
        at <= 0
    });
    used
}

/// The three load averages.
pub(crate) fn load_average() -> Vec<f64> {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let words = text.split_whitespace().take(3);
    words.filter_map(|word| word.parse().ok()).collect()
}

/// The kernel's release.
pub(crate) fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}
