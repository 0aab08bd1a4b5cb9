//! How often somebody may try to sign in: some times at once, then ever more slowly.
//! Not here: the clock; time is always an argument.
//! Called by the routes that take passwords and codes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failed attempts for one account that nobody has to wait after.
const FREE_FOR_ACCOUNT: u32 = 5;
/// Failed attempts from one address that nobody has to wait after: behind it may be a whole office.
const FREE_FOR_ADDRESS: u32 = 30;
/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// After so long without an attempt, those before are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Accounts and addresses that are remembered.
const MOST_REMEMBERED: usize = 20_000;

/// Attempts to sign in, by account and by address.
#[derive(Debug, Default)]
pub struct Throttle {
    attempts: Mutex<HashMap<Subject, Attempts>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Account(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// Begins an attempt, which counts as failed until it has [`succeeded`](Self::succeeded): many at once are no way
    /// around the limit.
    ///
    /// # Errors
    /// How long to wait before the next attempt.
    pub(crate) fn begin(&self, account: &str, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let subjects = subjects(account, address);
        let mut attempts = self.attempts.lock();
        let wait = subjects.iter().filter_map(|subject| attempts.get(subject)?.wait(subject.free(), now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        if attempts.len() >= MOST_REMEMBERED {
            forget(&mut attempts, now);
        }
        for subject in subjects {
            let entry = attempts.entry(subject).or_insert(Attempts { count: 0, last: now });
            let before = if entry.is_forgotten(now) { 0 } else { entry.count };
            *entry = Attempts { count: before.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// The attempt that was begun last for this account was right. What the address tried for other accounts still counts.
    pub(crate) fn succeeded(&self, account: &str, address: Option<IpAddr>) {
        let mut attempts = self.attempts.lock();
        for subject in subjects(account, address) {
            match subject {
                Subject::Account(_) => _ = attempts.remove(&subject),
                Subject::Address(_) => {
                    if let Some(entry) = attempts.get_mut(&subject) {
                        entry.count = entry.count.saturating_sub(1);
                    }
                }
            }
        }
    }
}

impl Subject {
    fn free(&self) -> u32 {
        match self {
            Self::Account(_) => FREE_FOR_ACCOUNT,
            Self::Address(_) => FREE_FOR_ADDRESS,
        }
    }
}

impl Attempts {
    fn is_forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGOTTEN
    }

    /// How long to wait from `now`, where one has to.
    fn wait(self, free: u32, now: Instant) -> Option<Duration> {
        let doubled = self.count.checked_sub(free)?;
        let wait = 2_u32.checked_pow(doubled).map_or(LONGEST_WAIT, |factor| FIRST_WAIT.saturating_mul(factor));
        let left = wait.min(LONGEST_WAIT).checked_sub(now.saturating_duration_since(self.last))?;
        (!left.is_zero()).then_some(left)
    }
}

fn subjects(account: &str, address: Option<IpAddr>) -> Vec<Subject> {
    let account = Subject::Account(account.to_lowercase());
    std::iter::once(account).chain(address.map(network).map(Subject::Address)).collect()
}

/// An IPv6 client has a whole network of addresses to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Makes room: for those who tried lately the limit holds on.
fn forget(attempts: &mut HashMap<Subject, Attempts>, now: Instant) {
    attempts.retain(|_, entry| !entry.is_forgotten(now));
    if attempts.len() >= MOST_REMEMBERED {
        let mut moments: Vec<Instant> = attempts.values().map(|entry| entry.last).collect();
        let (_, median, _) = moments.select_nth_unstable(MOST_REMEMBERED / 2);
        let median = *median;
        attempts.retain(|_, entry| entry.last > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, 1]))
    }

    #[test]
    fn after_some_failures_each_takes_longer() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        for _ in 0..FREE_FOR_ACCOUNT {
            throttle.begin("ada@example.com", None, now).unwrap();
        }
        for expected in [10, 20, 40, 80, 160, 320, 640, 900, 900] {
            let expected = Duration::from_secs(expected);
            assert_eq!(throttle.begin("ADA@example.com", None, now), Err(expected));
            now += expected;
            throttle.begin("ada@example.com", None, now).unwrap();
        }
        assert!(throttle.begin("bob@example.com", None, now).is_ok(), "others do not wait");
        now += FORGOTTEN;
        for _ in 0..FREE_FOR_ACCOUNT {
            throttle.begin("ada@example.com", None, now).unwrap();
        }
    }

    #[test]
    fn a_success_forgets_the_failures_of_the_account() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..100 {
            throttle.begin("ada@example.com", home(), now).unwrap();
            throttle.succeeded("ada@example.com", home());
        }
    }

    #[test]
    fn an_address_that_tries_many_accounts_has_to_wait() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for account in 0..FREE_FOR_ADDRESS {
            throttle.begin(&format!("user{account}@example.com"), home(), now).unwrap();
        }
        assert!(throttle.begin("new@example.com", home(), now).is_err());
        assert!(throttle.begin("new@example.com", Some(IpAddr::from([192, 0, 2, 2])), now).is_ok());
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let neighbour = |last: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]));
        for account in 0..30 {
            throttle.begin(&format!("user{account}@example.com"), neighbour(account), now).unwrap();
        }
        assert!(throttle.begin("new@example.com", neighbour(99), now).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for account in 0..u32::try_from(MOST_REMEMBERED).unwrap() + 10 {
            throttle.begin(&account.to_string(), None, start + Duration::from_millis(u64::from(account))).unwrap();
        }
        assert!(throttle.attempts.lock().len() <= MOST_REMEMBERED);
    }
}
