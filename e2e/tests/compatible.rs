//! Servers that speak S3 and that nobody here wrote: moto, from PyPI, and whichever one the environment names, such as
//! Garage or MinIO.
//! Not here: what S3 itself does, which the endpoint of all other tests follows more closely.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use url::Url;

use crate::harness::{World, customers, skip, wait_until};

/// A running `moto_server`; ends with its owner.
struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts the program that `TAPLINE_TEST_MOTO` names, such as `venv/bin/moto_server`; `None` without it.
    fn start() -> Option<Self> {
        let program = PathBuf::from(std::env::var_os("TAPLINE_TEST_MOTO")?);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("moto accepts connections", || TcpStream::connect(address).is_ok());
        let moto = Self { process, address };
        moto.put("/lake", b"");
        Some(moto)
    }

    fn put(&self, path: &str, body: &[u8]) {
        let mut connection = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A bucket on a server, and the keys to it.
struct Server {
    endpoint: String,
    bucket: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
}

impl Server {
    /// The one that `TAPLINE_TEST_S3` names, as in `http://KEY:SECRET@127.0.0.1:3900/bucket?region=garage`.
    fn of_environment() -> Option<Self> {
        let url = Url::parse(&std::env::var("TAPLINE_TEST_S3").ok()?).unwrap();
        let region = url.query_pairs().find(|(name, _)| name == "region").map(|(_, region)| region.into_owned());
        Some(Self {
            endpoint: url.origin().ascii_serialization(),
            bucket: url.path().trim_matches('/').to_owned(),
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            access_key_id: url.username().to_owned(),
            secret_access_key: url.password().unwrap().to_owned(),
        })
    }

    /// A source in the bucket, with a path of its own.
    fn source(&self, path: &str) -> String {
        let Self { endpoint, bucket, region, access_key_id, secret_access_key } = self;
        format!(
            "{{ type: s3, bucket: {bucket}, path: {path}, region: {region}, endpoint: \"{endpoint}\", auth: {{ type: iam_user, \
             access_key_id: \"{access_key_id}\", secret_access_key: \"{secret_access_key}\" }} }}"
        )
    }

    fn store(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(&self.secret_access_key)
            .build()
            .unwrap()
    }

    /// Puts files, and reads them as a source; the path is new to the bucket.
    fn is_read_as_s3_is(&self) {
        let world = World::new();
        let path = format!("tapline-{}", std::process::id());
        let mut files: Vec<(String, Vec<u8>)> =
            (0..1_100).map(|page| (format!("many/{page:04}.csv"), format!("id\n{page}\n").into_bytes())).collect();
        files.push(("people.parquet".to_owned(), customers(1, 2_000).parquet()));
        files.push(("a b+c=é.csv".to_owned(), b"id,name\n1,x\n".to_vec()));
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let store = self.store();
            for (name, content) in files {
                store.put(&Path::parse(format!("{path}/{name}")).unwrap(), PutPayload::from(content)).await.unwrap();
            }
        });
        world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {} }}\n", self.source(&path)));
        world.tapline(&["check", "lake"]).exits(0);
        let root = format!("s3://{}/{path}", self.bucket);
        for (table, expected) in [
            (format!("'{root}/many/*.csv'"), "1100,604450"),
            (format!("'{root}/many'"), "1100,604450"),
            (format!("'{root}/people.parquet'"), "2000,2001000"),
            (format!("'{root}/a b+c=é.csv'"), "1,1"),
        ] {
            let sql = format!("SELECT count(*) AS n, sum(id) AS s FROM {table}");
            let outcome = world.tapline(&["query", "lake", &sql, "--format", "csv"]).exits(0);
            assert_eq!(outcome.stdout, format!("n,s\n{expected}\n"), "{outcome}");
        }
        world.tapline(&["query", "lake", &format!("SELECT * FROM '{root}/none.csv'")]).fails(1, "S3-007");
        let document = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
        let names: Vec<_> = document["streams"].as_array().unwrap().iter().map(|stream| &stream["name"]).collect();
        assert_eq!(names, ["a b+c=é", "many", "people"], "{document}");
        let absent = self.source(&path).replace(&format!("bucket: {},", self.bucket), "bucket: tapline-absent,");
        world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {absent} }}\n"));
        let checked = world.tapline(&["check", "lake", "--format", "json"]).exits(1);
        assert!(checked.stdout.contains("S3-00"), "{checked}");
    }
}

#[test]
fn a_server_of_the_environment_is_read_as_s3_is() {
    match Server::of_environment() {
        Some(server) => server.is_read_as_s3_is(),
        None => skip(1, "TAPLINE_TEST_S3 does not name a bucket of a server"),
    }
}

#[test]
fn moto_is_read_as_s3_is() {
    let Some(moto) = Moto::start() else { return skip(1, "TAPLINE_TEST_MOTO does not name a moto_server") };
    let server = Server {
        endpoint: format!("http://{}", moto.address),
        bucket: "lake".to_owned(),
        region: "us-east-1".to_owned(),
        access_key_id: "AKIATEST".to_owned(),
        secret_access_key: "secret".to_owned(),
    };
    server.is_read_as_s3_is();
    // A role as well, whose external id moto takes unchecked.
    let world = World::new();
    moto.put("/lake/crm/people.csv", b"id\n1\n");
    let role = "type: iam_role, role_arn: \"arn:aws:iam::123456789012:role/lake-reader\", external_id: abc";
    let source = server.source("crm").replace(
        "auth: { type: iam_user,",
        &format!("sts_endpoint: \"{}\", auth: {{ {role}, base: {{ type: iam_user,", server.endpoint),
    );
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }} }}\n"));
    world.tapline(&["check", "lake"]).exits(0);
    let outcome =
        world.tapline(&["query", "lake", "SELECT id FROM 's3://lake/crm/people.csv'", "--format", "csv"]).exits(0);
    assert_eq!(outcome.stdout, "id\n1\n", "{outcome}");
}
