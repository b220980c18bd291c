//! Rejected rows: as a file that spreadsheets may open, as the bytes they were, and a few of each reason.

use std::time::Duration;

use serde_json::{Value, json};
use userdata::{
    config::Role,
    store::ClaimOutcome,
    upload::{Cleaned, Failure, ReasonCount, UploadId},
};

use crate::{
    access::{secret, token},
    harness::{Server, Setup, USERS, eventually},
};

/// An upload that was cleaned and found to have these rejects, as a worker leaves it.
async fn rejected(server: &Server, id: UploadId, rejects: &str, reasons: Vec<ReasonCount>) {
    let claim = match server.store.claim(id, "test:1", Duration::from_secs(600)).await.unwrap() {
        ClaimOutcome::Claimed(claim) => claim,
        other => panic!("{other:?}"),
    };
    std::fs::create_dir_all(server.data().join("archive")).unwrap();
    std::fs::write(server.data().join(format!("archive/{id}.rejects.csv")), rejects).unwrap();
    let count = reasons.iter().map(|reason| reason.count).sum();
    let cleaned = Cleaned { read: count, rejected: count, reasons, sha256: "ab".into(), ..Cleaned::default() };
    server.store.note_cleaned(&claim, &cleaned).await.unwrap();
    let failure = Failure { code: "no_good_row".into(), message: "no good row".into(), next: None };
    server.store.fail(&claim, &failure).await.unwrap();
}

fn reason(field: &str, code: &str, count: u64, first_line: u64) -> ReasonCount {
    let example = format!("an example of {code}");
    ReasonCount { field: field.into(), code: code.into(), count, first_line, example }
}

const REJECTS: &str = "_line,_field,_reason,id,name,time_of_start\r\n2,id,the id is empty,,=1+1,2017-03-07\r\n\
    3,time_of_start,\"\"\"-?\"\" is no time\",1,\"@x\"\"y\",-?\r\n5,id,the id is empty,,Cy,2017-03-07\r\n";

#[tokio::test]
async fn a_spreadsheet_finds_no_formula_and_exact_bytes_are_there_on_request() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    rejected(&server, id, REJECTS, vec![reason("id", "id_empty", 3, 2)]).await;
    let read = async |query: &str| {
        let answer = server.client.get(server.url(&format!("/uploads/{id}/rejects{query}"))).send().await.unwrap();
        let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert!(name.starts_with("attachment") && name.contains("a.csv.rejects.csv"), "{name}");
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let safe = REJECTS.replace("=1+1", "'=1+1").replace("@x", "'@x").replace(",-?", ",'-?");
    assert_eq!(read("").await, (200, safe.clone()));
    assert_eq!(read("?exact=false").await, (200, safe));
    assert_eq!(read("?exact=true").await, (200, REJECTS.into()));
    let (status, problem) = server.get(&format!("/uploads/{id}/rejects?exakt=true")).await;
    assert_eq!((status, &problem["code"]), (400, &"bad_query".into()), "{problem}");
}

#[tokio::test]
async fn a_few_of_each_reason_are_told_with_all_counts() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    let reasons = vec![reason("id", "id_empty", 2, 2), reason("time_of_start", "time_unreadable", 1, 3)];
    rejected(&server, id, REJECTS, reasons).await;
    let (status, sample) = server.get(&format!("/uploads/{id}/rejects/sample")).await;
    let unreadable = "\"-?\" is not a time in a known form; write 2017-03-07T00:30:54Z, or set formats";
    let empty = |line, text| json!({ "line": line, "message": "the id is empty", "text": text });
    let expected = json!({ "rejects": [
        { "reason": "id_empty", "field": "id", "count": 2,
          "first": [empty(2, ",=1+1,2017-03-07"), empty(5, ",Cy,2017-03-07")] },
        { "reason": "time_unreadable", "field": "time_of_start", "count": 1,
          "first": [{ "line": 3, "message": unreadable, "text": "1,@x\"y,-?" }] },
    ]});
    assert_eq!((status, sample), (200, expected));
}

/// Of a file of any size only the beginning is read.
#[tokio::test]
async fn a_reason_far_behind_is_told_by_its_first_line() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    let row = "2,id,the id is empty,,Ada,2017-03-07\r\n";
    let rejects = format!("_line,_field,_reason,id,name,time_of_start\r\n{}9,row,why,1\r\n", row.repeat(100_000));
    rejected(&server, id, &rejects, vec![reason("id", "id_empty", 100_000, 2), reason("row", "too_few_fields", 1, 9)])
        .await;
    let (_, sample) = server.get(&format!("/uploads/{id}/rejects/sample")).await;
    let groups = sample["rejects"].as_array().unwrap();
    assert_eq!((&groups[0]["count"], groups[0]["first"].as_array().unwrap().len()), (&100_000.into(), 5));
    assert_eq!(groups[1]["first"], json!([{ "line": 9, "message": "an example of too_few_fields", "text": null }]));
}

#[tokio::test]
async fn rows_are_the_sender_s_own_and_the_admins() {
    let callers = [("anna", Role::Upload), ("bert", Role::Upload), ("rita", Role::Read), ("adam", Role::Admin)];
    let tokens = callers.map(|(name, role)| token(name, role)).to_vec();
    let server = Server::with(Setup { tokens, ..Setup::default() }).await;
    let put = server.client.put(server.url("/uploads/a.csv")).bearer_auth(secret("anna")).body(USERS);
    let view: Value = put.send().await.unwrap().json().await.unwrap();
    let id: UploadId = view["id"].as_str().unwrap().parse().unwrap();
    eventually("the ledger has it", async || server.store.upload(id).await.unwrap().is_some()).await;
    rejected(&server, id, REJECTS, vec![reason("id", "id_empty", 3, 2)]).await;
    for path in ["rejects", "rejects?exact=true", "rejects/sample"] {
        for (caller, status) in [("anna", 200), ("bert", 404), ("rita", 403), ("adam", 200)] {
            let url = server.url(&format!("/uploads/{id}/{path}"));
            let answer = server.client.get(url).bearer_auth(secret(caller)).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path} by {caller}");
        }
    }
}
