//! An endpoint in a process of its own, with as many keys and as slow as one asks for: what scripts in `bench/` measure against.
//! Not here: measuring.
//! Called as `lake KEYS FOLDERS DELAY_MS [FOLDER]`: so many small keys in so many folders, and the files of a folder below
//! `files/`. Prints its address, key and secret; for each byte of standard input, requests and bytes since the last one;
//! ends with its standard input.

use std::io::{Read, Write};
use std::time::Duration;

use tapline_endpoint::{Endpoint, Fault};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [keys, folders, delay, folder @ ..] = words.as_slice() else {
        return Err("lake KEYS FOLDERS DELAY_MS [FOLDER]".into());
    };
    let (keys, folders, delay): (u64, u64, u64) = (keys.parse()?, folders.parse()?, delay.parse()?);
    let endpoint = Endpoint::builder().bucket("lake").start().await?;
    for key in 0..keys {
        endpoint.put("lake", &format!("exports/folder={:04}/{key:08}.csv", key % folders.max(1)), "id\n1\n")?;
    }
    if let [folder] = folder {
        endpoint.upload_dir("lake", "files", folder)?;
    }
    if delay > 0 {
        endpoint.inject(Fault::delay(Duration::from_millis(delay)).always());
    }
    let key = endpoint.access_key();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{} {} {}", endpoint.url(), key.id, key.secret)?;
    stdout.flush()?;
    let mut stdin = std::io::stdin();
    let mut byte = [0];
    while stdin.read(&mut byte)? > 0 {
        let requests = endpoint.requests();
        let bytes: u64 = requests.iter().map(|request| request.response_bytes).sum();
        writeln!(stdout, "{} {bytes}", requests.len())?;
        stdout.flush()?;
        endpoint.clear_requests();
    }
    Ok(())
}
