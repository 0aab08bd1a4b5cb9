//! Erasing one primary key: forgotten, while everything else stays as it was.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_erased_counts_as_never_delivered() {
    let app = TestApp::with_sync().await;
    app.schedule();
    assert_eq!(app.run("people", json!({})).await["rows"]["inserted"], 3);
    let erase = async |key| app.post("/api/v1/syncs/people/erase", json!({ "key": key })).await;
    erase(json!({ "name": "Ada" })).await.fails(422, "CONF-007");
    erase(json!({})).await.fails(422, "CONF-007");
    assert_eq!(erase(json!({ "id": 9 })).await.is(200), json!({ "snapshots": 0, "rejects": 0 }));
    assert_eq!(erase(json!({ "id": "2" })).await.is(200), json!({ "snapshots": 1, "rejects": 0 }));
    assert_eq!(erase(json!({ "id": 2 })).await.is(200), json!({ "snapshots": 0, "rejects": 0 }));
    app.endpoint.put("lake", "people.csv", "id,name\n1,Ada\n2,Grace\n3,Dijkstra\n").unwrap();
    let rows = app.run("people", json!({})).await["rows"].clone();
    assert_eq!((&rows["inserted"], &rows["updated"], &rows["unchanged"]), (&json!(1), &json!(1), &json!(1)), "{rows}");
    let audit = app.get("/api/v1/audit?search=syncs.erase").await;
    assert!(!audit.text.contains("Ada"), "{}", audit.text);
    assert_eq!(audit.is(200)["items"].as_array().unwrap().len(), 3);
}
