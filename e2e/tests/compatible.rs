//! A server that speaks S3 and that nobody here wrote: moto, from PyPI.
//! Not here: what S3 itself does, which the endpoint of all other tests follows more closely.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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

#[test]
fn moto_is_read_as_s3_is() {
    let Some(moto) = Moto::start() else { return skip(1, "TAPLINE_TEST_MOTO does not name a moto_server") };
    let world = World::new();
    for page in 0..1_100 {
        moto.put(&format!("/lake/crm/many/{page:04}.csv"), format!("id\n{page}\n").as_bytes());
    }
    moto.put("/lake/crm/people.parquet", &customers(1, 2_000).parquet());
    moto.put("/lake/crm/a%20b%2Bc%3D%C3%A9.csv", b"id,name\n1,x\n");
    let url = format!("http://{}", moto.address);
    let user = "{ type: iam_user, access_key_id: AKIATEST, secret_access_key: secret }";
    let role = format!(
        "{{ type: iam_role, role_arn: \"arn:aws:iam::123456789012:role/lake-reader\", external_id: abc, base: {user} }}"
    );
    for auth in [user, &role] {
        let source = format!(
            "{{ type: s3, bucket: lake, path: crm, region: us-east-1, endpoint: \"{url}\", sts_endpoint: \"{url}\", auth: {auth} }}"
        );
        world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
        world.tapline(&["check", "lake"]).exits(0);
        for (table, expected) in [
            ("'s3://lake/crm/many/*.csv'", "1100,604450"),
            ("'s3://lake/crm/people.parquet'", "2000,2001000"),
            ("'s3://lake/crm/a b+c=é.csv'", "1,1"),
        ] {
            let sql = format!("SELECT count(*) AS n, sum(id) AS s FROM {table}");
            let outcome = world.tapline(&["query", "lake", &sql, "--format", "csv"]).exits(0);
            assert_eq!(outcome.stdout, format!("n,s\n{expected}\n"), "{outcome}");
        }
        let missing = world.tapline(&["query", "lake", "SELECT * FROM 's3://lake/crm/none.csv'"]);
        missing.fails(1, "S3-007");
    }
    let source = format!("{{ type: s3, bucket: absent, region: us-east-1, endpoint: \"{url}\", auth: {user} }}");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    let checked = world.tapline(&["check", "lake", "--format", "json"]).exits(1);
    assert!(checked.stdout.contains("S3-006"), "{checked}");
}
