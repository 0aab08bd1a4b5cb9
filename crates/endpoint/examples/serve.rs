//! Serves the files of a folder as an S3 bucket, for benchmarks: `serve BUCKET FOLDER`.
//! Not here: anything that changes the bucket but `put KEY FILE` on stdin, which replaces an object.
//! Called by the scripts in `bench/`. Ends with its stdin.

#![allow(clippy::print_stdout, reason = "stdout tells the address and the keys")]

use std::io::BufRead;

use tapline_endpoint::Endpoint;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bucket, folder] = arguments.as_slice() else { return Err("serve BUCKET FOLDER".into()) };
    let endpoint = Endpoint::builder().bucket(bucket.as_str()).start().await?;
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
