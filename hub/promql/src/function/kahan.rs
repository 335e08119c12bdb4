//! A sum that keeps what rounding drops (Kahan's, as Neumaier improved it). The `*_over_time` functions and the regression use it,
//! with the same order of operations as Prometheus, so that both round alike. The aggregations over series (`sum`, `avg`) do not.
//! Not a sum over what may be infinite without care: the dropped part of an infinite sum is NaN, so [`Sum::total`] leaves it out.

/// `1e16 + 1 - 1e16` is 1 here, and 0 with plain addition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    value: f64,
    dropped: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, increment: f64) {
        let next = self.value + increment;
        // The smaller of the two lost its low digits.
        self.dropped += if self.value.abs() >= increment.abs() {
            (self.value - next) + increment
        } else {
            (increment - next) + self.value
        };
        self.value = next;
    }

    /// The sum without what rounding dropped.
    pub(crate) fn value(self) -> f64 {
        self.value
    }

    /// The sum with what rounding dropped, whatever the two are: NaN as soon as an infinity was added.
    pub(crate) fn exact(self) -> f64 {
        self.value + self.dropped
    }

    /// The sum with what rounding dropped; an infinite sum stays infinite.
    pub(crate) fn total(self) -> f64 {
        if self.value.is_infinite() { self.value } else { self.exact() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> Sum {
        let mut sum = Sum::default();
        for value in values {
            sum.add(*value);
        }
        sum
    }

    #[test]
    fn small_terms_survive_large_ones() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]).total(), 1.0);
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]).total(), 2.0);
    }

    #[test]
    fn an_infinite_sum_stays_infinite() {
        assert_eq!(sum(&[1.0, f64::INFINITY, 2.0]).total(), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).total().is_nan());
    }
}
