//! Running programs with captured output, a time limit and errors that tell the whole story.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

/// A program to run, in the namespace [`crate::netns::Netns::command`] gave it, if any.
#[derive(Debug, Clone)]
pub struct Cmd {
    words: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
    timeout: Duration,
}

/// What a finished program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    pub command: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            words: vec![program.as_ref().to_owned()],
            env: Vec::new(),
            stdin: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Splits `line` at white space: for commands without quoting, as one would type them.
    pub fn line(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command line names a program");
        Self::new(program).args(words)
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.words.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.words
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the program to its end; an exit code other than 0 is not an error here.
    pub fn output(&self) -> Result<Output> {
        let mut child = self
            .std_command()
            .stdin(if self.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{self}`"))?;
        if let (Some(bytes), Some(mut pipe)) = (self.stdin.clone(), child.stdin.take()) {
            // A program that exits without reading is judged by its exit code.
            thread::spawn(move || std::io::Write::write_all(&mut pipe, &bytes).ok());
        }
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let ended = wait_until(&mut child, Instant::now() + self.timeout);
        if ended.is_err() {
            child.kill().ok();
            child.wait().ok();
        }
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        let Ok(status) = ended else {
            bail!(
                "`{self}` did not end within {:?}\n{stdout}{stderr}",
                self.timeout
            );
        };
        Ok(Output {
            command: self.to_string(),
            status,
            stdout,
            stderr,
        })
    }

    /// Runs the program and returns its standard output; any failure is an error.
    pub fn run(&self) -> Result<String> {
        self.output()?.checked()
    }

    /// Runs the program and parses its standard output as JSON (empty output is `null`).
    pub fn json(&self) -> Result<serde_json::Value> {
        let text = self.run()?;
        if text.trim().is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("`{self}` printed no JSON:\n{text}"))
    }

    /// Starts the program in the background, its output going to `log`.
    pub fn spawn(&self, log: &Path) -> Result<Background> {
        let file = std::fs::File::create(log).with_context(|| format!("{}", log.display()))?;
        let child = self
            .std_command()
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start `{self}`"))?;
        Ok(Background {
            child,
            command: self.to_string(),
            log: log.to_owned(),
        })
    }

    fn std_command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .envs(self.env.iter().cloned())
            .env("LC_ALL", "C");
        command
    }
}

impl std::fmt::Display for Cmd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        f.write_str(&words.join(" "))
    }
}

impl Output {
    /// Returns standard output if the program succeeded.
    pub fn checked(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        bail!(
            "`{}`: {}\n{}{}",
            self.command,
            self.status,
            self.stdout,
            self.stderr
        )
    }
}

/// A program that runs beside the test and dies with this value.
#[derive(Debug)]
pub struct Background {
    child: Child,
    command: String,
    log: std::path::PathBuf,
}

impl Background {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns all that the program has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Tells whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for a line with `needle`; the end of the program is an error.
    pub fn wait_for(&mut self, needle: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let ended = self.child.try_wait()?;
            if self.log().contains(needle) {
                return Ok(());
            }
            if let Some(status) = ended {
                bail!(
                    "`{}` ended with {status} before `{needle}`\n{}",
                    self.command,
                    self.log()
                );
            }
            if Instant::now() >= deadline {
                bail!(
                    "`{}`: no `{needle}` in {timeout:?}\n{}",
                    self.command,
                    self.log()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Sends `signal` and waits for the end.
    pub fn stop(&mut self, signal: nix::sys::signal::Signal) -> Result<ExitStatus> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        if self.is_running() {
            nix::sys::signal::kill(pid, signal).with_context(|| self.command.clone())?;
        }
        wait_until(&mut self.child, Instant::now() + DEFAULT_TIMEOUT)
            .with_context(|| format!("`{}` after {signal}\n{}", self.command, self.log()))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn wait_until(child: &mut Child, deadline: Instant) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            bail!("still running");
        }
        thread::sleep(POLL);
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).ok();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
