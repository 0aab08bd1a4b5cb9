//! A digest of numbers that tells about where their quantiles lie: the t-digest, with the same answers as DuckDB's.
//! Not here: exact quantiles (`quantiles`).
//! Called by `quantiles`.

use std::f64::consts::PI;

/// How finely the numbers are told apart.
const COMPRESSION: f64 = 100.0;
/// How many numbers wait before they are taken in.
const MOST_WAITING: usize = 800;
/// How many clusters there are before they are joined again.
const MOST_CLUSTERS: usize = 200;

/// Numbers that lie close together, as one.
#[derive(Debug, Clone, Copy)]
struct Cluster {
    mean: f64,
    weight: f64,
}

/// Clusters of numbers, small ones at both ends.
#[derive(Debug, Default)]
pub(super) struct Digest {
    clusters: Vec<Cluster>,
    waiting: Vec<Cluster>,
    weight: f64,
    /// The ends of the range that the clusters cover.
    ends: Option<(f64, f64)>,
}

/// Where a share of the numbers lies on the scale by which clusters are bounded.
fn location(share: f64) -> f64 {
    COMPRESSION * ((2.0 * share - 1.0).asin() + PI / 2.0) / PI
}

/// The share of the numbers below a place on that scale.
fn share_below(location: f64) -> f64 {
    ((location.min(COMPRESSION) * PI / COMPRESSION - PI / 2.0).sin() + 1.0) / 2.0
}

impl Digest {
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut digest = Self::default();
        for mean in numbers {
            digest.waiting.push(Cluster { mean, weight: 1.0 });
            if digest.clusters.len() > MOST_CLUSTERS || digest.waiting.len() > MOST_WAITING {
                digest.take_in();
            }
        }
        digest.take_in();
        digest
    }

    /// Joins what waits with the clusters that are there.
    fn take_in(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.weight += self.waiting.iter().map(|cluster| cluster.weight).sum::<f64>();
        self.waiting.append(&mut self.clusters);
        self.waiting.sort_by(|left, right| left.mean.total_cmp(&right.mean));
        let (mut below, mut limit) = (0.0, self.weight * share_below(1.0));
        for next in self.waiting.drain(..) {
            match self.clusters.last_mut() {
                Some(last) if below + next.weight <= limit => {
                    last.weight += next.weight;
                    last.mean += next.weight * (next.mean - last.mean) / last.weight;
                }
                last => {
                    if last.is_some() {
                        limit = self.weight * share_below(location(below / self.weight) + 1.0);
                    }
                    self.clusters.push(next);
                }
            }
            below += next.weight;
        }
        if let (Some(first), Some(last)) = (self.clusters.first(), self.clusters.last()) {
            let (low, high) = self.ends.unwrap_or((first.mean, last.mean));
            self.ends = Some((low.min(first.mean), high.max(last.mean)));
        }
    }

    /// The number below which a share of all lies; `None` where there are none.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let (low, high) = self.ends?;
        let (first, last) = (self.clusters.first()?, self.clusters.last()?);
        if self.clusters.len() == 1 {
            return Some(first.mean);
        }
        let place = share * self.weight;
        if place <= first.weight / 2.0 {
            return Some(low + 2.0 * place / first.weight * (first.mean - low));
        }
        let mut before = 0.0;
        let mut left: Option<(f64, Cluster)> = None;
        for right in &self.clusters {
            let middle = before + right.weight / 2.0;
            if middle >= place
                && let Some((start, left)) = left
            {
                return Some(mean(left.mean, middle - place, right.mean, place - start));
            }
            left = Some((middle, *right));
            before += right.weight;
        }
        let beyond = place - self.weight - last.weight / 2.0;
        Some(mean(last.mean, beyond, high, last.weight / 2.0 - beyond))
    }
}

/// The weighted mean of two numbers, which lies between them.
fn mean(one: f64, weight: f64, other: f64, other_weight: f64) -> f64 {
    let mean = (one * weight + other * other_weight) / (weight + other_weight);
    mean.min(one.max(other)).max(one.min(other))
}
