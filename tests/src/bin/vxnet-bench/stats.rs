//! Medians, and ratios of figures of the same round: only those mean something on a busy machine.

/// The median of `figures`; of an even number, the mean of the middle two.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Which way a figure is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// The ratios of the rounds in which both sides have a figure; above 1 is good for `ours`.
pub(crate) fn ratios(ours: &[Option<f64>], theirs: &[Option<f64>], better: Better) -> Vec<f64> {
    let pairs = ours.iter().zip(theirs);
    pairs
        .filter_map(|(ours, theirs)| Some(((*ours)?, (*theirs)?)))
        .map(|(ours, theirs)| match better {
            Better::Higher => (ours, theirs),
            Better::Lower => (theirs, ours),
        })
        // Nothing at all on our side is a ratio of 0, not a missing one.
        .filter(|(_, divisor)| *divisor > 0.0)
        .map(|(figure, divisor)| figure / divisor)
        .collect()
}

/// Median, smallest and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) count: usize,
}

impl Spread {
    pub(crate) fn of(figures: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(figures)?,
            least: figures.iter().copied().fold(f64::INFINITY, f64::min),
            most: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            count: figures.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_paired_and_leave_out_half_rounds() {
        let ours = [Some(2.0), None, Some(9.0), Some(4.0)];
        let theirs = [Some(1.0), Some(1.0), None, Some(8.0)];
        assert_eq!(ratios(&ours, &theirs, Better::Higher), [2.0, 0.5]);
        assert_eq!(ratios(&ours, &theirs, Better::Lower), [0.5, 2.0]);
    }

    #[test]
    fn a_ratio_above_one_is_good_for_us() {
        let better = ratios(&[Some(80.0)], &[Some(120.0)], Better::Lower);
        assert!(better[0] > 1.0);
    }

    #[test]
    fn who_carries_nothing_has_a_ratio_of_0() {
        assert_eq!(ratios(&[Some(0.0)], &[Some(9.0)], Better::Higher), [0.0]);
        assert_eq!(
            ratios(&[Some(9.0)], &[Some(0.0)], Better::Higher),
            [] as [f64; 0]
        );
    }

    #[test]
    fn a_spread_needs_a_figure() {
        assert_eq!(Spread::of(&[]), None);
        let spread = Spread::of(&[1.0, 3.0, 2.0]).expect("there are figures");
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.0, 3.0));
    }
}
