//! The join by itself, its pages, and when looking pays.

use super::*;

fn block(ids: &[&str]) -> Arc<UserBlock> {
    let mut block = UserBlock::default();
    ids.iter().for_each(|id| block.push(User { id, name: "n", time_of_start: "t" }, 1, false));
    block.into()
}

fn all(block: &Arc<UserBlock>) -> Selection<'_> {
    Selection { block, only: None }
}

fn joined(ours: &[&str], theirs: &[&str]) -> (Vec<u32>, u64) {
    let users = block(ours);
    let mut join = Join::new(all(&users));
    theirs.iter().for_each(|id| join.row(id.as_bytes(), |_| true));
    join.absent_before(users.len());
    (join.compared.absent, join.met)
}

#[test]
fn users_between_before_and_behind_the_tables_rows_are_absent() {
    assert_eq!(joined(&["a", "c", "e", "g"], &["b", "c", "d", "f"]), (vec![0, 2, 3], 1));
    assert_eq!(joined(&["a", "c"], &[]), (vec![0, 1], 0));
    assert_eq!(joined(&["a", "c"], &["a", "c"]), (vec![], 2));
    assert_eq!(joined(&["b"], &["a", "c"]), (vec![0], 0));
}

#[test]
fn ids_are_the_same_only_byte_by_byte() {
    assert_eq!(joined(&["A", "a", "a ", "á"], &["B", "a", "a\t", "a\u{301}"]), (vec![0, 2, 3], 1));
}

#[test]
fn a_row_that_differs_is_neither_absent_nor_left_alone() {
    let users = block(&["a", "b", "c"]);
    let mut join = Join::new(all(&users));
    join.row(b"a", |_| false);
    join.row(b"b", |_| true);
    join.absent_before(3);
    assert_eq!(join.compared, Compared { absent: vec![2], different: vec![0] });
}

#[test]
fn of_some_users_their_places_in_the_block_are_told() {
    let users = block(&["a", "b", "c", "d", "e"]);
    let mut join = Join::new(Selection { block: &users, only: Some(&[1, 2, 4]) });
    ["a", "b", "d"].iter().for_each(|id| join.row(id.as_bytes(), |_| false));
    join.absent_before(3);
    assert_eq!(join.compared, Compared { absent: vec![2, 4], different: vec![1] });
}

#[test]
fn a_page_begins_behind_the_one_before_and_ends_with_the_block() {
    let users = block(&["a'", "b", "c\\"]);
    let mut pages = Pages::new(&users);
    let sql = r"SELECT id FROM `t` FORCE INDEX (PRIMARY) WHERE id>='a\'' AND id<='c\\' ORDER BY id LIMIT 3";
    assert_eq!(pages.sql("id", "`t`"), sql);
    pages.behind = Some("b".into());
    assert_eq!(pages.sql("id", "`t`"), sql.replace(r">='a\''", ">'b'"));
}

#[test]
fn looking_in_vain_makes_looks_rarer_and_one_that_pays_makes_them_the_rule_again() {
    let looks = Looks::default();
    let mut gaps = Vec::new();
    for _ in 0..7 {
        gaps.push(std::iter::repeat_with(|| looks.due()).take_while(|due| !due).count());
        looks.learn(false);
    }
    assert_eq!(gaps, [0, 1, 2, 4, 8, 16, 16]);
    while !looks.due() {}
    looks.learn(true);
    assert!(looks.due() && looks.due());
}

#[test]
fn reading_pays_while_one_row_in_eight_is_in_the_block() {
    let users = block(&["00"]);
    let mut join = Join::new(all(&users));
    assert!(join.pays(), "an empty range costs nothing");
    for (read, pays) in [("00", true), ("01", true), ("02", true), ("03", true), ("04", true), ("05", true)] {
        join.row(read.as_bytes(), |_| true);
        assert_eq!(join.pays(), pays);
    }
    ["06", "07", "08"].iter().for_each(|id| join.row(id.as_bytes(), |_| true));
    assert!(!join.pays());
}
