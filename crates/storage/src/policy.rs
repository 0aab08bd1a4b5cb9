//! The least that a source needs in AWS, as policy documents to paste into IAM.
//! Not here: judging policies; that is AWS's business.
//! Called by `tapline policy`.

use serde_json::{Value, json};

use crate::config::{Auth, S3SourceConfig};
use crate::partition::Partition;

/// The permissions of whoever reads the source: objects below its path, and listing them.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>.
pub fn permission_policy(config: &S3SourceConfig) -> Value {
    let partition = partition(config).name();
    let bucket = format!("arn:{partition}:s3:::{}", config.bucket);
    let path = literal(&config.path);
    let (objects, listing) = if config.path.is_empty() {
        (json!([format!("{bucket}/*")]), json!({}))
    } else {
        (
            json!([format!("{bucket}/{path}"), format!("{bucket}/{path}/*")]),
            json!({ "Condition": { "StringLike": { "s3:prefix": [path, format!("{path}/*")] } } }),
        )
    };
    let mut list = json!({ "Sid": "ListFiles", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket });
    if let (Some(list), Value::Object(condition)) = (list.as_object_mut(), listing) {
        list.extend(condition);
    }
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Sid": "ReadFiles", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": objects },
            list,
        ],
    })
}

/// Who may assume the source's role, and with which external id; `None` for a source without a role.
///
/// `principal` is the ARN of the base identity. That of a session is replaced by its role's: sessions come and go, and a
/// policy that names one would stop working with it.
pub fn trust_policy(config: &S3SourceConfig, principal: &str) -> Option<Value> {
    let Auth::IamRole { external_id, .. } = &config.auth else { return None };
    let mut statement = json!({
        "Sid": "AssumeWithExternalId",
        "Effect": "Allow",
        "Principal": { "AWS": durable(principal) },
        "Action": "sts:AssumeRole",
    });
    if let (Some(statement), Some(id)) = (statement.as_object_mut(), external_id) {
        statement.insert("Condition".to_owned(), json!({ "StringEquals": { "sts:ExternalId": id } }));
    }
    Some(json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

/// The role behind `arn:aws:sts::123456789012:assumed-role/name/session`; any other ARN as it is.
fn durable(principal: &str) -> String {
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "sts", _, account, resource] => match resource.strip_prefix("assumed-role/") {
            Some(session) => {
                let role = session.split('/').next().unwrap_or_default();
                format!("arn:{partition}:iam::{account}:role/{role}")
            }
            None => principal.to_owned(),
        },
        _ => principal.to_owned(),
    }
}

/// `*`, `?` and `$` have meanings in policies, see
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars>.
fn literal(path: &str) -> String {
    path.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}")
}

fn partition(config: &S3SourceConfig) -> Partition {
    let of_role = match &config.auth {
        Auth::IamRole { role_arn, .. } => Partition::of_arn(role_arn),
        _ => None,
    };
    of_role.or_else(|| config.region.as_deref().map(Partition::of_region)).unwrap_or(Partition::Standard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(region: &str, path: &str) -> S3SourceConfig {
        S3SourceConfig { region: Some(region.to_owned()), path: path.to_owned(), ..S3SourceConfig::ambient("lake") }
    }

    #[test]
    fn permissions_end_at_the_path() {
        assert_eq!(
            permission_policy(&config("eu-west-1", "exports/crm")),
            json!({
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "ReadFiles", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                        "Resource": ["arn:aws:s3:::lake/exports/crm", "arn:aws:s3:::lake/exports/crm/*"],
                    },
                    {
                        "Sid": "ListFiles", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
                        "Condition": { "StringLike": { "s3:prefix": ["exports/crm", "exports/crm/*"] } },
                    },
                ],
            })
        );
    }

    #[test]
    fn partitions() {
        for (region, expected) in
            [("cn-north-1", "arn:aws-cn:s3:::lake/*"), ("us-gov-east-1", "arn:aws-us-gov:s3:::lake/*")]
        {
            let policy = permission_policy(&config(region, ""));
            assert_eq!(policy["Statement"][0]["Resource"][0], expected);
            assert_eq!(policy["Statement"][1].get("Condition"), None);
        }
    }

    #[test]
    fn wildcards_of_policies_in_paths_are_literal() {
        let policy = permission_policy(&config("eu-west-1", "a*b"));
        assert_eq!(policy["Statement"][0]["Resource"][0], "arn:aws:s3:::lake/a${*}b");
    }

    #[test]
    fn trust_is_given_to_what_lasts() {
        let auth = Auth::IamRole {
            role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
            external_id: Some("0b9a".to_owned()),
            base: Box::new(Auth::Default),
            duration: None,
        };
        let config = S3SourceConfig { auth, ..config("eu-west-1", "") };
        for (principal, expected) in [
            ("arn:aws:sts::123456789012:assumed-role/web/i-0abc", "arn:aws:iam::123456789012:role/web"),
            ("arn:aws:iam::123456789012:user/me", "arn:aws:iam::123456789012:user/me"),
        ] {
            let policy = trust_policy(&config, principal).expect("a role");
            assert_eq!(policy["Statement"][0]["Principal"]["AWS"], expected);
            assert_eq!(policy["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "0b9a");
        }
        assert_eq!(trust_policy(&S3SourceConfig { auth: Auth::Default, ..config }, "x"), None);
    }
}
