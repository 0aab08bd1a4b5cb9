//! Sends parcels: several at once, again after what passes, in halves after a refusal.
//! Not here: where parcels come from, and what an answer means (see [`Carrier`]).
//! Called by writers that publish in many steps.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapline_core::{Answer, Code, Error, Op, Outcome, Result, RowId, RowOutcome, codes};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::retry::back_off;
use super::{Carried, Carrier, Pace, Parcel};

/// So long a service may ask for patience before the run is told.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long a sender that has to stop waits for answers to what is on its way.
const GRACE: Duration = Duration::from_secs(5);
/// So often a parcel may fail, with a growing wait in between, before its rows are to blame though the service is silent:
/// three minutes or so, after it has answered for others.
const MOST_ROUNDS: u32 = 12;

/// What bounds a sender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests at the same time.
    pub(crate) concurrency: usize,
    /// How often a request is repeated before its failure counts.
    pub(crate) retries: u32,
}

/// Sends the parcels of one run.
///
/// A refused parcel of n rows is sent again in halves until the row to blame stands alone: that takes at most
/// 2·log2(n)+1 requests for each such row.
pub(crate) struct Sender<C> {
    carrier: Arc<C>,
    pace: Arc<Pace>,
    limits: Limits,
    /// Parcels that are to be sent again, before new ones.
    queue: VecDeque<Waiting>,
    /// A new parcel that has to wait for those of another operation.
    next: Option<Parcel>,
    /// The operation of the newest parcel that was sent.
    op: Option<Op>,
    flight: JoinSet<(Waiting, Carried)>,
    stop: watch::Sender<bool>,
    /// Parcels that the service has answered for.
    answered: u64,
    /// Failures since the last answer.
    failures: usize,
}

/// A parcel, and what has happened to it.
struct Waiting {
    parcel: Parcel,
    /// How many parcels the service had answered for when this one, or the one it is a half of, failed.
    failed_at: Option<u64>,
    /// How often it has failed.
    rounds: u32,
}

impl Waiting {
    fn new(parcel: Parcel) -> Self {
        Self { parcel, failed_at: None, rounds: 0 }
    }
}

impl<C: Carrier> Sender<C> {
    /// Nothing is sent yet.
    pub(crate) fn new(carrier: C, pace: Arc<Pace>, limits: Limits) -> Self {
        Self {
            carrier: Arc::new(carrier),
            pace,
            limits,
            queue: VecDeque::new(),
            next: None,
            op: None,
            flight: JoinSet::new(),
            stop: watch::Sender::new(false),
            answered: 0,
            failures: 0,
        }
    }

    /// Sends on until there are more answers; `None` when every parcel of `source` has one. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// What the service cannot do now, or will not do at all; its parcel is kept.
    pub(crate) async fn advance(
        &mut self,
        source: &mut (dyn FnMut() -> Result<Option<Parcel>> + Send),
    ) -> Result<Option<Answer>> {
        if *self.stop.borrow() {
            return Err(Error::internal("a sender that was halted was asked to go on"));
        }
        loop {
            self.fill(source)?;
            let Some(joined) = self.flight.join_next().await else { return Ok(None) };
            let (waiting, carried) = joined.map_err(|error| Error::internal("sending a request").because(error))?;
            let answer = self.settle(waiting, carried)?;
            if !answer.is_empty() {
                return Ok(Some(answer));
            }
        }
    }

    /// Sends nothing more, waits a while for what is on its way, and returns the answers.
    pub(crate) async fn halt(&mut self) -> Answer {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + GRACE;
        let mut last = Answer::default();
        while let Ok(Some(joined)) = tokio::time::timeout_at(deadline, self.flight.join_next()).await {
            let Ok((waiting, carried)) = joined else { continue };
            if let Ok(answer) = self.settle(waiting, carried) {
                last.delivered.extend(answer.delivered);
                last.outcomes.extend(answer.outcomes);
            }
        }
        last
    }

    /// Starts as many requests as there may be.
    fn fill(&mut self, source: &mut (dyn FnMut() -> Result<Option<Parcel>> + Send)) -> Result<()> {
        while self.flight.len() < self.limits.concurrency {
            let answered = self.answered;
            let ready = self.queue.iter().position(|waiting| waiting.failed_at.is_none_or(|at| at < answered));
            if let Some(waiting) = ready.and_then(|place| self.queue.remove(place)) {
                self.start(waiting);
                continue;
            }
            if self.next.is_none() {
                self.next = source()?;
            }
            // What is deleted is gone before anything takes its place.
            let settled = self.flight.is_empty() && self.queue.is_empty();
            let free = settled || self.next.as_ref().is_some_and(|next| self.op == Some(next.kind.op));
            let waiting = match self.next.take_if(|_| free) {
                Some(parcel) => {
                    self.op = Some(parcel.kind.op);
                    Waiting::new(parcel)
                }
                // A parcel that failed waits for a sign of life; where nothing else is left, it is the one to ask for it.
                None if self.flight.is_empty() => match self.queue.pop_front() {
                    Some(waiting) => waiting,
                    None => return Ok(()),
                },
                None => return Ok(()),
            };
            self.start(waiting);
        }
        Ok(())
    }

    fn start(&mut self, waiting: Waiting) {
        let (carrier, pace, retries) = (Arc::clone(&self.carrier), Arc::clone(&self.pace), self.limits.retries);
        let stop = self.stop.subscribe();
        self.flight.spawn(async move {
            let carried = send(carrier.as_ref(), &pace, &waiting.parcel, retries, stop).await;
            (waiting, carried)
        });
    }

    /// What an answer says of the parcel's rows.
    fn settle(&mut self, mut waiting: Waiting, carried: Carried) -> Result<Answer> {
        match carried {
            Carried::Taken(outcomes) => {
                self.answered += 1;
                self.failures = 0;
                let refused: HashSet<RowId> = outcomes.iter().map(|outcome| outcome.row).collect();
                let mut answer = Answer { delivered: Vec::new(), outcomes };
                for row in waiting.parcel.rows.iter().filter(|row| !refused.contains(&row.id)) {
                    answer.deliver(row.id);
                }
                Ok(answer)
            }
            Carried::Refused { code, reason } => {
                self.answered += 1;
                self.failures = 0;
                Ok(self.blame(waiting, code, reason))
            }
            Carried::Throttled(_) => {
                self.queue.push_front(waiting);
                Ok(Answer::default())
            }
            Carried::Failed { error, by_rows } => {
                // The service has just answered for others: it is these rows that it cannot bear.
                let between = self.failures == 0 && waiting.failed_at.is_some_and(|at| at < self.answered);
                let too_often = self.answered > 0 && waiting.rounds >= MOST_ROUNDS;
                if by_rows && (between || too_often) {
                    let reason = format!("the service failed on it again and again: {}", error.message());
                    return Ok(self.blame(waiting, codes::ROW_002, reason));
                }
                self.failures += 1;
                if !by_rows {
                    self.queue.push_front(waiting);
                    return Err(error);
                }
                let alone = waiting.failed_at == Some(self.answered) && self.queue.is_empty();
                waiting.failed_at = Some(self.answered);
                waiting.rounds += 1;
                self.queue.push_back(waiting);
                let hopeless = alone || self.failures > self.limits.concurrency;
                if hopeless { Err(error) } else { Ok(Answer::default()) }
            }
            Carried::Stop(error) => {
                self.queue.push_front(waiting);
                Err(error)
            }
        }
    }

    /// Finds the row to blame: it is this one, or in one of the halves.
    fn blame(&mut self, waiting: Waiting, code: Code, reason: String) -> Answer {
        let Waiting { parcel: Parcel { kind, fields, mut rows }, failed_at, rounds } = waiting;
        if let [row] = rows.as_slice() {
            let outcome = RowOutcome { row: row.id, outcome: Outcome::Rejected { code, reason } };
            return Answer { delivered: Vec::new(), outcomes: vec![outcome] };
        }
        let second = rows.split_off(rows.len() / 2);
        for rows in [second, rows] {
            let parcel = Parcel { kind, fields: Arc::clone(&fields), rows };
            self.queue.push_front(Waiting { parcel, failed_at, rounds });
        }
        Answer::default()
    }
}

/// Sends a parcel until there is an answer that stays, or it is to stop: then it counts as not sent.
async fn send<C: Carrier>(
    carrier: &C,
    pace: &Pace,
    parcel: &Parcel,
    retries: u32,
    mut stop: watch::Receiver<bool>,
) -> Carried {
    let unsent = Carried::Throttled(None);
    let (mut repeated, mut throttled) = (0, 0);
    let mut since = None;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return unsent,
            () = pace.turn() => {}
        }
        let wait = match carrier.carry(parcel).await {
            Carried::Throttled(asked) => {
                let wait = asked.unwrap_or_else(|| back_off(throttled, rand::random()));
                throttled += 1;
                let began = *since.get_or_insert_with(Instant::now);
                if began.elapsed() + wait > PATIENCE {
                    let seconds = wait.as_secs();
                    let error = Error::new(codes::DEST_006, format!("the service asks to wait for {seconds} s"))
                        .hint("it takes fewer requests than come: set `rate_limit`, or run the sync later")
                        .retry_after(wait);
                    return Carried::Failed { error, by_rows: false };
                }
                pace.hold(Instant::now() + wait);
                continue;
            }
            Carried::Failed { error, .. } if repeated < retries => {
                tracing::debug!(error = %error.full_message(), "a request is repeated");
                back_off(repeated, rand::random())
            }
            carried => return carried,
        };
        repeated += 1;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return unsent,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use proptest::collection::hash_set;
    use proptest::prelude::*;

    use super::super::{Kind, Row};
    use super::*;

    /// A service that refuses every parcel with one of these rows in it, and fails on these.
    #[derive(Default)]
    struct Service {
        refused: HashSet<u32>,
        unbearable: HashSet<u32>,
        down: Mutex<usize>,
        requests: Mutex<Vec<Vec<u32>>>,
        most_at_once: Mutex<(usize, usize)>,
    }

    #[async_trait]
    impl Carrier for Arc<Service> {
        async fn carry(&self, parcel: &Parcel) -> Carried {
            let rows: Vec<u32> = parcel.rows.iter().map(|row| row.id.ordinal).collect();
            {
                let mut at_once = self.most_at_once.lock();
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            tokio::task::yield_now().await;
            self.most_at_once.lock().0 -= 1;
            self.requests.lock().push(rows.clone());
            let failed = |by_rows| Carried::Failed {
                error: Error::new(codes::DEST_006, "answered 500").retry_after(Duration::ZERO),
                by_rows,
            };
            let mut down = self.down.lock();
            if *down > 0 {
                *down -= 1;
                return failed(false);
            }
            if rows.iter().any(|row| self.unbearable.contains(row)) {
                return failed(true);
            }
            if rows.iter().any(|row| self.refused.contains(row)) {
                return Carried::Refused { code: codes::ROW_002, reason: "bad".to_owned() };
            }
            Carried::Taken(Vec::new())
        }
    }

    fn parcels(rows: u32, each: usize) -> VecDeque<Parcel> {
        let all: Vec<u32> = (0..rows).collect();
        let parcel = |ordinals: &[u32]| Parcel {
            kind: Kind { op: Op::Upsert, known: false },
            fields: Vec::new().into(),
            rows: ordinals.iter().map(|&ordinal| Row { id: RowId { seq: 0, ordinal }, cells: Vec::new() }).collect(),
        };
        all.chunks(each).map(parcel).collect()
    }

    /// Sends everything, starting again after what passes; the rows delivered and refused.
    async fn deliver(service: &Arc<Service>, rows: u32, each: usize, limits: Limits) -> (Vec<u32>, Vec<u32>) {
        let mut sender = Sender::new(Arc::clone(service), Arc::new(Pace::new(None)), limits);
        let mut source = parcels(rows, each);
        let (mut delivered, mut refused) = (Vec::new(), Vec::new());
        for _ in 0..10_000 {
            match sender.advance(&mut || Ok(source.pop_front())).await {
                Ok(None) => break,
                Ok(Some(answer)) => {
                    delivered.extend(answer.delivered.iter().flat_map(|range| range.first..range.first + range.rows));
                    refused.extend(answer.outcomes.iter().map(|outcome| outcome.row.ordinal));
                }
                Err(error) => assert_ne!(error.retry(), tapline_core::Retry::Never),
            }
        }
        delivered.sort_unstable();
        refused.sort_unstable();
        (delivered, refused)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn sorted(rows: &HashSet<u32>) -> Vec<u32> {
        let mut rows: Vec<u32> = rows.iter().copied().collect();
        rows.sort_unstable();
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_bad_row_costs_few_requests(bad in hash_set(0..1_000_u32, 0..8), concurrency in 1..5_usize) {
            const EACH: usize = 200;
            let service = Arc::new(Service { refused: bad.clone(), ..Service::default() });
            let limits = Limits { concurrency, retries: 0 };
            let (delivered, refused) = run(deliver(&service, 1_000, EACH, limits));
            prop_assert_eq!(refused, sorted(&bad));
            prop_assert_eq!(delivered, (0..1_000).filter(|row| !bad.contains(row)).collect::<Vec<_>>());
            let requests = service.requests.lock().len();
            let per_bad_row = 2 * EACH.next_power_of_two().ilog2() as usize + 1;
            prop_assert!(requests <= 5 + per_bad_row * bad.len(), "{} requests", requests);
            prop_assert!(service.most_at_once.lock().1 <= concurrency);
        }

        #[test]
        fn outages_lose_and_repeat_nothing(down in 0..40_usize, concurrency in 1..5_usize) {
            let service = Arc::new(Service { down: Mutex::new(down), ..Service::default() });
            let (delivered, refused) = run(deliver(&service, 20, 3, Limits { concurrency, retries: 0 }));
            prop_assert_eq!(refused, Vec::<u32>::new());
            prop_assert_eq!(delivered, (0..20).collect::<Vec<_>>());
            prop_assert_eq!(service.requests.lock().len(), 7 + down);
        }
    }

    #[test]
    fn a_row_that_the_service_cannot_bear_does_not_hold_up_the_others() {
        for concurrency in [1, 4] {
            for bad in [0, 17, 39] {
                let service = Arc::new(Service { unbearable: [bad].into(), ..Service::default() });
                let (delivered, refused) = run(deliver(&service, 40, 4, Limits { concurrency, retries: 0 }));
                assert_eq!(refused, [bad]);
                assert_eq!(delivered.len(), 39);
            }
        }
    }

    #[test]
    fn what_is_asked_to_stop_stops_and_tells_what_it_knows() {
        run(async {
            let service = Arc::new(Service::default());
            let pace = Arc::new(Pace::new(Some((1, Duration::from_secs(3_600)))));
            let mut sender = Sender::new(Arc::clone(&service), pace, Limits { concurrency: 3, retries: 0 });
            let mut source = parcels(10, 1);
            let first = sender.advance(&mut || Ok(source.pop_front())).await.unwrap().unwrap();
            assert_eq!(first.delivered.len(), 1);
            // The others wait for their turn, which is an hour away.
            assert!(sender.halt().await.is_empty());
            assert_eq!(service.requests.lock().len(), 1);
        });
    }
}
