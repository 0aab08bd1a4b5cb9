//! Conditional requests: `If-Match` and its relatives, for reads and writes.
//! Not here: finding the object that the conditions are about (`objects`, `uploads`).
//! Called by the operations of `objects` and `uploads`.

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::no_such_key;
use crate::store::Object;

/// The conditional headers of a read, see <https://www.rfc-editor.org/rfc/rfc9110.html#section-13>.
pub(super) struct ReadConditions<'a> {
    pub if_match: Option<&'a ETagCondition>,
    pub if_none_match: Option<&'a ETagCondition>,
    pub if_modified_since: Option<&'a Timestamp>,
    pub if_unmodified_since: Option<&'a Timestamp>,
}

impl ReadConditions<'_> {
    /// In the order of the RFC: a condition on the ETag makes the one on the time beside it void.
    pub fn check(&self, object: &Object) -> S3Result {
        let modified = Timestamp::from(object.last_modified);
        let holds = match (self.if_match, self.if_unmodified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(time)) => modified <= *time,
            (None, None) => true,
        };
        if !holds {
            return Err(precondition_failed());
        }
        let fresh = match (self.if_none_match, self.if_modified_since) {
            (Some(condition), _) => !matches(condition, object),
            (None, Some(time)) => modified > *time,
            (None, None) => true,
        };
        if fresh { Ok(()) } else { Err(s3_error!(NotModified)) }
    }
}

/// The conditions of a write on what the key holds now, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
pub(super) fn check_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    present: Option<&Object>,
) -> S3Result {
    match (if_match, if_none_match, present) {
        (Some(_), _, None) => Err(no_such_key()),
        (Some(condition), _, Some(object)) if !matches(condition, object) => Err(precondition_failed()),
        (_, Some(condition), Some(object)) if matches(condition, object) => Err(precondition_failed()),
        _ => Ok(()),
    }
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag: &ETag| etag.value() == object.etag)
}

fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
