//! Samples and what is told of them.

/// Measured times, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    samples: Vec<u32>,
}

impl Times {
    pub(crate) fn add(&mut self, micros: u64) {
        self.samples.push(u32::try_from(micros).unwrap_or(u32::MAX));
    }

    /// The value below which `share` of all lie, in milliseconds; none without samples.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().checked_sub(1)?);
        Some(f64::from(sorted[at]) / 1e3)
    }

    /// The longest, in milliseconds.
    pub(crate) fn worst(&self) -> Option<f64> {
        self.quantile(1.0)
    }
}

/// The median, of an even number the upper one; 0 of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_one_of_them() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!(median(std::iter::empty()).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_samples() {
        let mut times = Times::default();
        assert_eq!(times.worst(), None);
        for micros in (1..=100).rev() {
            times.add(micros * 1_000);
        }
        assert_eq!((times.quantile(0.5), times.quantile(0.99), times.worst()), (Some(51.0), Some(100.0), Some(100.0)));
    }
}
