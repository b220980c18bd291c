//! What a file's beginning tells before it is sent: the same as the load will say of it.

use serde_json::json;

use crate::harness::{Server, USERS};

#[tokio::test]
async fn a_preview_tells_what_an_upload_would_meet() {
    let server = Server::start().await;
    let (status, answer) = server.post("/preview?complete=true", USERS).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["layout"]["fields"], &answer["delimiter"], &answer["line_end"]),
        (&json!(3), &json!(","), &json!("LF"))
    );
    let (status, problem) = server.post("/preview?complete=true", "a,b\n1,2\n").await;
    assert_eq!((status, &problem["code"]), (422, &"column_not_found".into()));
    assert_eq!(problem["found"]["columns"][1]["name"], "b", "{problem}");
}

#[tokio::test]
async fn each_first_row_is_shown_with_what_will_become_of_it() {
    let server = Server::start().await;
    let file =
        "note;Kunde;Name;Beginn\r\nx;u-1;ADA;2017-03-07 12:30:54\r\ny;;Bob;2017-03-07\r\n\r\nz;u-3;\"C\r\nD\";nie\r\n";
    let columns = "columns=id%3DKunde,time_of_start%3DBeginn";
    let (status, seen) = server.post(&format!("/preview?complete=true&zone=Europe/Berlin&{columns}"), file).await;
    assert_eq!(status, 200, "{seen}");
    let rows = &seen["rows"];
    assert_eq!(rows[0]["user"], json!({"id": "u-1", "name": "ada", "time_of_start": "2017-03-07T11:30:54.000Z"}));
    assert_eq!((&rows[0]["line"], &rows[0]["given"]), (&json!(2), &json!(["u-1", "ADA", "2017-03-07 12:30:54"])));
    assert_eq!(rows[1]["reject"], json!({"field": "id", "code": "id_empty", "reason": "the id is empty"}));
    assert_eq!((&rows[2]["line"], &rows[2]["reject"]["field"]), (&json!(5), &json!("time_of_start")));
    assert_eq!(seen["columns"][1], json!({"name": "Kunde", "example": "u-1", "field": "id"}));
    assert_eq!(seen["columns"][0]["field"], json!(null));
    assert_eq!((&seen["rows_seen"], &seen["rejected"], &seen["times"]["zone"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!((&seen["line_end"], &seen["delimiter"]), (&json!("CRLF"), &json!(";")));
}

#[tokio::test]
async fn a_row_whose_id_another_row_has_names_the_one_that_is_stored_instead() {
    let server = Server::start().await;
    let file = "id,name,time_of_start\n1,a,2020-01-01\n2,b,2020-01-01\n1,c,2020-01-01\n,d,2020-01-01\n1,e,2020-01-01\n";
    let other_lines = async |mode: &str| {
        let (_, seen) = server.post(&format!("/preview?complete=true&existing={mode}"), file).await;
        assert_eq!((&seen["duplicates"], &seen["rejected"]), (&json!(2), &json!(1)), "{seen}");
        seen["rows"].as_array().unwrap().iter().map(|row| row["stored_instead"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(other_lines("keep").await, [None, None, Some(2), None, Some(2)]);
    assert_eq!(other_lines("replace").await, [Some(6), None, Some(6), None, None]);
}

#[tokio::test]
async fn a_row_that_goes_on_behind_the_beginning_is_not_judged_by_its_half() {
    let server = Server::start().await;
    for cut in ["3,Cle", "3,\"Cle", "3,Cleo,2017-03-07", "3,Cleo,2017-03-07\r"] {
        let head = format!("{USERS}{cut}");
        let (_, seen) = server.post("/preview", &head).await;
        assert_eq!((&seen["rows_seen"], &seen["rejected"]), (&json!(2), &json!(0)), "{cut}: {seen}");
        assert_eq!(seen["broken"], json!(null));
    }
    let (_, seen) = server.post("/preview?complete=true", &format!("{USERS}3,\"Cle")).await;
    assert!(seen["broken"].as_str().unwrap().starts_with("line 4: a quote"), "{seen}");
}

#[tokio::test]
async fn an_encoding_that_does_not_fit_is_named_and_long_values_are_cut() {
    let server = Server::start().await;
    let post = async |query: &str, body: Vec<u8>| -> serde_json::Value {
        server
            .client
            .post(server.url(&format!("/preview?{query}")))
            .body(body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let latin = b"id,name,time_of_start\n1,J\xfcrgen M\xfcller,2017-03-07\n".to_vec();
    let seen = post("complete=true", latin.clone()).await;
    assert_eq!((&seen["undecodable"], &seen["looks_like"]), (&json!(1), &json!("windows-1252")), "{seen}");
    let seen = post("complete=true&encoding=windows-1252", latin).await;
    assert_eq!(seen["rows"][0]["user"]["name"], "jürgen müller");
    let rows = format!("1,{},2017-03-07\n", "é".repeat(200)).repeat(30);
    let seen = post("", format!("id,name,time_of_start\n{rows}").into()).await;
    assert_eq!((seen["rows"].as_array().unwrap().len(), &seen["rows_seen"]), (20, &json!(30)));
    assert_eq!(seen["rows"][0]["given"][1].as_str().unwrap().chars().count(), 121);
}

#[tokio::test]
async fn formats_that_read_all_times_that_need_one_are_named() {
    let server = Server::start().await;
    let file =
        "id,name,time_of_start\n1,Ada,1/2/2024 9:05 PM\n2,Bob,12/31/2024 10:00 AM\n3,Cleo,2024-01-01\n4,Dan,soon\n";
    let (_, seen) = server.post("/preview?complete=true", file).await;
    assert_eq!(seen["format_wanted"], json!({ "rows": 2, "formats": ["%m/%d/%Y %I:%M %p"] }), "{seen}");
    let (_, seen) = server.post("/preview?complete=true&formats=%25m/%25d/%25Y+%25I:%25M+%25p", file).await;
    assert_eq!((&seen["format_wanted"]["rows"], &seen["rejected"]), (&json!(0), &json!(1)), "{seen}");
}
