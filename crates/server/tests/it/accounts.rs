//! Signing in and out, users, tokens, the audit log.

use axum::body::Body;
use http::{Request, header};
use serde_json::{Value, json};

use crate::app::{ADMIN, Answer, TestApp};

const PASSWORD: &str = "correct horse battery";

/// A browser: it keeps the cookie, and repeats what is to be repeated.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    fn of(answer: &Answer) -> Self {
        let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
        for part in ["tapline_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Secure"), "a browser on plain HTTP would not send it back");
        let cookie = set.split(';').next().unwrap().to_owned();
        Self { cookie, csrf: answer.json()["csrf"].as_str().unwrap().to_owned() }
    }

    async fn send(&self, app: &TestApp, method: &str, path: &str, csrf: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::COOKIE, &self.cookie);
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        app.request(request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap()).await
    }

    async fn change(&self, app: &TestApp, method: &str, path: &str, body: Value) -> Answer {
        self.send(app, method, path, Some(&self.csrf), Some(body)).await
    }

    async fn who(&self, app: &TestApp) -> Value {
        self.send(app, "GET", "/api/v1/session", None, None).await.is(200)["user"].clone()
    }
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.send("POST", "/api/v1/session", None, Some(json!({ "email": email, "password": password }))).await
}

async fn make_user(app: &TestApp, email: &str, role: &str) -> Value {
    let user = json!({ "email": email, "name": "Ada", "role": role, "password": PASSWORD });
    app.post("/api/v1/users", user).await.is(201)
}

#[tokio::test]
async fn the_first_user_is_made_once_with_the_code_that_was_printed() {
    let app = TestApp::new().await;
    assert_eq!(app.send("GET", "/api/v1/setup", None, None).await.is(200), json!({ "needed": true }));
    let first = |code: &str| json!({ "code": code, "email": " Ada@Example.com ", "name": "Ada", "password": PASSWORD });
    let post = async |body| app.send("POST", "/api/v1/setup", None, Some(body)).await;
    post(first("")).await.fails(403, "AUTH-003");
    let code = tapline_server::auth::first_start(&app.app).await.unwrap().unwrap();
    post(first("guessed")).await.fails(403, "AUTH-003");
    let mut short = first(&code);
    short["password"] = json!("short");
    post(short).await.fails(422, "CONF-005");
    let answer = post(first(&code)).await;
    let browser = Browser::of(&answer);
    let session = answer.is(200);
    assert_eq!(session["user"]["email"], "ada@example.com");
    assert_eq!(session["user"]["role"], "admin");
    assert_eq!(browser.who(&app).await["email"], "ada@example.com");
    post(first(&code)).await.fails(409, "API-002");
    assert_eq!(tapline_server::auth::first_start(&app.app).await.unwrap(), None);
    assert_eq!(app.send("GET", "/api/v1/setup", None, None).await.is(200), json!({ "needed": false }));
}

#[tokio::test]
async fn a_session_lasts_until_it_is_ended() {
    let app = TestApp::new().await;
    make_user(&app, "ada@example.com", "admin").await;
    assert_eq!(app.send("GET", "/api/v1/session", None, None).await.is(200)["user"], Value::Null);
    sign_in(&app, "ada@example.com", "wrong password").await.fails(401, "AUTH-003");
    sign_in(&app, "nobody@example.com", PASSWORD).await.fails(401, "AUTH-003");
    let browser = Browser::of(&sign_in(&app, "ADA@example.com", PASSWORD).await);
    let other = Browser::of(&sign_in(&app, "ada@example.com", PASSWORD).await);
    assert_eq!(browser.who(&app).await["role"], "admin");
    let forged = Browser { cookie: format!("{}x", browser.cookie), csrf: browser.csrf.clone() };
    assert_eq!(forged.who(&app).await, Value::Null);
    let ended = browser.change(&app, "DELETE", "/api/v1/session", json!({})).await;
    assert_eq!(ended.status, 204);
    assert!(ended.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(browser.who(&app).await, Value::Null);
    assert_eq!(other.who(&app).await["role"], "admin");
}

#[tokio::test]
async fn a_change_by_cookie_has_to_repeat_the_session() {
    let app = TestApp::new().await;
    make_user(&app, "ada@example.com", "admin").await;
    let browser = Browser::of(&sign_in(&app, "ada@example.com", PASSWORD).await);
    let other = Browser::of(&sign_in(&app, "ada@example.com", PASSWORD).await);
    let token = json!({ "name": "t", "role": "viewer" });
    for csrf in [None, Some(""), Some(other.csrf.as_str())] {
        let answer = browser.send(&app, "POST", "/api/v1/tokens", csrf, Some(token.clone())).await;
        answer.fails(403, "AUTH-002");
    }
    browser.change(&app, "POST", "/api/v1/tokens", token).await.is(201);
    browser.send(&app, "GET", "/api/v1/tokens", None, None).await.is(200);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let app = TestApp::new().await;
    make_user(&app, "ada@example.com", "admin").await;
    for _ in 0..5 {
        sign_in(&app, "ada@example.com", "a wrong guess").await.fails(401, "AUTH-003");
    }
    let answer = sign_in(&app, "ada@example.com", PASSWORD).await;
    let wait: u64 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=11).contains(&wait), "{wait}");
    answer.fails(429, "AUTH-004");
    let refused = app.get("/api/v1/audit?search=session.refused").await.is(200);
    assert_eq!(refused["items"].as_array().unwrap().len(), 5);
    assert_eq!(refused["items"][0]["address"], "127.0.0.1");
}

#[tokio::test]
async fn a_new_password_signs_out_everywhere_else() {
    let app = TestApp::new().await;
    make_user(&app, "ada@example.com", "admin").await;
    let here = Browser::of(&sign_in(&app, "ada@example.com", PASSWORD).await);
    let there = Browser::of(&sign_in(&app, "ada@example.com", PASSWORD).await);
    let path = "/api/v1/session/password";
    let new = "another horse battery";
    here.change(&app, "PUT", path, json!({ "old": "a wrong guess", "new": new })).await.fails(403, "AUTH-003");
    let changed = here.change(&app, "PUT", path, json!({ "old": PASSWORD, "new": new })).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    assert_eq!(here.who(&app).await["email"], "ada@example.com");
    assert_eq!(there.who(&app).await, Value::Null);
    sign_in(&app, "ada@example.com", PASSWORD).await.fails(401, "AUTH-003");
    sign_in(&app, "ada@example.com", new).await.is(200);
}

#[tokio::test]
async fn users_are_made_changed_and_deleted() {
    let app = TestApp::new().await;
    let ada = make_user(&app, "ada@example.com", "admin").await;
    let bob = make_user(&app, "bob@example.com", "viewer").await;
    let twin = json!({ "email": "BOB@example.com", "name": "B", "role": "admin", "password": PASSWORD });
    app.post("/api/v1/users", twin).await.fails(409, "API-002");
    for wrong in ["bob", "@example.com", "b ob@example.com"] {
        let user = json!({ "email": wrong, "name": "B", "role": "viewer", "password": PASSWORD });
        app.post("/api/v1/users", user).await.fails(422, "CONF-005");
    }
    let listed = app.get("/api/v1/users").await;
    assert!(!listed.text.contains("argon2"), "{}", listed.text);
    assert_eq!(listed.is(200)["items"].as_array().unwrap().len(), 2);
    let bob = format!("/api/v1/users/{}", bob["id"].as_str().unwrap());
    let browser = Browser::of(&sign_in(&app, "bob@example.com", PASSWORD).await);
    browser.send(&app, "GET", "/api/v1/users", None, None).await.fails(403, "AUTH-002");
    let patch = async |path: &str, body| app.send("PATCH", path, Some(ADMIN), Some(body)).await;
    patch(&bob, json!({ "role": "admin" })).await.is(200);
    browser.send(&app, "GET", "/api/v1/users", None, None).await.is(200);
    patch(&bob, json!({ "disabled": true })).await.is(200);
    assert_eq!(browser.who(&app).await, Value::Null);
    sign_in(&app, "bob@example.com", PASSWORD).await.fails(401, "AUTH-003");
    let ada = format!("/api/v1/users/{}", ada["id"].as_str().unwrap());
    patch(&ada, json!({ "role": "editor" })).await.fails(409, "API-004");
    app.delete(&ada).await.fails(409, "API-004");
    assert_eq!(app.delete(&bob).await.status, 204);
    app.delete(&bob).await.fails(404, "API-001");
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked() {
    let app = TestApp::new().await;
    let made =
        app.post("/api/v1/tokens", json!({ "name": "ci", "role": "viewer", "expires_in_days": 7 })).await.is(201);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("tok_"));
    let get = async |token: &str| app.send("GET", "/api/v1/sources", Some(token), None).await;
    get(token).await.is(200);
    let half = &token[..token.len() - 1];
    get(half).await.fails(401, "AUTH-001");
    let answer = get("").await;
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"tapline\"");
    let listed = app.get("/api/v1/tokens").await;
    let secret = token.rsplit('_').next().unwrap();
    assert!(!listed.text.contains(secret), "{}", listed.text);
    let item = listed.is(200)["items"][0].clone();
    assert!(item["last_used_at"].is_string() && item["expires_at"].is_string(), "{item}");
    assert_eq!(item["created_by"], "TAPLINE_ADMIN_TOKEN");
    assert_eq!(app.delete(&format!("/api/v1/tokens/{}", item["id"].as_str().unwrap())).await.status, 204);
    get(token).await.fails(401, "AUTH-001");
    for days in [0, 4000] {
        let token = json!({ "name": "ci", "role": "viewer", "expires_in_days": days });
        app.post("/api/v1/tokens", token).await.fails(422, "CONF-005");
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_without_secrets() {
    let app = TestApp::new().await;
    let user = json!({ "email": "ada@example.com", "name": "Ada", "role": "admin", "password": "hunter2 hunter2" });
    let id = app.post("/api/v1/users", user).await.is(201)["id"].as_str().unwrap().to_owned();
    let change = json!({ "password": "hunter2 hunter2 hunter2" });
    app.send("PATCH", &format!("/api/v1/users/{id}"), Some(ADMIN), Some(change)).await.is(200);
    sign_in(&app, "ada@example.com", "hunter2 hunter2").await.fails(401, "AUTH-003");
    let token = app.token("editor").await;
    let mut path = "/api/v1/audit?limit=2".to_owned();
    let mut actions = Vec::new();
    loop {
        let answer = app.get(&path).await;
        assert!(!answer.text.contains("hunter2") && !answer.text.contains(&token), "{}", answer.text);
        let page = answer.is(200);
        for entry in page["items"].as_array().unwrap() {
            actions.push(entry["action"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/audit?limit=2&after={next}");
    }
    assert_eq!(actions, ["tokens.create", "session.refused", "users.update", "users.create"]);
    app.get("/api/v1/audit?after=nonsense").await.fails(400, "API-006");
}
