use super::*;

fn board() -> Arc<Board> {
    let board = Arc::new(Board::new(7));
    board.looked();
    board
}

fn subscribe(board: &Arc<Board>, only: Option<UploadId>, sender: Option<&str>) -> Subscription {
    board.subscribe(Wanted { only, sender: sender.map(Into::into) }, || {})
}

/// All that a subscriber is sent now.
fn heard(subscription: &mut Subscription) -> Vec<String> {
    let taken = std::iter::from_fn(|| subscription.take());
    taken
        .map(|next| match next {
            Next::Upload(news) => news.data.to_string(),
            Next::Outage(outage) => format!("outage {}", outage.data.as_deref().unwrap_or("over")),
            Next::Missed => panic!("nothing was missed"),
        })
        .collect()
}

#[test]
fn who_comes_is_sent_what_is_open_and_then_each_change_with_growing_numbers() {
    let (board, ids) = (board(), [UploadId::new(), UploadId::new()]);
    board.tell(ids[0], "anna", Told::Open, "a1".into());
    board.tell(ids[1], "anna", Told::Ended, "b1".into());
    let mut subscription = subscribe(&board, None, None);
    assert_eq!(heard(&mut subscription), ["a1"], "what ended before is no news");
    board.tell(ids[0], "anna", Told::Open, "a1".into());
    assert!(heard(&mut subscription).is_empty(), "the same again is no news");
    board.tell(ids[1], "anna", Told::Open, "b2".into());
    board.tell(ids[0], "anna", Told::Ended, "a2".into());
    let before = subscription.seen;
    assert_eq!(heard(&mut subscription), ["b2", "a2"]);
    assert!(subscription.seen > before);
}

#[test]
fn a_slow_subscriber_is_sent_the_newest_state_of_each_upload_once() {
    let (board, ids) = (board(), [UploadId::new(), UploadId::new()]);
    let mut slow = subscribe(&board, None, None);
    for round in 0..1000 {
        for (id, name) in ids.iter().zip(["a", "b"]) {
            board.tell(*id, "anna", Told::Open, format!("{name}{round}"));
        }
    }
    assert_eq!(heard(&mut slow), ["a999", "b999"]);
    let state = board.state();
    assert_eq!((state.news.len(), state.order.len()), (2, 2), "rounds take no memory");
}

#[test]
fn a_subscriber_hears_of_its_own_uploads_or_of_one() {
    let (board, ids) = (board(), [UploadId::new(), UploadId::new()]);
    board.tell(ids[0], "anna", Told::Open, "a".into());
    board.tell(ids[1], "bert", Told::Open, "b".into());
    assert_eq!(heard(&mut subscribe(&board, None, Some("bert"))), ["b"]);
    assert_eq!(heard(&mut subscribe(&board, Some(ids[0]), None)), ["a"]);
    assert!(heard(&mut subscribe(&board, Some(ids[0]), Some("bert"))).is_empty());
}

#[test]
fn many_that_ended_are_dropped_and_who_missed_one_begins_anew() {
    let board = board();
    let (mut quick, mut slow) = (subscribe(&board, None, None), subscribe(&board, None, None));
    for number in 0..ENDED_MAX + 1 {
        board.tell(UploadId::new(), "anna", Told::Ended, format!("{number}"));
        assert_eq!(heard(&mut quick), [number.to_string()]);
    }
    assert_eq!(board.state().news.len(), ENDED_MAX);
    assert!(matches!(slow.take(), Some(Next::Missed)));
    assert!(heard(&mut subscribe(&board, None, None)).is_empty());
}

#[test]
fn one_that_is_opened_again_stays_until_it_ends_again() {
    let (board, id) = (board(), UploadId::new());
    board.tell(id, "anna", Told::Ended, "failed".into());
    board.tell(id, "anna", Told::Open, "received".into());
    for _ in 0..ENDED_MAX + 1 {
        board.tell(UploadId::new(), "anna", Told::Ended, String::new());
    }
    assert_eq!(heard(&mut subscribe(&board, None, None)), ["received"]);
}

#[test]
fn an_outage_is_told_and_its_end_to_those_who_heard_of_it() {
    let board = board();
    let mut subscription = subscribe(&board, None, None);
    board.outage(None);
    board.outage(Some("down".into()));
    board.outage(Some("down".into()));
    assert_eq!(heard(&mut subscription), ["outage down"]);
    board.outage(None);
    assert_eq!(heard(&mut subscription), ["outage over"]);
    assert!(heard(&mut subscribe(&board, None, None)).is_empty());
}

#[test]
fn when_nobody_is_left_everything_is_forgotten_but_the_numbers() {
    let board = board();
    let mut begun = 0;
    for round in 0..2 {
        let subscription = board.subscribe(Wanted { only: None, sender: None }, || begun += 1);
        board.tell(UploadId::new(), "anna", Told::Open, "a".into());
        assert!(!board.is_left());
        drop(subscription);
        let last = board.state().last;
        assert!(board.is_left());
        assert!(board.state().news.is_empty() && board.state().last == last, "round {round}");
    }
    assert_eq!(begun, 2, "each time somebody has to watch");
}
