//! A database that goes away in the middle of a run and comes back: the run waits, begins again, and ends right.
//! Not here: a database that was never there (`failures`).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tapline_endpoint::{Fault, Operation};

use crate::harness::{Database, Delivery, Format, Target, World, customers, skip, wait_until};

/// A way to a server that can be cut and mended.
struct Line {
    port: u16,
    open: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self {
            port: listener.local_addr().unwrap().port(),
            open: Arc::new(AtomicBool::new(true)),
            connections: Arc::default(),
        };
        let (open, connections) = (Arc::clone(&line.open), Arc::clone(&line.connections));
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let mut connections = connections.lock().unwrap();
                connections.extend([client.try_clone().unwrap(), upstream.try_clone().unwrap()]);
                let (client_2, upstream_2) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                std::thread::spawn(move || pass(client, upstream));
                std::thread::spawn(move || pass(upstream_2, client_2));
            }
        });
        line
    }

    fn cut(&self) {
        self.open.store(false, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// A world whose database is reached by a line; `None` where there is no database to test with.
fn world(delivery: Delivery<'_>) -> Option<(World, Target, Line)> {
    let Some(database) = Database::create() else {
        skip(1, "TAPLINE_TEST_POSTGRES_URL is not set");
        return None;
    };
    let mut url = url::Url::parse(&database.url()).unwrap();
    let line = Line::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()));
    url.set_port(Some(line.port)).unwrap();
    let target = Target::Postgres(database);
    let world = World::new();
    world.deliver(&target, delivery);
    let project = std::fs::read_to_string(world.folder().join("tapline.yaml")).unwrap();
    let Target::Postgres(database) = &target else { unreachable!("made above") };
    world.write("tapline.yaml", &project.replace(&database.url(), url.as_str()));
    Some((world, target, line))
}

/// The outage itself is what takes its time.
fn stays_away(duration: Duration) {
    let since = Instant::now();
    wait_until("the end of the outage", || since.elapsed() >= duration);
}

const SQL: &str = "SELECT * FROM 's3://lake/customers.parquet'";

#[test]
fn a_run_waits_for_a_database_that_was_there() {
    let Some((world, target, line)) = world(Delivery { sql: SQL, options: "write: insert", ..Delivery::default() })
    else {
        return;
    };
    world.put("customers.parquet", customers(1, 500).file(Format::Parquet));
    // Reading takes long enough for the line to be cut meanwhile.
    let slow = world.endpoint.inject(Fault::delay(Duration::from_millis(1_500)).on(Operation::GetObject).always());
    let arguments = ["sync", "rows", "--format", "json"];
    let child = world.start(&arguments);
    wait_until("the run to read", || slow.hits() > 0);
    line.cut();
    slow.remove();
    stays_away(Duration::from_secs(7));
    line.mend();
    let run = crate::harness::Run::new(world.wait(child, &arguments));
    run.ended(0, "succeeded").counted(&[("read", 500), ("inserted", 500)]);
    target.holds("customers", &customers(1, 500));
    world.sync().ended(0, "unchanged");
}

#[test]
fn a_line_that_is_cut_at_any_moment_loses_and_doubles_nothing() {
    const ROWS: i64 = 20_000;
    let Some((world, target, line)) = world(Delivery { sql: SQL, options: "write: insert", ..Delivery::default() })
    else {
        return;
    };
    let mut delivered = 0;
    for (round, milliseconds) in (1_i64..).zip([40, 120, 200, 280, 360, 440, 520, 600]) {
        world.put("customers.parquet", customers(1, ROWS * round).file(Format::Parquet));
        let arguments = ["sync", "rows", "--format", "json"];
        let mut child = world.start(&arguments);
        let started = Instant::now();
        let moment = Duration::from_millis(milliseconds);
        wait_until("the moment to cut", || started.elapsed() >= moment || child.try_wait().unwrap().is_some());
        line.cut();
        stays_away(Duration::from_millis(400));
        line.mend();
        // Whatever was cut, nothing of it is refused as if somebody else had written it.
        crate::harness::Run::new(world.wait(child, &arguments)).ended(0, "succeeded");
        delivered = ROWS * round;
        assert_eq!(target.value("SELECT count(*) FROM customers"), delivered.to_string(), "round {round}");
        world.sync().ended(0, "unchanged");
    }
    target.holds("customers", &customers(1, delivered));
}
