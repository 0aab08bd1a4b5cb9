//! What is wrong with the settings of a source, found without asking anybody.
//! Not here: settings that cannot be read at all (`config`), and what only the network can tell (`check`).
//! Called by `validate`, and before every connection.

use tapline_core::Secret;
use url::Url;
use uuid::Uuid;

use crate::config::{Auth, S3SourceConfig};
use crate::partition::Partition;

impl S3SourceConfig {
    /// One line per problem; none when the settings can be tried.
    pub fn lint(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(bucket_problem(&self.bucket));
        for (key, endpoint) in [("endpoint", &self.endpoint), ("sts_endpoint", &self.sts_endpoint)] {
            problems.extend(endpoint.as_deref().and_then(|endpoint| endpoint_problem(key, endpoint)));
        }
        if let Some(region) = self.region.as_deref().filter(|region| !is_region(region)) {
            problems.push(format!(
                "`region: {region}` is not the name of a region; write one such as eu-central-1, or auto"
            ));
        }
        problems.extend(
            self.path
                .split('/')
                .find(|segment| matches!(*segment, "." | ".."))
                .map(|segment| format!("`path` has the segment `{segment}`, which HTTP does not carry")),
        );
        problems.extend(auth_problems(&self.auth));
        problems.extend(self.csv.validate().err().map(|problem| problem.to_string()));
        problems
    }
}

/// The rules of AWS, see <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>, but with the
/// capitals and underscores that old buckets and other servers allow.
fn bucket_problem(bucket: &str) -> Option<String> {
    if let Some(rest) = bucket.strip_prefix("s3://") {
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = if path.is_empty() { String::new() } else { format!(" and `path: {path}`") };
        return Some(format!("`bucket` is a name, not a URL; write `bucket: {name}`{path}"));
    }
    if bucket.contains('/') {
        return Some("`bucket` contains a slash; what follows it belongs in `path`".to_owned());
    }
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
    let is_name = (3..=255).contains(&bucket.len())
        && bucket.chars().all(is_allowed)
        && !bucket.starts_with(['.', '-'])
        && !bucket.ends_with(['.', '-']);
    (!is_name).then(|| {
        format!("`bucket: {bucket}` is not a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens")
    })
}

fn endpoint_problem(key: &str, endpoint: &str) -> Option<String> {
    let problem = match Url::parse(endpoint) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
            "begin with http:// or https://"
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "hold no user or password; those go to `auth`"
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "hold nothing after ? or #",
        Ok(_) => return None,
        Err(_) => "be a URL, such as http://127.0.0.1:9000",
    };
    Some(format!("`{key}` must {problem}"))
}

fn is_region(region: &str) -> bool {
    region.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
}

fn auth_problems(auth: &Auth) -> Vec<String> {
    let mut problems = Vec::new();
    match auth {
        Auth::IamUser { access_key_id, secret_access_key, session_token } => {
            let secrets = [("secret_access_key", Some(secret_access_key)), ("session_token", session_token.as_ref())];
            let values = secrets.into_iter().filter_map(|(key, secret)| Some((key, secret.map(Secret::expose)?)));
            for (key, value) in std::iter::once(("access_key_id", access_key_id.as_str())).chain(values) {
                if !is_header_text(value) {
                    problems.push(format!("`{key}` holds blanks or characters that no key has; was it copied whole?"));
                }
            }
        }
        Auth::IamRole { role_arn, external_id, base, duration } => {
            if Partition::of_arn(role_arn).is_none() || !role_arn.contains(":role/") {
                problems.push(format!("`{role_arn}` is not a role; write arn:aws:iam::123456789012:role/name"));
            }
            match external_id {
                None => problems.push(format!(
                    "a role needs an external id, so that nobody else can make this service use it; here is a new one, to be put \
                     into the role's trust policy too: external_id: {}",
                    Uuid::new_v4()
                )),
                Some(id) if !is_external_id(id) => problems.push(
                    "`external_id` has 2 to 1224 letters, digits and characters of +=,.@:/-_".to_owned(),
                ),
                Some(_) => {}
            }
            if let Some(duration) = duration.map(|duration| duration.0.as_secs())
                && !(900..=43_200).contains(&duration)
            {
                problems.push("`duration` of a role lies between 15m and 12h".to_owned());
            }
            problems.extend(auth_problems(base));
        }
        Auth::Default | Auth::Anonymous => {}
    }
    problems
}

/// Whether a value can stand in an HTTP header, where all parts of a key end up.
pub(crate) fn is_header_text(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_external_id(id: &str) -> bool {
    (2..=1224).contains(&id.len())
        && id.chars().all(|character| character.is_ascii_alphanumeric() || "+=,.@:/-_".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut S3SourceConfig)) -> Vec<String> {
        let mut config =
            S3SourceConfig { region: None, endpoint: None, sts_endpoint: None, ..S3SourceConfig::ambient("lake") };
        change(&mut config);
        config.lint()
    }

    fn role(external_id: Option<&str>) -> Auth {
        Auth::IamRole {
            role_arn: "arn:aws-cn:iam::123456789012:role/path/name".to_owned(),
            external_id: external_id.map(str::to_owned),
            base: Box::new(Auth::Default),
            duration: None,
        }
    }

    #[test]
    fn good_settings_have_no_problem() {
        for bucket in ["lake", "my.lake-1", "Old_Bucket"] {
            assert_eq!(problems(|config| config.bucket = bucket.to_owned()), Vec::<String>::new());
        }
        assert!(problems(|config| config.endpoint = Some("http://127.0.0.1:9000".to_owned())).is_empty());
        assert!(problems(|config| config.auth = role(Some("0b9a:x/y-z"))).is_empty());
    }

    #[test]
    fn each_problem_is_one_line_that_names_its_key() {
        for (found, word) in [
            (problems(|config| config.bucket = "s3://lake/exports".to_owned()), "`bucket: lake` and `path: exports`"),
            (problems(|config| config.bucket = "lake/exports".to_owned()), "`path`"),
            (problems(|config| config.bucket = "a b".to_owned()), "`bucket: a b`"),
            (problems(|config| config.endpoint = Some("127.0.0.1:9000".to_owned())), "`endpoint`"),
            (problems(|config| config.endpoint = Some("https://user:pw@host".to_owned())), "`auth`"),
            (problems(|config| config.sts_endpoint = Some("ftp://host".to_owned())), "`sts_endpoint`"),
            (problems(|config| config.region = Some("eu west 1".to_owned())), "`region"),
            (problems(|config| config.path = "a/../b".to_owned()), "`..`"),
            (problems(|config| config.auth = role(Some("x"))), "`external_id`"),
        ] {
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(word) && !found[0].contains('\n'), "{found:?}");
        }
    }

    #[test]
    fn a_role_without_external_id_is_offered_a_new_one() {
        let line =
            |problems: Vec<String>| problems[0].rsplit("external_id: ").next().map(str::to_owned).expect("an offer");
        let (one, other) =
            (line(problems(|config| config.auth = role(None))), line(problems(|config| config.auth = role(None))));
        assert!(Uuid::parse_str(&one).is_ok(), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn secrets_are_not_repeated() {
        let auth = Auth::IamUser {
            access_key_id: "AKIA".to_owned(),
            secret_access_key: Secret::from("top secret"),
            session_token: None,
        };
        let found = problems(|config| config.auth = auth);
        assert!(found[0].contains("secret_access_key") && !found[0].contains("top secret"), "{found:?}");
    }
}
