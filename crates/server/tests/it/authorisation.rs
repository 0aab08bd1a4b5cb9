//! The matrix: every route of the OpenAPI document, asked by everybody.

use serde_json::{Value, json};

use crate::app::TestApp;

const ROLES: [&str; 3] = ["viewer", "editor", "admin"];

/// The least role that an operation asks for; `None` where it asks for none.
fn needed(operation: &Value) -> Option<usize> {
    let security = operation.get("security")?.as_array()?;
    if security.iter().any(|option| option.as_object().is_some_and(serde_json::Map::is_empty)) {
        return None;
    }
    let scopes = security.iter().find_map(|option| option.get("token").or_else(|| option.get("session")))?;
    let role = scopes.get(0)?.as_str()?;
    ROLES.iter().position(|known| *known == role)
}

#[tokio::test]
async fn nobody_gets_further_than_the_document_says() {
    let app = TestApp::new().await;
    let mut tokens = Vec::new();
    for role in ROLES {
        tokens.push(app.token(role).await);
    }
    let document = app.get("/api/openapi.json").await.is(200);
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled = path.replace("{name}", "nothing").replace("{id}", "nothing");
        for (method, operation) in item.as_object().unwrap() {
            let Some(needed) = needed(operation) else { continue };
            // Only people have sessions; a token is no way to end one.
            let by_token = operation["security"].as_array().unwrap().iter().any(|option| option.get("token").is_some());
            let method = method.to_uppercase();
            let body = (method != "GET" && method != "DELETE").then(|| json!({}));
            let what = format!("{method} {path}");
            let anonymous = app.send(&method, &filled, None, body.clone()).await;
            assert_eq!(anonymous.status.as_u16(), 401, "{what} without a token: {}", anonymous.text);
            let wrong = app.send(&method, &filled, Some("tok_wrong"), body.clone()).await;
            assert_eq!(wrong.status.as_u16(), 401, "{what} with a wrong token");
            for (role, token) in tokens.iter().enumerate().filter(|_| by_token) {
                let answer = app.send(&method, &filled, Some(token), body.clone()).await;
                let status = answer.status.as_u16();
                asked += 1;
                if role < needed {
                    assert_eq!(status, 403, "{what} as {}: {}", ROLES[role], answer.text);
                } else {
                    assert!(status != 401 && status != 403, "{what} as {}: {status} {}", ROLES[role], answer.text);
                }
            }
        }
    }
    assert!(asked > 150, "only {asked} requests were made");
}
