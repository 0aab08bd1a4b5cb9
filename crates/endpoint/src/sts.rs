//! The security token service: `AssumeRole` with its trust policy, and `GetCallerIdentity`.
//! Not here: the sessions that it opens (`access`) and the verification of signatures (`s3s`).
//! Called by `s3s`, as the route for forms posted to the root.
//!
//! See <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use hyper::http::Extensions;
use hyper::{HeaderMap, Method, Uri};
use s3s::route::S3Route;
use s3s::{Body, HttpResponse, S3Request, S3Response, S3Result, s3_error};

use crate::access::{Authority, Caller, session_token};
use crate::call::{is_sts, parameters};
use crate::policy::{Decision, Question, account_of};
use crate::xml::{STS_NAMESPACE, element, respond, sts_error};

/// The largest form that is read.
pub(crate) const MAX_FORM: usize = 8 << 10;

/// The route that `s3s` hands STS requests to.
pub(crate) struct TokenService(pub Arc<Authority>);

#[async_trait::async_trait]
impl S3Route for TokenService {
    fn is_match(&self, method: &Method, uri: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        is_sts(method, uri, headers)
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let Some(credentials) = &request.credentials else {
            return Err(s3_error!(AccessDenied, "Request is missing Authentication Token"));
        };
        let token = session_token(&request.headers, &request.uri);
        let caller = self.0.caller(credentials, token.as_deref())?;
        request.extensions.insert(caller);
        Ok(())
    }

    async fn call(&self, mut request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let body = request
            .input
            .store_all_limited(MAX_FORM)
            .await
            .map_err(|error| s3_error!(InvalidRequest, "the form cannot be read: {error}"))?;
        let form = parameters(&body);
        let Some(caller) = request.extensions.get::<Caller>() else {
            return Err(s3_error!(InternalError, "the caller was not checked"));
        };
        let response = match form.get("Action").map(String::as_str) {
            Some("AssumeRole") => self.assume_role(caller, &form),
            Some("GetCallerIdentity") => caller_identity(caller),
            _ => sts_error(400, "InvalidAction", "Could not find the operation that Action names"),
        };
        let (parts, body) = response.into_parts();
        Ok(S3Response {
            output: body,
            status: Some(parts.status),
            headers: parts.headers,
            extensions: parts.extensions,
        })
    }
}

impl TokenService {
    fn assume_role(&self, caller: &Caller, form: &HashMap<String, String>) -> HttpResponse {
        let (Some(arn), Some(session_name)) = (form.get("RoleArn"), form.get("RoleSessionName")) else {
            return sts_error(400, "ValidationError", "RoleArn and RoleSessionName must not be empty");
        };
        let context: Vec<(&str, &str)> =
            form.get("ExternalId").map(|id| ("sts:ExternalId", id.as_str())).into_iter().collect();
        let question = Question { action: "sts:AssumeRole", resource: arn, principal: &caller.arn, context: &context };
        let role = self.0.roles.iter().find(|role| role.arn == *arn).filter(|role| {
            role.trust.decide(question) == Decision::Allowed && caller.may("sts:AssumeRole", arn, &context)
        });
        // A role that is not there and one that does not trust the caller look the same from outside.
        let Some(role) = role else {
            let user = &caller.arn;
            let message = format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}");
            return sts_error(403, "AccessDenied", &message);
        };
        let asked = match form.get("DurationSeconds").map_or(Ok(3600), |seconds| seconds.parse()) {
            Ok(seconds @ 900..=43_200) => Duration::from_secs(seconds),
            _ => return sts_error(400, "ValidationError", "DurationSeconds must be from 900 to 43200"),
        };
        let role_name = arn.rsplit('/').next().unwrap_or_default();
        let session_arn = format!("arn:aws:sts::{}:assumed-role/{role_name}/{session_name}", account_of(arn));
        let session = self.0.open_session(session_arn, role.policy.clone(), role.lifetime.unwrap_or(asked));
        let credentials = [
            element("AccessKeyId", &session.key.id),
            element("SecretAccessKey", &session.key.secret),
            element("SessionToken", session.key.session_token.as_deref().unwrap_or_default()),
            element("Expiration", &iso_time(session.expires)),
        ];
        let user = element("Arn", &session.arn) + &element("AssumedRoleId", &format!("AROA:{session_name}"));
        let (credentials, user) = (wrap("Credentials", &credentials.concat()), wrap("AssumedRoleUser", &user));
        answer("AssumeRole", &(credentials + &user))
    }
}

fn caller_identity(caller: &Caller) -> HttpResponse {
    let identity = [
        element("Arn", &caller.arn),
        element("UserId", caller.arn.rsplit('/').next().unwrap_or_default()),
        element("Account", account_of(&caller.arn)),
    ];
    answer("GetCallerIdentity", &identity.concat())
}

fn answer(action: &str, result: &str) -> HttpResponse {
    let result = wrap(&format!("{action}Result"), result);
    respond(200, &format!("<{action}Response xmlns=\"{STS_NAMESPACE}\">{result}</{action}Response>"))
}

fn wrap(name: &str, children: &str) -> String {
    format!("<{name}>{children}</{name}>")
}

fn iso_time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}
