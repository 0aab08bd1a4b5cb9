//! Serves the files of a folder as an S3 bucket: `serve BUCKET FOLDER [ROLE TRUST PERMISSIONS]`, where a role is named with
//! the files of its policies, and its bucket can be read through it alone.
//! Not here: anything that changes the bucket but `put KEY FILE` on stdin, which replaces an object.
//! Called by the scripts in `bench/` and by the browser tests in `web/e2e`. Ends with its stdin.

#![allow(clippy::print_stdout, reason = "stdout tells the address and the keys")]

use std::fs;
use std::io::BufRead;

use tapline_endpoint::{Endpoint, Policy, Role, User};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bucket, folder, role @ ..] = arguments.as_slice() else {
        return Err("serve BUCKET FOLDER [ROLE TRUST PERMISSIONS]".into());
    };
    let mut builder = Endpoint::builder().bucket(bucket.as_str());
    if let [role, trust, permissions] = role {
        let assume = Policy::no_access().allow(&["sts:AssumeRole"], role);
        builder = builder
            .user(User::random().policy(assume))
            .role(Role::new(role, policy(trust)?).policy(policy(permissions)?));
    }
    let endpoint = builder.start().await?;
    endpoint.upload_dir(bucket, "", folder)?;
    let key = endpoint.access_key();
    println!("{} {} {}", endpoint.url(), key.id, key.secret);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let ["put", key, file] = line.split_whitespace().collect::<Vec<_>>().as_slice() {
            endpoint.put_file(bucket, key, file)?;
            println!("done");
        }
    }
    Ok(())
}

fn policy(file: &str) -> Result<Policy, Failure> {
    Ok(Policy::from_json(&fs::read_to_string(file)?)?)
}
