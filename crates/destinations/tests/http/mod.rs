//! The conformance suite on HTTP, and what a server must not be led to.

#[allow(dead_code, reason = "each test program uses another part of it")]
mod service;

use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use serde_json::Value;
use tapline_core::testing::delivering::{Counterpart, ServiceBench};
use tapline_core::{
    ChangeBatch, ConnectContext, Connector, Destination, ErasedConnector, Op, Owner, Refresh, Retry, StreamName, Target,
};
use tapline_destinations::http::Http;

use service::{Asked, Reply, Service};

tapline_core::delivering_conformance!(setup);

struct Place {
    service: Service,
    sent: Arc<Mutex<Vec<i64>>>,
}

fn connect(yaml: &str, context: &ConnectContext) -> Arc<dyn Destination> {
    let node = tapline_core::yaml::parse(yaml, "test").unwrap();
    assert_eq!(ErasedConnector::validate(&Http, &node).unwrap(), Vec::<String>::new());
    ErasedConnector::connect(&Http, &node, context).unwrap()
}

async fn setup() -> ServiceBench {
    let service = Service::start();
    let yaml = format!(
        "{{ url: '{0}/rows', allow_http: true, concurrency: 1, retries: 0, delete: {{ url: '{0}/rows/{{{{ id }}}}' }} }}",
        service.url
    );
    let destination = connect(&yaml, &ConnectContext::new("test", Path::new("/")));
    let place = Place { service, sent: Arc::default() };
    place.does(|_| Reply::status(200));
    ServiceBench { destination, counterpart: Box::new(place), guard: Box::new(()) }
}

fn id(asked: &Asked) -> i64 {
    match asked.path.strip_prefix("/rows/") {
        Some(id) => id.parse().unwrap(),
        None => asked.id(),
    }
}

impl Place {
    fn does(&self, mut behaviour: impl FnMut(&Asked) -> Reply + Send + 'static) {
        let sent = Arc::clone(&self.sent);
        self.service.does(move |asked| {
            sent.lock().unwrap().push(id(asked));
            behaviour(asked)
        });
    }
}

impl Counterpart for Place {
    fn sent(&self) -> Vec<i64> {
        self.sent.lock().unwrap().clone()
    }

    fn refuse_bad(&self) {
        self.does(|asked| {
            let bad = serde_json::from_str::<Value>(&asked.body).is_ok_and(|row| row["v"] == "bad");
            Reply::status(if bad { 422 } else { 200 })
        });
    }

    fn lock_after(&self, requests: usize) {
        let mut count = 0;
        self.does(move |_| {
            count += 1;
            Reply::status(if count > requests { 403 } else { 200 })
        });
    }

    fn fail_after(&self, requests: usize, times: usize) {
        let mut count = 0;
        self.does(move |_| {
            count += 1;
            if (requests + 1..=requests + times).contains(&count) { Reply::Close } else { Reply::status(200) }
        });
    }
}

fn target(schema: SchemaRef) -> Target {
    Target {
        stream: StreamName::parse("people").unwrap(),
        owner: Owner { store: "store".to_owned(), sync: "sync".to_owned() },
        generation: 1,
        schema,
        key: vec!["id".to_owned()],
        refresh: Refresh::Incremental,
        retractable: false,
        widen: false,
        max_reject_ratio: None,
    }
}

/// On behalf of other people, a server connects to nothing that only it can reach.
#[tokio::test]
async fn a_server_does_not_connect_to_private_addresses() {
    let service = Service::start();
    let port = service.url.rsplit(':').next().unwrap().to_owned();
    let hosted = ConnectContext::new("test", "/").hosted();
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "[::ffff:127.0.0.1]"] {
        let yaml = format!("{{ url: 'http://{host}:{port}/rows', allow_http: true }}");
        let destination = connect(&yaml, &hosted);
        let steps = destination.check().await;
        let last = steps.last().unwrap();
        assert_eq!((last.ok, last.code.as_deref()), (false, Some("DEST-001")), "{host}: {steps:?}");
        // Rows are not sent either, whether somebody has checked or not.
        let rows = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let mut writer = destination.open(target(rows.schema())).await.unwrap();
        writer.write(ChangeBatch { seq: 0, op: Op::Upsert, rows }).await.unwrap();
        let error = writer.deliver(&[1]).await.unwrap_err();
        assert_eq!((error.code().id, error.retry()), ("DEST-001", Retry::Never), "{host}: {error:?}");
    }
    assert_eq!(service.asked(), []);
    let yaml = format!("{{ url: 'http://localhost:{port}/rows', allow_http: true }}");
    let steps = connect(&yaml, &ConnectContext::new("test", "/")).check().await;
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
}

/// The name of a destination is no secret, and tells places apart.
#[test]
fn an_identity_tells_places_apart_and_no_secrets() {
    let identity = |url: &str| {
        let node = tapline_core::yaml::parse(&format!("url: {url}"), "test").unwrap();
        let config = tapline_core::yaml::from_node(&node).unwrap();
        Connector::connect(&Http, config, &ConnectContext::new("test", "/")).unwrap().identity()
    };
    let first = identity("https://api.example.com/hooks/s3cret?key=s3cret");
    assert!(first.contains("api.example.com") && !first.contains("s3cret"), "{first}");
    assert_eq!(first, identity("https://api.example.com/hooks/s3cret?key=other"));
    assert_ne!(first, identity("https://api.example.com/hooks/other"));
    assert_ne!(first, identity("https://api2.example.com/hooks/s3cret"));
}
