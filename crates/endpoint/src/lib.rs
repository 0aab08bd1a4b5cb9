//! An S3 and STS endpoint that runs inside a process, over real HTTP and with verified signatures.
//! Not here: any client; what reads from S3 is in `tapline-storage`.
//! Called by `tapline demo` and by the tests of every crate that talks to S3.
//!
//! ```no_run
//! # async fn run() -> Result<(), tapline_endpoint::EndpointError> {
//! use tapline_endpoint::{Endpoint, Fault, Operation};
//!
//! let endpoint = Endpoint::builder().bucket("lake").start().await?;
//! endpoint.put("lake", "crm/customers.csv", "id,name\n1,Ada\n")?;
//! endpoint.inject(Fault::slow_down().on(Operation::GetObject).times(2));
//! println!("{} {:?}", endpoint.url(), endpoint.access_key());
//! # Ok(())
//! # }
//! ```

mod access;
mod call;
mod content;
mod endpoint;
mod fault;
mod policy;
mod requests;
mod s3;
mod server;
mod store;
mod sts;
mod xml;

pub use access::{AccessKey, Role, User};
pub use call::Operation;
pub use endpoint::{Bucket, Endpoint, EndpointBuilder, EndpointError};
pub use fault::{Fault, InjectedFault};
pub use policy::Policy;
pub use requests::Request;
