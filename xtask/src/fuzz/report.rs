//! Reading what libFuzzer prints.

use std::fmt;

/// How the fuzzing of a target went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// How many inputs were tried.
    executions: u64,
    /// How many edges of the code were reached.
    coverage: u64,
    seconds: f64,
    pub(super) failed: bool,
}

impl Run {
    /// Reads the log of a run: `#12 NEW cov: 34 ft: …`, and `stat::number_of_executed_units: 56`
    /// at its end.
    pub(super) fn read(log: &str, seconds: f64, failed: bool) -> Self {
        let last = |marker: &str| {
            let (_, rest) = log.rsplit_once(marker)?;
            let word = rest.split_whitespace().next()?;
            word.parse().ok()
        };
        Self {
            executions: last("stat::number_of_executed_units:").unwrap_or(0),
            coverage: last(" cov: ").unwrap_or(0),
            seconds,
            failed,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {} executions, {} edges in {:.1} s",
            if self.failed { "FAILED" } else { "ok    " },
            self.executions,
            self.coverage,
            self.seconds
        )
    }
}

/// Returns the lines of a log that say what went wrong: of the panic or the sanitizer, up to its
/// trace.
pub(super) fn cause(log: &str) -> String {
    let starts = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let mut lines = log.lines().skip_while(|line| !starts(line)).peekable();
    if lines.peek().is_none() {
        return "it stopped without a word".to_owned();
    }
    let is_trace = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("#0") || line.starts_with("note: run with") || line == "stack backtrace:"
    };
    let told: Vec<_> = lines.take_while(|line| !is_trace(line)).collect();
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#4\tINITED cov: 208 ft: 208 corp: 3/253b\n\
                       #9\tNEW    cov: 210 ft: 219 corp: 4/260b\n\
                       Done 147826 runs in 4 second(s)\n\
                       stat::number_of_executed_units: 147826\n\
                       stat::average_exec_per_sec:     36956\n";

    #[test]
    fn the_last_numbers_count() {
        let run = Run::read(LOG, 4.0, false);
        assert_eq!((run.executions, run.coverage), (147_826, 210));
        assert_eq!(
            run.to_string(),
            "ok     147826 executions, 210 edges in 4.0 s"
        );
        let run = Run::read("", 0.5, true);
        assert_eq!(
            run.to_string(),
            "FAILED 0 executions, 0 edges in 0.5 s",
            "it did not even start"
        );
    }

    #[test]
    fn the_cause_is_told_without_its_trace() {
        let log = "#5\tNEW cov: 1\n\nthread '<unnamed>' (870) panicked at src/a.rs:83:5:\n\
                   the headers are whole\nnote: run with `RUST_BACKTRACE=1`\n==870== ERROR: \
                   libFuzzer: deadly signal\n    #0 0x55e6\n";
        assert_eq!(
            cause(log),
            "thread '<unnamed>' (870) panicked at src/a.rs:83:5:\nthe headers are whole"
        );
        let log =
            "==870==ERROR: AddressSanitizer: heap-buffer-overflow\nREAD of size 2\n    #0 0x1";
        assert_eq!(
            cause(log),
            "==870==ERROR: AddressSanitizer: heap-buffer-overflow\nREAD of size 2"
        );
        assert_eq!(cause("Killed"), "it stopped without a word");
    }
}
