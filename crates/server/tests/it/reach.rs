//! How far definitions from the API reach: into the machine's files, and to other servers with a secret that is kept.

use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

async fn make(app: &TestApp, token: &str, name: &str, settings: Value) -> Answer {
    app.send("POST", "/api/v1/destinations", Some(token), Some(json!({ "name": name, "settings": settings }))).await
}

#[tokio::test]
async fn editors_name_files_of_the_project_alone() {
    let app = TestApp::new().await;
    let editor = app.token("editor").await;
    let outside = std::env::temp_dir().join("out.db");
    let outside = outside.to_str().unwrap();
    for settings in [
        json!({ "type": "sqlite", "path": outside }),
        json!({ "type": "sqlite", "path": "../out.db" }),
        json!({ "type": "files", "url": "/etc/cron.d" }),
        json!({ "type": "files", "url": "file:///etc/cron.d" }),
        json!({ "type": "postgres", "url": "postgres://app@db.example/crm?host=/var/run/postgresql" }),
        json!({ "type": "postgres", "url": "postgres://app@db.example/crm?sslrootcert=/etc/passwd" }),
        json!({ "type": "mysql", "url": "mysql://app@db.example/crm?socket=/run/mysqld/mysqld.sock" }),
        json!({ "type": "http", "url": "https://api.example.com", "root_certificate": "/etc/passwd" }),
    ] {
        make(&app, &editor, "far", settings.clone()).await.fails(422, "API-008");
        let tried = Some(json!({ "settings": settings }));
        app.send("POST", "/api/v1/destinations/check", Some(&editor), tried).await.fails(422, "API-008");
    }
    make(&app, &editor, "near", json!({ "type": "sqlite", "path": "out.db" })).await.is(201);

    // What an admin has named stays, whatever else an editor changes.
    app.make("destinations", "far", json!({ "type": "files", "url": outside })).await;
    let path = "/api/v1/destinations/far";
    let change = |url: &str, revision: u64| {
        Some(json!({ "settings": { "type": "files", "url": url, "format": "csv" }, "revision": revision }))
    };
    app.send("PUT", path, Some(&editor), change(outside, 1)).await.is(200);
    app.send("PUT", path, Some(&editor), change("/etc", 2)).await.fails(422, "API-008");
}

#[tokio::test]
async fn nobody_names_the_state_as_a_destination() {
    let app = TestApp::new().await;
    for path in [".tapline/state.db", "./x/../.tapline/snapshots/rows.db"] {
        let body = json!({ "name": "own", "settings": { "type": "sqlite", "path": path } });
        app.post("/api/v1/destinations", body).await.fails(422, "API-008");
        let file = format!("version: 1\ndestinations: {{ own: {{ type: sqlite, path: {path} }} }}\n");
        app.apply("", &file).await.fails(422, "API-008");
    }
}

#[tokio::test]
async fn a_kept_secret_goes_to_the_server_that_it_was_given_for() {
    let app = TestApp::new().await;
    let mut settings =
        json!({ "type": "postgres", "host": "db.example", "user": "app", "password": "hunter2", "database": "crm" });
    app.make("destinations", "crm", settings.clone()).await;
    let path = "/api/v1/destinations/crm";
    settings["password"] = json!({ "secret": true });
    settings["database"] = json!("other");
    app.put(path, json!({ "settings": settings, "revision": 1 })).await.is(200);
    for (key, value) in [("host", json!("elsewhere.example")), ("port", json!(5433))] {
        let mut moved = settings.clone();
        moved[key] = value;
        let told = app.put(path, json!({ "settings": moved, "revision": 2 })).await.fails(422, "CONF-002");
        assert_eq!(told["errors"][0]["pointer"], "/settings/password", "{told}");
        let tried = json!({ "settings": moved, "name": "crm" });
        app.post("/api/v1/destinations/check", tried).await.fails(422, "CONF-002");
        moved.as_object_mut().unwrap().remove("password");
        app.put(path, json!({ "settings": moved, "revision": 2 })).await.fails(422, "CONF-002");
        moved["password"] = json!("hunter3");
        app.post("/api/v1/destinations/check", json!({ "settings": moved, "name": "crm" })).await.is(200);
    }
}
