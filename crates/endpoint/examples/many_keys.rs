//! An endpoint with as many keys as one asks for: what `bench/listing.py` measures listings against.
//! Not here: measuring.
//! Called as `many_keys KEYS FOLDERS DELAY_MS`; ends with its standard input.

use std::io::{Read, Write};
use std::time::Duration;

use tapline_endpoint::{Endpoint, Fault};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [keys, folders, delay] = numbers.as_slice() else { return Err("many_keys KEYS FOLDERS DELAY_MS".into()) };
    let endpoint = Endpoint::builder().bucket("lake").start().await?;
    for key in 0..*keys {
        endpoint.put("lake", &format!("exports/folder={:04}/{key:08}.csv", key % (*folders).max(1)), "id\n1\n")?;
    }
    if *delay > 0 {
        endpoint.inject(Fault::delay(Duration::from_millis(*delay)).always());
    }
    let key = endpoint.access_key();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{} {} {}", endpoint.url(), key.id, key.secret)?;
    stdout.flush()?;
    // Each line asks for the requests since the last one.
    let mut stdin = std::io::stdin();
    let mut byte = [0];
    while stdin.read(&mut byte)? > 0 {
        writeln!(stdout, "{}", endpoint.requests().len())?;
        stdout.flush()?;
        endpoint.clear_requests();
    }
    Ok(())
}
