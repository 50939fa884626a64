//! Reading libtest's closing lines.

use std::fmt;

/// The sum over the test programs of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    programs: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Count {
    /// Adds the numbers in `line` if it is a closing line: `test result: ok. 3 passed; 0 failed;
    /// 1 ignored; 0 measured; 2 filtered out; finished in 0.00s`.
    pub(super) fn add(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else {
            return;
        };
        let numbers = result
            .split_once(". ")
            .map_or(result, |(_, numbers)| numbers);
        self.programs += 1;
        for part in numbers.split(';') {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let sum = match what {
                "passed" => &mut self.passed,
                "failed" => &mut self.failed,
                "ignored" => &mut self.ignored,
                _ => continue,
            };
            *sum += number.parse().unwrap_or(0);
        }
    }
}

/// How a target ended.
pub(super) enum Outcome {
    Passed(Count),
    Failed(Count),
    /// No test program came to its end: the build failed, or the program died.
    Died(Count),
    Skipped,
}

impl Outcome {
    pub(super) fn of(count: Count, success: bool) -> Self {
        match (success, count.failed) {
            (true, 0) => Self::Passed(count),
            (_, 0) => Self::Died(count),
            _ => Self::Failed(count),
        }
    }

    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Died(_))
    }

    /// Returns the number of tests that ran.
    pub(super) fn ran(&self) -> u32 {
        match self {
            Self::Passed(count) | Self::Failed(count) | Self::Died(count) => {
                count.passed + count.failed
            }
            Self::Skipped => 0,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, count) = match self {
            Self::Passed(count) => ("ok     ", count),
            Self::Failed(count) => ("FAILED ", count),
            Self::Died(count) if count.programs == 0 => return out.write_str("FAILED  not built"),
            Self::Died(count) => ("FAILED (a test program died)", count),
            Self::Skipped => return out.write_str("SKIPPED"),
        };
        write!(
            out,
            "{word} {} passed, {} failed",
            count.passed, count.failed
        )?;
        if count.ignored > 0 {
            write!(out, ", {} ignored", count.ignored)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; \
                      finished in 0.00s";
    const FAILED: &str = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 \
                          filtered out; finished in 0.00s";

    #[test]
    fn the_closing_lines_of_all_programs_are_summed() {
        let mut count = Count::default();
        for line in ["running 4 tests", "test a ... ok", OK, FAILED] {
            count.add(line);
        }
        assert_eq!(
            count,
            Count {
                programs: 2,
                passed: 4,
                failed: 2,
                ignored: 1
            }
        );
        let outcome = Outcome::of(count, false);
        assert_eq!(outcome.to_string(), "FAILED  4 passed, 2 failed, 1 ignored");
        assert_eq!(outcome.ran(), 6);
    }

    #[test]
    fn an_exit_code_without_a_failed_test_is_a_failure() {
        assert_eq!(
            Outcome::of(Count::default(), false).to_string(),
            "FAILED  not built"
        );
        let mut count = Count::default();
        count.add(OK);
        assert!(Outcome::of(count, false).is_failure());
        assert!(!Outcome::of(count, true).is_failure());
    }
}
