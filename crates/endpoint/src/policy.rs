//! IAM policy documents: parsing, and deciding whether an action is allowed.
//! Not here: who the caller is (`access`) and which action a request needs (`call`).
//! Called by `access` for identity policies and by `sts` for trust policies.

use serde_json::Value;

use crate::EndpointError;

/// A policy document in the [IAM JSON grammar][grammar]: statements with `Effect`, `Action`, `Resource`, `Principal`
/// and `Condition` (`StringEquals` and `StringLike` on `s3:prefix`, `s3:delimiter` and `sts:ExternalId`).
///
/// As in AWS, a matching `Deny` wins over every `Allow`, and what no statement allows is denied.
///
/// [grammar]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allow: bool,
    actions: Vec<String>,
    /// Empty in trust policies, which name no resource.
    resources: Vec<String>,
    /// Empty in identity policies, which name no principal.
    principals: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    wildcards: bool,
    key: String,
    values: Vec<String>,
}

/// What a policy says about one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    Denied,
    /// No statement matches: the same as denied, unless another policy allows it.
    Silent,
}

/// One question to a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub action: &'a str,
    pub resource: &'a str,
    /// ARN of the caller; only trust policies look at it.
    pub principal: &'a str,
    /// Condition keys and their values, as far as the request carries them.
    pub context: &'a [(&'a str, &'a str)],
}

impl Policy {
    /// Everything is allowed.
    pub fn full_access() -> Self {
        Self { statements: vec![Statement::new(true, &["*"], "*")] }
    }

    /// Nothing is allowed; the start of a policy made of [`allow`](Self::allow) calls.
    pub fn no_access() -> Self {
        Self { statements: Vec::new() }
    }

    /// Adds a statement that allows `actions` (such as `s3:GetObject`, `*` is a wildcard) on a resource ARN
    /// (such as `arn:aws:s3:::bucket/prefix/*`).
    #[must_use]
    pub fn allow(mut self, actions: &[&str], resource: &str) -> Self {
        self.statements.push(Statement::new(true, actions, resource));
        self
    }

    /// Adds a statement that denies `actions` on a resource ARN, whatever else allows them.
    #[must_use]
    pub fn deny(mut self, actions: &[&str], resource: &str) -> Self {
        self.statements.push(Statement::new(false, actions, resource));
        self
    }

    /// Parses a policy document.
    ///
    /// # Errors
    /// [`EndpointError::Policy`] where the text is not JSON, or uses an element or operator that is not supported:
    /// ignoring one would make the endpoint laxer than the service it stands for.
    pub fn from_json(document: &str) -> Result<Self, EndpointError> {
        let document: Value =
            serde_json::from_str(document).map_err(|error| invalid(format!("the document is not JSON: {error}")))?;
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.iter().map(Statement::parse).collect::<Result<_, _>>()?,
            statement @ Value::Object(_) => vec![Statement::parse(statement)?],
            _ => return Err(invalid("the document has no Statement")),
        };
        Ok(Self { statements })
    }

    pub(crate) fn decide(&self, question: Question<'_>) -> Decision {
        let mut decision = Decision::Silent;
        for statement in self.statements.iter().filter(|statement| statement.matches(question)) {
            if !statement.allow {
                return Decision::Denied;
            }
            decision = Decision::Allowed;
        }
        decision
    }
}

impl Statement {
    fn new(allow: bool, actions: &[&str], resource: &str) -> Self {
        Self {
            allow,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: vec![resource.to_owned()],
            principals: Vec::new(),
            conditions: Vec::new(),
        }
    }

    fn parse(value: &Value) -> Result<Self, EndpointError> {
        let members = value.as_object().ok_or_else(|| invalid("a statement is not an object"))?;
        for name in members.keys() {
            if !["Sid", "Effect", "Action", "Resource", "Principal", "Condition"].contains(&name.as_str()) {
                return Err(invalid(format!("the element {name} is not supported")));
            }
        }
        let allow = match value["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(invalid("Effect is neither Allow nor Deny")),
        };
        Ok(Self {
            allow,
            actions: strings("Action", &value["Action"])?,
            resources: strings("Resource", &value["Resource"])?,
            principals: match &value["Principal"] {
                Value::Object(principals) => strings("Principal", principals.get("AWS").unwrap_or(&Value::Null))?,
                principal => strings("Principal", principal)?,
            },
            conditions: parse_conditions(&value["Condition"])?,
        })
    }

    fn matches(&self, question: Question<'_>) -> bool {
        let action = question.action.to_ascii_lowercase();
        let one_of = |patterns: &[String], text: &str| patterns.iter().any(|pattern| like(pattern, text));
        self.actions.iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action))
            && (self.resources.is_empty() || one_of(&self.resources, question.resource))
            && (self.principals.is_empty() || self.principals.iter().any(|own| names(own, question.principal)))
            && self.conditions.iter().all(|condition| condition.holds(question.context))
    }
}

impl Condition {
    /// A key that the request does not carry fails the condition, as in AWS.
    fn holds(&self, context: &[(&str, &str)]) -> bool {
        context.iter().filter(|(key, _)| key.eq_ignore_ascii_case(&self.key)).any(|(_, actual)| {
            self.values.iter().any(|value| if self.wildcards { like(value, actual) } else { value == actual })
        })
    }
}

fn parse_conditions(value: &Value) -> Result<Vec<Condition>, EndpointError> {
    let mut conditions = Vec::new();
    for (operator, keys) in value.as_object().into_iter().flatten() {
        let wildcards = match operator.as_str() {
            "StringEquals" => false,
            "StringLike" => true,
            _ => return Err(invalid(format!("the condition operator {operator} is not supported"))),
        };
        for (key, values) in keys.as_object().into_iter().flatten() {
            conditions.push(Condition { wildcards, key: key.clone(), values: strings(key, values)? });
        }
    }
    Ok(conditions)
}

/// A string or an array of strings; nothing where the element is absent.
fn strings(element: &str, value: &Value) -> Result<Vec<String>, EndpointError> {
    let texts = match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    texts.ok_or_else(|| invalid(format!("{element} is neither a string nor an array of strings")))
}

fn invalid(reason: impl Into<String>) -> EndpointError {
    EndpointError::Policy { reason: reason.into() }
}

/// Whether a principal of a policy names the caller: itself, its whole account (by root ARN or number), or everybody.
fn names(principal: &str, caller: &str) -> bool {
    let account = account_of(caller);
    principal == "*"
        || principal == caller
        || (!account.is_empty() && (principal == account || principal == format!("arn:aws:iam::{account}:root")))
}

/// The account number of an ARN: its fifth part.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// Matches `*` (any run of characters) and `?` (any one character).
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to resume when the text after the last `*` does not match: that `*` takes one more character.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|expected| *expected == '?' || *expected == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "arn:aws:iam::123456789012:user/reader";

    fn ask(policy: &Policy, action: &str, resource: &str, context: &[(&str, &str)]) -> Decision {
        policy.decide(Question { action, resource, principal: CALLER, context })
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a--b--b--c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "a", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_denial_wins_and_silence_is_not_consent() {
        let policy = Policy::no_access()
            .allow(&["s3:Get*"], "arn:aws:s3:::lake/*")
            .deny(&["s3:GetObject"], "arn:aws:s3:::lake/secret/*");
        assert_eq!(ask(&policy, "s3:GetObject", "arn:aws:s3:::lake/a", &[]), Decision::Allowed);
        assert_eq!(ask(&policy, "s3:GetObject", "arn:aws:s3:::lake/secret/a", &[]), Decision::Denied);
        assert_eq!(ask(&policy, "s3:PutObject", "arn:aws:s3:::lake/a", &[]), Decision::Silent);
        assert_eq!(ask(&policy, "s3:GetObject", "arn:aws:s3:::pond/a", &[]), Decision::Silent);
    }

    #[test]
    fn conditions_and_principals_of_a_document() {
        let listing = Policy::from_json(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::lake", "Condition": {"StringLike": {"s3:prefix": ["crm", "crm/*"]}}}}"#,
        )
        .unwrap();
        let list = |context| ask(&listing, "s3:ListBucket", "arn:aws:s3:::lake", context);
        assert_eq!(list(&[("s3:prefix", "crm/customers")]), Decision::Allowed);
        assert_eq!(list(&[("s3:prefix", "hr/")]), Decision::Silent);
        assert_eq!(list(&[]), Decision::Silent);

        let trust = Policy::from_json(
            r#"{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Condition": {"StringEquals": {"sts:ExternalId": "0b9a"}}}]}"#,
        )
        .unwrap();
        assert_eq!(ask(&trust, "sts:AssumeRole", "role", &[("sts:ExternalId", "0b9a")]), Decision::Allowed);
        assert_eq!(ask(&trust, "sts:AssumeRole", "role", &[("sts:ExternalId", "0b9A")]), Decision::Silent);
        let stranger = Question {
            action: "sts:AssumeRole",
            resource: "role",
            principal: "arn:aws:iam::999999999999:user/reader",
            context: &[("sts:ExternalId", "0b9a")],
        };
        assert_eq!(trust.decide(stranger), Decision::Silent);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for document in [
            "{}",
            "not json",
            r#"{"Statement": {"Effect": "Maybe", "Action": "*", "Resource": "*"}}"#,
            r#"{"Statement": {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}}"#,
            r#"{"Statement": {"Effect": "Allow", "Action": 1, "Resource": "*"}}"#,
            r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": {"NumericEquals": {"s3:max-keys": "1"}}}}"#,
        ] {
            assert!(Policy::from_json(document).is_err(), "{document}");
        }
    }
}
