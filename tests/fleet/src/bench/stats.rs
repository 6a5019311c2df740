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

    pub(crate) const fn count(&self) -> usize {
        self.samples.len()
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

#[cfg(test)]
mod tests {
    use super::*;

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
